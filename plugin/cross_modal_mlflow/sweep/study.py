"""Studies: made, loaded, counted, and how a worker takes the next trial so that no two workers take one too many."""

from __future__ import annotations

import difflib
import re
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Final

import optuna
from optuna.trial import TrialState

from cross_modal.errors import CrossModalError
from cross_modal_mlflow.sweep.options import TARGETS
from cross_modal_mlflow.sweep.storage import one_at_a_time

if TYPE_CHECKING:
    from optuna.pruners import BasePruner
    from optuna.samplers import BaseSampler
    from optuna.storages import BaseStorage
    from optuna.trial import FrozenTrial

    from cross_modal_mlflow.sweep.settings import StudySettings

DIRECTIONS = {
    "maximize": optuna.study.StudyDirection.MAXIMIZE,
    "minimize": optuna.study.StudyDirection.MINIMIZE,
}
STARTUP = 5  # trials that the median pruner lets run to their end first


class Wait:
    """What `take_trial` says while others run the last trials: one of them may die and be run again."""


WAIT: Final = Wait()


def create_study(storage: BaseStorage, name: str, settings: StudySettings) -> optuna.Study:
    """Makes a study.

    Raises:
        CrossModalError: If there is one of that name.
    """
    try:
        return optuna.create_study(
            study_name=name,
            storage=storage,
            directions=[DIRECTIONS[TARGETS[target]] for target in settings.targets],
            sampler=build_sampler(settings, settings.sampler_seed),
            pruner=build_pruner(settings),
        )
    except optuna.exceptions.DuplicatedStudyError:
        raise CrossModalError(_exists(name)) from None


def refuse_existing(storage: BaseStorage, name: str) -> None:
    """Refuses the name of a study that exists, before anything is read or trained for it.

    Raises:
        CrossModalError: With the two ways on.
    """
    if name in optuna.get_all_study_names(storage):
        raise CrossModalError(_exists(name))


def load_study(
    storage: BaseStorage, name: str, settings: StudySettings | None = None, *, seed: int = 0
) -> optuna.Study:
    """Loads a study.

    Args:
        storage: Its storage.
        name: Its name.
        settings: For the sampler and the pruner; None leaves Optuna's, for whoever only reads.
        seed: Of the sampler.

    Raises:
        CrossModalError: If there is none of that name.
    """
    sampler = None if settings is None else build_sampler(settings, seed)
    pruner = None if settings is None else build_pruner(settings)
    try:
        return optuna.load_study(study_name=name, storage=storage, sampler=sampler, pruner=pruner)
    except KeyError:
        names = optuna.get_all_study_names(storage)
        near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
        known = (
            f"did you mean {near[0]}?" if near else f"there are {', '.join(names[:10])}" if names else "there is none"
        )
        raise CrossModalError(
            f"--study {name}: expected the name of a study, found none of that name; {known}"
        ) from None


def unique_name(data: str) -> str:
    """A study's name from its data and the time, e.g. "photos-20261122-221500"."""
    word = re.sub(r"[^\w.-]+", "-", Path(data).name or data).strip("-") or "sweep"
    return f"{word}-{time.strftime('%Y%m%d-%H%M%S')}"


def build_sampler(settings: StudySettings, seed: int) -> BaseSampler:
    """The sampler by its name; TPE draws parameters together, each conditional group on its own."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        if settings.sampler == "random":
            return optuna.samplers.RandomSampler(seed=seed)
        if settings.sampler == "gp":
            return optuna.samplers.GPSampler(seed=seed)
        return optuna.samplers.TPESampler(multivariate=True, group=True, constant_liar=True, seed=seed)


def build_pruner(settings: StudySettings) -> BasePruner:
    """The pruner by its name; with several targets none, as Optuna prunes on one value only."""
    training = settings.experiment.get("training", {})
    steps, every = int(training.get("steps", 1)), int(training.get("validate_every", 1))
    if settings.pruner == "none" or len(settings.targets) > 1:
        return optuna.pruners.NopPruner()
    if settings.pruner == "wilcoxon" or settings.kind == "heads":
        return optuna.pruners.WilcoxonPruner(p_threshold=0.1)
    if settings.pruner == "hyperband":
        return optuna.pruners.HyperbandPruner(min_resource=every, max_resource=max(steps, every), reduction_factor=2)
    return optuna.pruners.MedianPruner(n_startup_trials=STARTUP, n_warmup_steps=every)


def counts(trial: FrozenTrial) -> bool:
    """Whether a trial is one of those that were asked for: done, pruned, or failed of itself.

    One whose worker died or was interrupted does not count: its successor will.
    """
    if trial.state in (TrialState.COMPLETE, TrialState.PRUNED):
        return True
    return trial.state == TrialState.FAIL and "error" in trial.user_attrs


def finished(study: optuna.Study) -> int:
    """How many trials count."""
    return sum(map(counts, study.get_trials(deepcopy=False)))


def take_trial(study: optuna.Study, storage: BaseStorage, limit: int) -> optuna.Trial | Wait | None:
    """Takes the next trial, if there is one to take.

    Args:
        study: The study.
        storage: Its storage.
        limit: Trials in all.

    Returns:
        The trial; `WAIT` while other workers run the last ones; None when all are done.
    """
    with one_at_a_time(storage):
        trials = study.get_trials(deepcopy=False)
        done = sum(map(counts, trials))
        running = sum(trial.state == TrialState.RUNNING for trial in trials)
        if done + running < limit:
            return study.ask()
        return WAIT if done < limit else None


def _exists(name: str) -> str:
    return f"--study {name}: expected a new name, found a study of that name; --resume goes on with it"
