"""Studies: made, loaded, counted, and how a worker takes the next trial so that no two workers take one too many."""

from __future__ import annotations

import difflib
import re
import secrets
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import optuna
from optuna.trial import TrialState

from cross_modal.errors import CrossModalError
from cross_modal_mlflow.sweep.leases import ERROR, enqueue_successors, is_given_up, sign
from cross_modal_mlflow.sweep.options import TARGETS
from cross_modal_mlflow.sweep.sampling import build_pruner, build_sampler
from cross_modal_mlflow.sweep.storage_lock import one_at_a_time

if TYPE_CHECKING:
    from collections.abc import Sequence

    from optuna.storages import BaseStorage
    from optuna.trial import FrozenTrial

    from cross_modal_mlflow.sweep.settings import StudySettings

__all__ = [
    "WAIT", "Wait", "build_pruner", "build_sampler", "counts", "create_study", "finished", "load_study",
    "refuse_existing", "take_trial", "tell_trial", "unique_name",
]  # fmt: skip

DIRECTIONS = {
    "maximize": optuna.study.StudyDirection.MAXIMIZE,
    "minimize": optuna.study.StudyDirection.MINIMIZE,
}


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
    """A study's name from its data and the time, e.g. "photos-20261122-221500-3fa1".

    The last part keeps two sweeps apart that start in one second.
    """
    word = re.sub(r"[^\w.-]+", "-", Path(data).name or data).strip("-") or "sweep"
    return f"{word}-{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}"


def counts(trial: FrozenTrial) -> bool:
    """Whether a trial is one of those that were asked for: done, pruned, or failed of itself.

    One whose worker died or was interrupted does not count, as its successor will; unless its workers have died as
    often as they are allowed to (a trial that takes more memory than there is), or a sweep might never end.
    """
    if trial.state in (TrialState.COMPLETE, TrialState.PRUNED):
        return True
    return trial.state == TrialState.FAIL and (ERROR in trial.user_attrs or is_given_up(trial))


def finished(study: optuna.Study) -> int:
    """How many trials count."""
    return sum(map(counts, study.get_trials(deepcopy=False)))


def take_trial(study: optuna.Study, storage: BaseStorage, limit: int) -> optuna.Trial | Wait | None:
    """Takes the next trial, if there is one to take. Trials that wait (defaults, successors) come first.

    Args:
        study: The study.
        storage: Its storage.
        limit: Trials in all.

    Returns:
        The trial, which says whose it is; `WAIT` while other workers run the last ones; None when all are done.
    """
    with one_at_a_time(storage):
        trials = study.get_trials(deepcopy=False)
        done = sum(map(counts, trials))
        running = sum(trial.state == TrialState.RUNNING for trial in trials)
        if done + running >= limit:
            return WAIT if done < limit else None
        enqueue_successors(study, trials)  # else a fresh trial could take the place of one that died just now
        trial = study.ask()
        sign(trial)
        return trial


def tell_trial(
    study: optuna.Study, trial: optuna.Trial, values: Sequence[float] | None, state: TrialState
) -> FrozenTrial | None:
    """Tells the study how a trial ended.

    Returns:
        The finished trial; None where another worker took this one for dead meanwhile and has ended the trial: its
        successor counts in its place.
    """
    try:
        return study.tell(trial, values, state)
    except optuna.exceptions.UpdateFinishedTrialError:
        return None
    except ValueError:  # what Optuna says of it depends on who looks first: the study or the storage
        if study._storage.get_trial(trial._trial_id).state.is_finished():
            return None
        raise


def _exists(name: str) -> str:
    return f"--study {name}: expected a new name, found a study of that name; --resume goes on with it"
