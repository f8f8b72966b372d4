"""One worker of a sweep: take a trial, hold its lease, run it as an MLflow run, tell the study how it ended.

All workers are alike, wherever they run: the sweep's own process, its children, `cross-modal worker` on another
machine. Before each trial a worker looks after the others' (`Reaper`): a trial whose worker died gets a successor.
"""

from __future__ import annotations

import math
import re
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

import optuna
from optuna.trial import TrialState

from cross_modal.errors import CrossModalError
from cross_modal_mlflow.command_line import one_line
from cross_modal_mlflow.sweep.leases import Lease, Reaper
from cross_modal_mlflow.sweep.settings import StudySettings
from cross_modal_mlflow.sweep.study import Wait, take_trial, tell_trial
from cross_modal_mlflow.sweep.trial_run import TrialRun

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from optuna.storages import BaseStorage

PAUSE = 0.5  # seconds between two looks, while other workers run the last trials
FAILURES = 3  # as many first trials that fail with the same words, and the sweep stops: it is not the settings' fault


class Objective(Protocol):
    """What a trial does."""

    def __call__(self, trial: optuna.Trial, run: TrialRun) -> Sequence[float]:
        """Runs the trial's experiment; returns its values, in the order of the targets."""

    def keep(self, trial: optuna.Trial, run: TrialRun, values: Sequence[float]) -> None:
        """Keeps what the trial made, where it may be the winner; called before the study is told."""


class Worker:
    """Runs trials of a study until there are enough.

    Args:
        study: The study, with the sampler and pruner of this worker.
        storage: Its storage.
        objective: What a trial does.
        client: MLflow's client, for the trials' runs.
        stop: Set from outside to leave after the present trial.
        most: Leave after so many trials; 0 stays.
    """

    def __init__(
        self,
        study: optuna.Study,
        storage: BaseStorage,
        objective: Objective,
        client: MlflowClient,
        *,
        stop: threading.Event | None = None,
        most: int = 0,
    ) -> None:
        self.study, self.storage, self.objective, self.client = study, storage, objective, client
        self._stop, self._most = stop or threading.Event(), most
        self._reaper = Reaper(study, storage)

    def work(self, told: Callable[[optuna.trial.FrozenTrial], None] | None = None) -> int:
        """Runs trials.

        Args:
            told: Called with every trial that this worker finished.

        Returns:
            How many were finished.

        Raises:
            CrossModalError: If the first trials all fail, and in the same way.
        """
        done = 0
        while not self._stop.is_set() and not (self._most and done >= self._most):
            self._reaper.reap()
            settings = StudySettings.of(self.study)  # anew: a later start may have raised the number of trials
            taken = take_trial(self.study, self.storage, settings.trials)
            if taken is None:
                break
            if isinstance(taken, Wait):
                self._stop.wait(PAUSE)
                continue
            finished = self.run(taken, settings)
            if finished is None:
                continue
            done += 1
            if told is not None:
                told(finished)
            self._look_for_one_cause()
        return done

    def run(self, trial: optuna.Trial, settings: StudySettings) -> optuna.trial.FrozenTrial | None:
        """Runs one trial that was asked for.

        Returns:
            The finished trial; None where this worker was taken for dead meanwhile (a machine that slept, a storage out
            of reach): the trial's successor has its MLflow run, and counts in its place.

        Raises:
            KeyboardInterrupt: After the trial was told interrupted: its successor takes its run over.
        """
        problem: Exception | None
        with Lease(self.study, trial) as lease:
            run = self._start(trial, settings)
            try:
                values: Sequence[float] | None = self._values(trial, run, settings)
                if lease.lost.is_set():
                    return None
                assert values is not None
                problem = self._keep(trial, run, values)
                state = TrialState.COMPLETE if problem is None else TrialState.FAIL
            except optuna.TrialPruned:
                state, values, problem = TrialState.PRUNED, None, None
            except KeyboardInterrupt:
                self._interrupt(trial)
                run.finish(TrialState.FAIL)
                raise
            except optuna.exceptions.UpdateFinishedTrialError:
                return None
            except Exception as error:  # whatever a setting may bring about: the next trial has others
                state, values, problem = TrialState.FAIL, None, error
                with suppress(optuna.exceptions.UpdateFinishedTrialError):
                    trial.set_user_attr("error", one_line(error)[:500])
        finished = tell_trial(self.study, trial, values if state == TrialState.COMPLETE else None, state)
        if finished is not None:
            run.finish(state, values, problem)
        return finished

    def _start(self, trial: optuna.Trial, settings: StudySettings) -> TrialRun:
        """The trial's run; where the tracking store takes none, the trial is left for whoever comes next."""
        try:
            return TrialRun.start(self.client, settings.experiment_id, settings.run_id, trial)
        except BaseException:
            self._interrupt(trial)
            raise

    def _values(self, trial: optuna.Trial, run: TrialRun, settings: StudySettings) -> list[float]:
        values = [float(value) for value in self.objective(trial, run)]
        wrong = [name for name, value in zip(settings.targets, values, strict=True) if math.isnan(value)]
        if wrong:
            raise CrossModalError(f"expected a number for {wrong[0]}, found NaN")
        return values

    def _keep(self, trial: optuna.Trial, run: TrialRun, values: Sequence[float]) -> Exception | None:
        """Keeps what the trial made; a store that does not take it costs the trial, which is then run again."""
        try:
            self.objective.keep(trial, run, values)
        except Exception as error:  # whatever the artifact store or its driver raises
            return error
        return None

    def _interrupt(self, trial: optuna.Trial) -> None:
        with suppress(optuna.exceptions.UpdateFinishedTrialError):
            trial.set_user_attr("interrupted", True)
        tell_trial(self.study, trial, None, TrialState.FAIL)

    def _look_for_one_cause(self) -> None:
        """Stops a sweep whose every trial fails alike."""
        ended = [each for each in self.study.get_trials(deepcopy=False) if each.state.is_finished()]
        errors = [each.user_attrs.get("error") for each in ended if "interrupted" not in each.user_attrs]
        alike = {re.sub(r"[\d.]+", "", str(error)) for error in errors}  # steps and values differ
        if len(errors) >= FAILURES and None not in errors and len(alike) == 1:
            raise CrossModalError(
                f"study {self.study.study_name}: all of the first {len(errors)} trials failed: {errors[0]}"
            )
