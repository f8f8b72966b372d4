"""Leases: how a worker says that it lives, and how a dead worker's trial is run again. Alike on every storage.

Optuna has a heartbeat in its relational storage alone, and only inside ``study.optimize``. Here a worker renews a
counter among its trial's attributes every few seconds. Whoever looks after the others (`Reaper`) calls a trial dead
when that counter has not moved for a while *by its own clock*: no two machines' clocks are ever compared. On the
worker's own machine a process that is gone is seen at once.

A trial that died is FAIL without a word of an error; it gets one successor with the same parameters and the same MLflow
run. Both steps may be repeated by anybody at any time: whoever dies between them leaves nothing undone.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any

import optuna
from optuna.trial import TrialState

from cross_modal_mlflow.sweep.storage import one_at_a_time

if TYPE_CHECKING:
    from optuna.storages import BaseStorage
    from optuna.trial import FrozenTrial

RENEW = 5.0  # seconds between two renewals
GRACE = 30.0  # seconds without one after which a worker is taken for dead
RETRIES = 2  # times that a trial whose worker died is run again
LEASE, WORKER = "lease", "worker"
#: What a successor does not inherit.
_OWN = {LEASE, WORKER, "error", "interrupted"}


class Lease:
    """Renews a trial's lease while it runs; use it as a context manager.

    Args:
        study: The study.
        trial: The trial that this process runs.
        seconds: Between two renewals.
    """

    def __init__(self, study: optuna.Study, trial: optuna.Trial, seconds: float = RENEW) -> None:
        self._trial, self._seconds = trial, seconds
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._renew, name=f"lease-{trial.number}", daemon=True)

    def __enter__(self) -> Lease:
        self._trial.set_user_attr(WORKER, worker_name())
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def _renew(self) -> None:
        count = 0
        while not self._over.wait(self._seconds):
            count += 1
            with suppress(Exception):  # a storage that fails for a while must not end the trial
                self._trial.storage.set_trial_user_attr(self._trial._trial_id, LEASE, count)


class Reaper:
    """Looks after the trials of other workers.

    Args:
        study: The study.
        storage: Its storage.
        grace: Seconds without a renewal after which a worker is taken for dead.
    """

    def __init__(self, study: optuna.Study, storage: BaseStorage, grace: float = GRACE) -> None:
        self._study, self._storage, self._grace = study, storage, grace
        self._seen: dict[int, tuple[Any, float]] = {}  # trial → its lease, and since when it has been that

    def reap(self) -> list[int]:
        """Fails the trials of dead workers, and gives every trial that died its successor.

        Returns:
            The numbers of the trials that were found dead.
        """
        trials = self._study.get_trials(deepcopy=False)
        dead = [trial.number for trial in trials if trial.state == TrialState.RUNNING and self._is_dead(trial)]
        for number in dead:
            with suppress(ValueError, RuntimeError):  # another worker was first, or it has ended after all
                self._study.tell(number, state=TrialState.FAIL)
        if dead or any(_wants_successor(trial) for trial in trials):
            retry(self._study, self._storage)
        return dead

    def _is_dead(self, trial: FrozenTrial) -> bool:
        gone = _is_gone(str(trial.user_attrs.get(WORKER, "")))
        if gone is not None:
            return gone
        lease, now = trial.user_attrs.get(LEASE), time.monotonic()
        before = self._seen.get(trial.number)
        if before is None or before[0] != lease:
            self._seen[trial.number] = (lease, now)
            return False
        return now - before[1] > self._grace


def retry(study: optuna.Study, storage: BaseStorage) -> list[int]:
    """Enqueues a successor for every trial that died or was interrupted and has none yet.

    Returns:
        The numbers of the trials that got one.
    """
    with one_at_a_time(storage):
        trials = study.get_trials(deepcopy=False)
        succeeded = {trial.user_attrs["retry_of"] for trial in trials if "retry_of" in trial.user_attrs}
        given = []
        for trial in trials:
            if not _wants_successor(trial) or trial.number in succeeded:
                continue
            died = "interrupted" not in trial.user_attrs
            retries = int(trial.user_attrs.get("retries", 0)) + died
            if retries > RETRIES:
                continue
            inherited = {name: value for name, value in trial.user_attrs.items() if name not in _OWN}
            study.enqueue_trial(
                trial.params or dict(trial.system_attrs.get("fixed_params", {})),
                user_attrs={**inherited, "retry_of": trial.number, "retries": retries},
            )
            given.append(trial.number)
        return given


def worker_name() -> str:
    """This process: host, number and start, since numbers are given again."""
    import psutil

    return f"{socket.gethostname()}:{os.getpid()}:{psutil.Process().create_time():.2f}"


def _is_gone(worker: str) -> bool | None:
    """Whether a worker's process has ended; None where only its machine can know."""
    import psutil

    host, _, process = worker.partition(":")
    if host != socket.gethostname() or not process:
        return None
    number, _, started = process.partition(":")
    try:
        found = psutil.Process(int(number))
        return f"{found.create_time():.2f}" != started or found.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
    except (psutil.Error, ValueError):
        return None


def _wants_successor(trial: FrozenTrial) -> bool:
    return trial.state == TrialState.FAIL and "error" not in trial.user_attrs
