"""What the trials of a study do: train a twin, or score a few-shot head on fixed embeddings.

Made once a worker: data, decoded pictures, frozen trunks and embeddings are read once and serve all of its trials.
Trials see the train and validation splits; the test split is not among the items they are given.
"""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import optuna

from cross_modal.configuration import Experiment
from cross_modal.data.items import Items
from cross_modal.data.sources import read_items
from cross_modal.encoders.saved_twin import load_twin, save_twin
from cross_modal.errors import CrossModalError
from cross_modal.rebuild import rebuild
from cross_modal.training.shared_parts import SharedParts
from cross_modal.training.validation import SCORE
from cross_modal_mlflow.device import on_device
from cross_modal_mlflow.measurement import embed
from cross_modal_mlflow.models import model_folder
from cross_modal_mlflow.store import open_store
from cross_modal_mlflow.sweep.head_space import HeadSpace
from cross_modal_mlflow.sweep.options import TARGETS
from cross_modal_mlflow.sweep.settings import StudySettings
from cross_modal_mlflow.sweep.space import SearchSpace
from cross_modal_mlflow.sweep.trial_head import HeadEpisodes, run_head_trial
from cross_modal_mlflow.sweep.trial_run import INTERMEDIATE, TrialRun
from cross_modal_mlflow.sweep.trial_training import TrialOutcome, run_training_trial
from cross_modal_mlflow.tracking import flatten

TWIN = "twin"  # folder of a trial's run in which a twin that may win is kept
DEFAULT = "default"  # `role` of the trial with the settings that the sweep was started with


def is_default(trial: optuna.trial.BaseTrial) -> bool:
    """Whether this is the trial with the settings that the sweep was started with: it is never pruned."""
    return trial.user_attrs.get("role") == DEFAULT


def keeps_to_constraints(trial: optuna.trial.FrozenTrial) -> bool:
    """Whether a finished trial may win."""
    return all(excess <= 0 for excess in trial.constraints.values())


class TrainingObjective:
    """A trial trains a twin.

    Args:
        settings: The study's.
        study: The study, to know whether a twin is the best so far.
        items: All items, of which the trials get train and validation.
    """

    def __init__(self, settings: StudySettings, study: optuna.Study, items: Items) -> None:
        self.settings, self.study = settings, study
        self.base = rebuild(Experiment, settings.experiment)
        self.space = SearchSpace.from_dict(settings.space)
        self.items = items.take(np.flatnonzero(items.splits != "test"))
        self.shared = SharedParts()
        self._outcome: TrialOutcome | None = None

    def __call__(self, trial: optuna.Trial, run: TrialRun) -> Sequence[float]:
        """Trains and validates; prunes at a validation."""
        experiment = self.space.suggest(trial, self.base)
        run.parameters(changed_settings(experiment, self.base))
        several = len(self.settings.targets) > 1
        outcome: TrialOutcome | None = None

        def report(value: float, step: int) -> None:
            if not several:  # Optuna takes intermediate values of one target only
                trial.report(value, step)
            run.report(value, step)

        def should_prune() -> bool:
            return not several and not is_default(trial) and trial.should_prune()

        with tempfile.TemporaryDirectory(prefix="cross-modal-trial-") as folder:
            outcome = run_training_trial(
                experiment,
                self.items,
                report,
                should_prune,
                shared=self.shared,
                folder=Path(folder),
                targets=self.settings.targets,
                constraints=self.settings.constraints,
            )
        for name, value in outcome.constraints.items():
            trial.set_constraint(name, value - self.settings.constraints[name])  # at most 0 keeps to it
        run.metrics(outcome.metrics | {f"seconds/{name}": spent for name, spent in outcome.seconds.items()})
        trial.set_user_attr("best_step", outcome.best_step)
        monitor = experiment.training.monitor
        trial.set_user_attr("validation_score", outcome.metrics.get(SCORE if monitor == "auto" else monitor))
        trial.set_user_attr("training_seconds", outcome.seconds["training"])
        self._outcome = outcome
        return outcome.values

    def keep(self, trial: optuna.Trial, run: TrialRun, values: Sequence[float]) -> None:
        """Keeps the twin in the trial's run, where it is the default or the best so far by the first target."""
        assert self._outcome is not None
        outcome, self._outcome = self._outcome, None
        if is_default(trial) or self._is_best(values[0], outcome.constraints):
            with tempfile.TemporaryDirectory(prefix="cross-modal-twin-") as folder:
                save_twin(outcome.twin, Path(folder) / TWIN, {})
                run.files(Path(folder) / TWIN, TWIN)

    def _is_best(self, value: float, measured: Mapping[str, float]) -> bool:
        """Whether a trial may win: it keeps to the constraints, and so does none that is better."""
        if any(amount > self.settings.constraints[name] for name, amount in measured.items()):
            return False
        sign = 1 if TARGETS[self.settings.targets[0]] == "maximize" else -1
        done = self.study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))
        return all(sign * value >= sign * each.values[0] for each in done if keeps_to_constraints(each))


class HeadObjective:
    """A trial is a closed-form few-shot head over the fixed embeddings of validation classes.

    Args:
        settings: The study's.
        items: All items.
    """

    def __init__(self, settings: StudySettings, items: Items) -> None:
        self.settings = settings
        self.base = rebuild(Experiment, settings.experiment)
        self.space = HeadSpace.from_dict(settings.space)
        twin = on_device(load_twin(model_folder(str(settings.model), open_store)))
        validation = items.split("validation")
        if not len(validation) or validation.labels is None:
            raise CrossModalError(f"{items.source}: expected labelled items in the split validation, found none")
        self.episodes = HeadEpisodes.of(embed(twin, validation, self.base.items), self.base.evaluation, twin.metric)

    def __call__(self, trial: optuna.Trial, run: TrialRun) -> Sequence[float]:
        """Scores the head episode by episode; prunes where it is worse on the same episodes beyond doubt."""
        head = self.space.suggest(trial)
        run.parameters({"head": {"method": head.method, **head.parameters}})

        def report(value: float, step: int) -> None:  # written when the trial ends: a head takes less than a write
            run.metrics({INTERMEDIATE: value}, step)

        outcome = run_head_trial(head, self.episodes, trial, prune=not is_default(trial), report=report)
        run.metrics(outcome.metrics)
        return [outcome.value]

    def keep(self, trial: optuna.Trial, run: TrialRun, values: Sequence[float]) -> None:
        """Nothing: a head is its few settings."""


def build_objective(settings: StudySettings, study: optuna.Study, items: Items) -> TrainingObjective | HeadObjective:
    """The objective of a study's kind."""
    return TrainingObjective(settings, study, items) if settings.kind == "training" else HeadObjective(settings, items)


def read_study_items(settings: StudySettings, data: str | None = None) -> Items:
    """The study's items, as they are on this machine.

    Args:
        settings: The study's.
        data: Where they are here, if elsewhere.

    Raises:
        CrossModalError: If they are not the items that the study was started with.
    """
    experiment = rebuild(Experiment, settings.experiment)
    items = read_items(data or experiment.data, experiment.items)
    if items.digest != settings.digest:
        raise CrossModalError(
            f"{data or experiment.data}: expected the items that the study was started with (digest "
            f"{settings.digest}), found others (digest {items.digest})"
        )
    return items


def changed_settings(experiment: Experiment, base: Experiment) -> dict[str, Any]:
    """What a trial's run shows: its loss, miner, distance, and every setting that differs from the sweep's own."""
    mine, common = flatten(dataclasses.asdict(experiment)), flatten(dataclasses.asdict(base))
    return {path: value for path, value in mine.items() if common.get(path) != value or path.startswith("objective.")}
