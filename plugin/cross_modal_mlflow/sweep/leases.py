"""Leases: how a worker says that it lives, and how a dead worker's trial is run again. Alike on every storage.

Optuna has a heartbeat in its relational storage alone, and only inside ``study.optimize``. Here a worker renews a
counter among its trial's attributes every few seconds. Whoever looks after the others (`Reaper`) calls a trial dead
when that counter has not moved for a while *by its own clock*: no two machines' clocks are ever compared. On the
worker's own machine a process that is gone is seen at once.

A trial that died is FAIL without a word of an error; it gets one successor with the same parameters and the same MLflow
run. Both steps may be repeated by anybody at any time: whoever dies between them leaves nothing undone.
"""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any

import optuna
from optuna.trial import TrialState

from cross_modal_mlflow.sweep.storage_lock import one_at_a_time
from cross_modal_mlflow.sweep.worker_process import is_gone, worker_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from optuna.storages import BaseStorage
    from optuna.trial import FrozenTrial

RENEW = 5.0  # seconds between two renewals
GRACE = 30.0  # seconds without one after which a worker is taken for dead
ALIVE = 10.0  # as many times the grace for a process that is seen to live: it may be halted, or have dropped the trial
RETRIES = 2  # times that a trial whose worker died is run again
LEASE, WORKER, RETRY_OF, RETRIED = "lease", "worker", "retry_of", "retries"
ERROR, INTERRUPTED = "error", "interrupted"
_OWN = {LEASE, WORKER, ERROR, INTERRUPTED}  # what a successor does not inherit


class Lease:
    """Renews a trial's lease while it runs; use it as a context manager.

    A storage that fails for a while does not end the trial: renewing is tried again, and the others wait `GRACE`.

    Args:
        study: The study.
        trial: The trial that this process runs.
        seconds: Between two renewals.

    Attributes:
        lost: Set when the trial was found ended by another worker, which took this one for dead: whatever comes of it
            no longer counts, and its successor has its MLflow run.
    """

    def __init__(self, study: optuna.Study, trial: optuna.Trial, seconds: float = RENEW) -> None:
        self.lost = threading.Event()
        self._study, self._trial, self._seconds = study, trial, seconds
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._renew, name=f"lease-{trial.number}", daemon=True)

    def __enter__(self) -> Lease:
        sign(self._trial)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def _renew(self) -> None:
        storage, count = self._study._storage, 0
        while not self._over.wait(self._seconds):
            count += 1
            try:
                storage.set_trial_user_attr(self._trial._trial_id, LEASE, count)
            except optuna.exceptions.UpdateFinishedTrialError:
                self.lost.set()
                return
            except Exception:  # whatever a driver, a file system or a network raises; the next renewal may get through
                continue


def sign(trial: optuna.Trial) -> None:
    """Writes into a trial which process runs it, where that is not there yet."""
    if trial.user_attrs.get(WORKER) != worker_name():
        trial.set_user_attr(WORKER, worker_name())


class Reaper:
    """Looks after the trials of other workers.

    Args:
        study: The study.
        storage: Its storage.
        grace: Seconds without a renewal after which a worker is taken for dead.
    """

    def __init__(self, study: optuna.Study, storage: BaseStorage, grace: float = GRACE) -> None:
        self._study, self._storage, self._grace = study, storage, grace
        self._seen: dict[int, tuple[Any, float]] = {}  # trial → its lease, and when that was first seen

    def reap(self) -> list[int]:
        """Fails the trials of dead workers, and gives every trial that died its successor.

        Returns:
            The numbers of the trials that were found dead.
        """
        asked = time.monotonic()  # before the leases are read: should this process be halted here, none looks old
        trials = self._study.get_trials(deepcopy=False)
        read = time.monotonic()
        running = [trial for trial in trials if trial.state == TrialState.RUNNING]
        self._seen = {trial.number: self._first_seen(trial, read) for trial in running}
        dead = [trial.number for trial in running if self._is_dead(trial, asked)]
        if not dead and not without_successor(trials):
            return []
        with one_at_a_time(self._storage):
            failed = [number for number in dead if _fail(self._study, number)]
            enqueue_successors(self._study, self._study.get_trials(deepcopy=False))
        return failed

    def _first_seen(self, trial: FrozenTrial, now: float) -> tuple[Any, float]:
        lease, before = trial.user_attrs.get(LEASE), self._seen.get(trial.number)
        return before if before is not None and before[0] == lease else (lease, now)

    def _is_dead(self, trial: FrozenTrial, now: float) -> bool:
        gone = is_gone(str(trial.user_attrs.get(WORKER, "")))
        grace = self._grace if gone is None else self._grace * ALIVE
        return gone is True or now - self._seen[trial.number][1] > grace


def release(study: optuna.Study) -> list[int]:
    """Ends, as interrupted, the trials that this process or an ended one of this machine left running.

    For a sweep that stops: a worker that was told to leave between asking for a trial and running it leaves it so.

    Returns:
        The numbers of the trials that were ended.
    """
    released = []
    for trial in study.get_trials(deepcopy=False):
        worker = str(trial.user_attrs.get(WORKER, ""))
        if trial.state == TrialState.RUNNING and (worker == worker_name() or is_gone(worker)):
            with suppress(optuna.exceptions.UpdateFinishedTrialError):
                study._storage.set_trial_user_attr(trial._trial_id, INTERRUPTED, True)
            if _fail(study, trial.number):
                released.append(trial.number)
    return released


def retry(study: optuna.Study, storage: BaseStorage) -> list[int]:
    """Enqueues a successor for every trial that died or was interrupted and has none yet.

    Returns:
        The numbers of the trials that got one.
    """
    with one_at_a_time(storage):
        return enqueue_successors(study, study.get_trials(deepcopy=False))


def enqueue_successors(study: optuna.Study, trials: Sequence[FrozenTrial]) -> list[int]:
    """`retry`, for callers that hold the storage's lock and have read the trials under it."""
    wanting = without_successor(trials)
    for trial in wanting:
        inherited = {name: value for name, value in trial.user_attrs.items() if name not in _OWN}
        fixed = trial.system_attrs.get("fixed_params", {})  # of an enqueued trial that died before it drew them all
        retries = _retries(trial)
        study.enqueue_trial(
            {**fixed, **trial.params}, user_attrs={**inherited, RETRY_OF: trial.number, RETRIED: retries}
        )
    return [trial.number for trial in wanting]


def without_successor(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """The trials that died or were interrupted, are to be run again, and have no successor yet."""
    succeeded = {trial.user_attrs.get(RETRY_OF) for trial in trials}
    return [
        trial
        for trial in trials
        if trial.state == TrialState.FAIL
        and ERROR not in trial.user_attrs
        and trial.number not in succeeded
        and not is_given_up(trial)
    ]


def is_given_up(trial: FrozenTrial) -> bool:
    """Whether a dead trial gets no successor any more."""
    return _retries(trial) > RETRIES


def _retries(trial: FrozenTrial) -> int:
    """How many times a successor of the trial would be one of a death; an interrupted one costs none."""
    return int(trial.user_attrs.get(RETRIED, 0)) + (INTERRUPTED not in trial.user_attrs)


def _fail(study: optuna.Study, number: int) -> bool:
    """Ends a trial; False where another worker was first, or it has ended by itself after all."""
    with suppress(ValueError, optuna.exceptions.UpdateFinishedTrialError):
        study.tell(number, state=TrialState.FAIL)
        return True
    return False
