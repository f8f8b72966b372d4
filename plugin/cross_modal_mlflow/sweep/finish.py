"""How a sweep ends: figures, the winner against the default on the test split, the winner as a model.

The test split is read here for the first time, for two twins only: the winner, and the settings that the sweep was
started with. Both are measured on identical episodes, so that their difference has an interval.
"""

from __future__ import annotations

import dataclasses
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from cross_modal.configuration import TrainingConfig
from cross_modal.encoders.saved_twin import load_twin
from cross_modal.encoders.twin import TwinEncoder
from cross_modal.errors import CrossModalError
from cross_modal.training.loop import TrainingResult
from cross_modal.verification.pair_scorer import PairScorer
from cross_modal.verification.saved_calibration import SavedCalibration
from cross_modal_mlflow.device import on_device
from cross_modal_mlflow.explorer_evidence import log_for_explorer
from cross_modal_mlflow.logged_twin import log_model_metrics, log_twin
from cross_modal_mlflow.measurement import measure_test, protocol
from cross_modal_mlflow.phases import working
from cross_modal_mlflow.pipeline import MODEL, card, learn_thresholds, log_calibration, verify_test
from cross_modal_mlflow.registry import register
from cross_modal_mlflow.report import Report
from cross_modal_mlflow.store import Store
from cross_modal_mlflow.sweep.best_config import best_config_yaml, sweep_metrics
from cross_modal_mlflow.sweep.comparison import compare_twins
from cross_modal_mlflow.sweep.figures import study_figures
from cross_modal_mlflow.sweep.objective import TWIN, is_default
from cross_modal_mlflow.sweep.reconcile import reconcile
from cross_modal_mlflow.sweep.space import SearchSpace
from cross_modal_mlflow.sweep.trial_words import best_so_far

if TYPE_CHECKING:
    from rich.console import Console

    from cross_modal_mlflow.sweep.start import Sweep


TEST_READS = "cross_modal.test_reads"  # attribute of a study


@dataclass
class SweepOutcome:
    """What a sweep gave.

    Attributes:
        report: For the table and ``--json``.
        study: The study.
        storage: Its storage, for people.
        store: The tracking store.
        notes: Sentences worth reading.
        next_steps: Command lines.
    """

    report: Report
    study: optuna.Study
    storage: str
    store: Store
    notes: list[str] = field(default_factory=list)
    next_steps: list[str] = field(default_factory=list)


def finish(sweep: Sweep, console: Console, notes: list[str], register_as: str | None = None) -> SweepOutcome:
    """Ends a sweep.

    Args:
        sweep: The sweep, all of whose trials are done.
        console: Where progress goes.
        notes: Sentences so far.
        register_as: The registered model that the winner becomes a version of.

    Raises:
        CrossModalError: If no trial was finished.
    """
    run, study = sweep.run, sweep.study
    reconcile(study, sweep.store.client)
    best = winner(study)
    with sweep.clock.phase("figures"), working(console, "drawing the study"):
        figures, left_out = study_figures(study)
        for name, figure in figures.items():
            run.figure(figure, f"study/{name}")
    end = _HeadEnd(sweep, best) if sweep.settings.kind == "heads" else _TwinEnd(sweep, best)
    with sweep.clock.phase("evaluation"), working(console, "the winner and the default on unseen classes"):
        metrics, more = end.measure()
    metrics |= sweep_metrics(study)
    reads = int(study.user_attrs.get(TEST_READS, 0)) + 1
    study.set_user_attr(TEST_READS, reads)
    if reads > 1:
        more.append(f"the test split was read {reads} times, once at each end of this study: choose nothing by it")
    report = Report("sweep", end.protocol(), metrics, sweep.clock.seconds, run.run_id)
    with sweep.clock.phase("logging"), working(console, "logging the run"):
        run.metrics(metrics)
        run.document(report.protocol, "protocol.json")
        run.document(metrics, "metrics.json")
        steps = end.log(report)
        all_notes = [*notes, *more, *left_out, *end.notes]
        if all_notes:
            run.text("\n".join(all_notes) + "\n", "notes.txt")
    run.metrics({f"seconds/{name}": value for name, value in sweep.clock.seconds.items()})
    outcome = SweepOutcome(report, study, sweep.storage_label, sweep.store, all_notes, steps)
    if register_as is not None and end.model_uri is not None:
        registration = register(sweep.store, register_as, end.model_uri, report)
        outcome.notes.append(registration.sentence)
        outcome.next_steps = [*registration.serve(sweep.store), *outcome.next_steps]
    return outcome


def winner(study: optuna.Study) -> FrozenTrial:
    """The best finished trial that keeps to the constraints; of a Pareto front the one that leads in the first target.

    Raises:
        CrossModalError: If there is none.
    """
    best = best_so_far(study)
    if best is not None:
        return best
    states = [trial.state for trial in study.get_trials(deepcopy=False)]
    counts = ", ".join(f"{states.count(each)} {each.name.lower()}" for each in dict.fromkeys(states)) or "no trials"
    raise CrossModalError(
        f"study {study.study_name}: expected a finished trial that keeps to the constraints, found {counts}"
    )


class _TwinEnd:
    """The end of a study of trainings."""

    def __init__(self, sweep: Sweep, best: FrozenTrial) -> None:
        self.sweep, self.best = sweep, best
        self.experiment = SearchSpace.from_dict(sweep.settings.space).suggest(
            optuna.trial.FixedTrial(best.params), sweep.experiment
        )
        self.twin = self._twin(best)
        self.model_uri: str | None = None
        self.notes: list[str] = []
        self._mixture: Any = None
        self._calibration: SavedCalibration | None = None

    def measure(self) -> tuple[dict[str, float], list[str]]:
        """The winner on the test split, and against the default on the same episodes."""
        items = self.sweep.items
        metrics, notes, self._mixture, embedded = measure_test(self.twin, items, self.experiment)
        scorer, test = PairScorer.of(self.twin), items.split("test")
        self._calibration, _ = learn_thresholds(self.twin, scorer, items, self.experiment)
        metrics |= verify_test(self.twin, scorer, test, self.experiment.items, self._calibration)
        done = [each for each in self.sweep.study.trials if is_default(each) and each.state == TrialState.COMPLETE]
        if is_default(self.best):
            return metrics, [*notes, "the default settings won: there is nothing to compare them with"]
        if not done:
            return metrics, [*notes, "the trial with the default settings did not finish: no comparison with it"]
        if embedded is None or items.labels is None:
            return metrics, [*notes, f"{items.source}: no labelled test split, so no comparison with the default"]
        comparison = compare_twins(
            self.twin, self._twin(done[0]), items, self.experiment, measured=(self._mixture, embedded)
        )
        return metrics | comparison.metrics, [*notes, *comparison.sentences()]

    def protocol(self) -> dict[str, Any]:
        """What was measured, and how."""
        sweep = self.sweep
        return {
            **protocol(sweep.items, "test", self.experiment.evaluation),
            **_protocol_of_study(sweep, self.best),
            "best_experiment": dataclasses.asdict(self.experiment),
            "monitor": "validation classes; the test split was read at the end, for the winner and the default",
        }

    def log(self, report: Report) -> list[str]:
        """The winner as a model and as a file of settings; returns what to do next."""
        sweep, run = self.sweep, self.sweep.run
        run.text(best_config_yaml(self.experiment, sweep.study, self.best), "best_config.yaml")
        step = int(self.best.user_attrs.get("best_step", 0))
        result = TrainingResult(self.twin, best_step=step, best_score=self.best.user_attrs.get("validation_score"))
        made = card(self.experiment, sweep.items, result, self._mixture, report.metrics)
        info = log_twin(run, self.twin, MODEL, made, sweep.items, step, calibration=self._calibration)
        log_calibration(run, self._calibration)
        if len(sweep.items.split("test")):
            log_model_metrics(run, info.model_id, sweep.items, report.metrics, step)
        self.model_uri = info.model_uri
        model = f"runs:/{run.run_id}/{MODEL}"
        self.notes = log_for_explorer(
            run, self.twin, PairScorer.of(self.twin), sweep.items, self.experiment.items, model
        )
        steps = max(self.experiment.training.steps, TrainingConfig().steps)
        return [
            f"cross-modal evaluate runs:/{run.run_id}/{MODEL}",
            f"mlflow artifacts download -u runs:/{run.run_id}/best_config.yaml -d .",
            f"cross-modal train --config best_config.yaml --training.steps {steps}    the winner at full length",
        ]

    def _twin(self, trial: FrozenTrial) -> TwinEncoder:
        run_id = str(trial.user_attrs["mlflow_run_id"])
        with tempfile.TemporaryDirectory(prefix="cross-modal-twin-") as folder:
            found = self.sweep.store.client.download_artifacts(run_id, TWIN, folder)
            return on_device(load_twin(Path(found)).eval())


class _HeadEnd:
    """The end of a study of heads."""

    def __init__(self, sweep: Sweep, best: FrozenTrial) -> None:
        from cross_modal_mlflow.sweep.head_space import HeadSpace

        self.sweep, self.best = sweep, best
        space = HeadSpace.from_dict(sweep.settings.space)
        self.head = space.suggest(optuna.trial.FixedTrial(best.params))
        self.default = space.suggest(optuna.trial.FixedTrial(space.parameters_of_default()))
        self.model_uri: str | None = None
        self.notes: list[str] = []

    def measure(self) -> tuple[dict[str, float], list[str]]:
        """The winner and the default head on the same test episodes."""
        from cross_modal_mlflow.measurement import embed
        from cross_modal_mlflow.models import model_folder
        from cross_modal_mlflow.store import open_store
        from cross_modal_mlflow.sweep.comparison import compare_heads

        sweep, items = self.sweep, self.sweep.items.split("test")
        if not len(items) or items.labels is None:
            return {}, [f"{sweep.items.source}: no labelled test split, so no comparison with the default"]
        twin = on_device(load_twin(model_folder(str(sweep.settings.model), open_store)))
        experiment = sweep.experiment
        embedded = embed(twin, items, experiment.items)
        try:
            comparison = compare_heads(self.head, self.default, embedded, experiment.evaluation, twin.metric)
        except CrossModalError as error:  # a test split of one class, say: no reason to lose the head
            return {}, [f"no comparison with the default: {error}"]
        return comparison.metrics, comparison.sentences()

    def protocol(self) -> dict[str, Any]:
        """What was measured, and how."""
        sweep = self.sweep
        return {
            **protocol(sweep.items, "test", sweep.experiment.evaluation),
            **_protocol_of_study(sweep, self.best),
            "model": sweep.settings.model,
        }

    def log(self, report: Report) -> list[str]:
        """The winning head as a file; returns what to do next."""
        head = {"method": self.head.method, "parameters": dict(self.head.parameters)}
        self.sweep.run.document(head, "best_head.json")
        return [
            f"cross-modal evaluate {self.sweep.settings.model} --data {self.sweep.settings.experiment['data']} "
            f"--kshot 1 2 4 --allow-fewer --methods {self.head.method}"
        ]


def _protocol_of_study(sweep: Sweep, best: FrozenTrial) -> dict[str, Any]:
    settings = dataclasses.asdict(sweep.settings)
    kept = {name: settings[name] for name in ("kind", "targets", "sampler", "sampler_seed", "pruner", "constraints")}
    return {"study": sweep.study.study_name, "storage": sweep.storage_label, **kept, "best_trial": best.number,
            "best_parameters": best.params, "best_values": best.values}  # fmt: skip
