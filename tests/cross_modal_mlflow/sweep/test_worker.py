import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path

import optuna
import pytest
from mlflow import MlflowClient
from optuna.trial import TrialState

from cross_modal.errors import CrossModalError
from cross_modal_mlflow.store import open_store
from cross_modal_mlflow.sweep.leases import retry
from cross_modal_mlflow.sweep.settings import StudySettings
from cross_modal_mlflow.sweep.storage import open_storage
from cross_modal_mlflow.sweep.study import create_study, finished
from cross_modal_mlflow.sweep.trial_run import TrialRun
from cross_modal_mlflow.sweep.worker import FAILURES, Worker


class Parabola:
    """A trial whose value is a parabola; what it does besides is told by its number."""

    def __init__(self, **ends: object) -> None:
        self.ends = {int(name.removeprefix("trial_")): end for name, end in ends.items()}
        self.kept: list[int] = []

    def __call__(self, trial: optuna.Trial, run: TrialRun) -> Sequence[float]:
        x = trial.suggest_float("x", -1, 1)
        end = self.ends.get(trial.number)
        if isinstance(end, BaseException):
            raise end
        return [math.nan if end == "nan" else -x * x]

    def keep(self, trial: optuna.Trial, run: TrialRun, values: Sequence[float]) -> None:
        self.kept.append(trial.number)


def worker(workplace: Path, objective: Parabola, trials: int, most: int = 0) -> tuple[Worker, MlflowClient]:
    store = open_store()
    parent = store.client.create_run(store.experiment_id, run_name="sweep")
    settings = StudySettings(
        kind="training", experiment={}, space={}, targets=["score"], sampler="random", sampler_seed=0, pruner="none",
        trials=trials, digest="", tracking_uri=store.uri, experiment_id=store.experiment_id,
        run_id=parent.info.run_id, version="0",
    )  # fmt: skip
    storage = open_storage(None)
    study = create_study(storage, "birds", settings)
    settings.keep(study)
    return Worker(study, storage, objective, store.client, most=most), store.client


def states(each: Worker, client: MlflowClient) -> list[tuple[str, str]]:
    return [
        (trial.state.name, client.get_run(trial.user_attrs["mlflow_run_id"]).info.status) for trial in each.study.trials
    ]


def test_every_end_of_a_trial_is_told_to_the_study_and_to_its_run(workplace: Path) -> None:
    objective = Parabola(trial_1=optuna.TrialPruned(), trial_2=CrossModalError("collapsed"), trial_3="nan")
    one, client = worker(workplace, objective, trials=5)
    assert one.work() == 5
    done, failed = ("COMPLETE", "FINISHED"), ("FAIL", "FAILED")
    assert states(one, client) == [done, ("PRUNED", "KILLED"), failed, failed, done]
    assert one.study.trials[2].user_attrs["error"] == "collapsed"
    assert one.study.trials[3].user_attrs["error"] == "expected a number for score, found NaN"
    assert objective.kept == [0, 4]  # what did not finish is not kept


def test_an_interrupted_trial_is_run_again_in_the_same_run_and_the_study_is_then_whole(workplace: Path) -> None:
    objective = Parabola(trial_1=KeyboardInterrupt())
    one, client = worker(workplace, objective, trials=3)
    with pytest.raises(KeyboardInterrupt):
        one.work()
    assert states(one, client)[1] == ("FAIL", "KILLED")
    assert one.work() == 2
    trials = one.study.trials
    successor = next(trial for trial in trials if trial.user_attrs.get("retry_of") == 1)
    assert successor.state == TrialState.COMPLETE
    assert successor.params == trials[1].params
    assert successor.user_attrs["mlflow_run_id"] == trials[1].user_attrs["mlflow_run_id"]
    assert client.get_run(successor.user_attrs["mlflow_run_id"]).info.status == "FINISHED"
    assert finished(one.study) == 3


def test_a_sweep_whose_trials_all_fail_alike_stops_and_says_so(workplace: Path) -> None:
    ends = {f"trial_{number}": CrossModalError("no such loss") for number in range(9)}
    one, _ = worker(workplace, Parabola(**ends), trials=9)
    with pytest.raises(CrossModalError, match=f"all of the first {FAILURES} trials failed: no such loss"):
        one.work()
    assert len(one.study.trials) == FAILURES


def test_errors_that_differ_in_a_number_are_alike(workplace: Path) -> None:
    ends = {f"trial_{number}": CrossModalError(f"step {10 * number}: collapsed") for number in range(9)}
    one, _ = worker(workplace, Parabola(**ends), trials=9)
    with pytest.raises(CrossModalError, match=f"all of the first {FAILURES} trials failed"):
        one.work()


def test_an_artifact_store_that_fails_costs_a_trial_which_is_run_again(workplace: Path) -> None:
    class Full(Parabola):
        def keep(self, trial: optuna.Trial, run: TrialRun, values: Sequence[float]) -> None:
            if trial.number == 0:
                raise OSError(28, "No space left on device")
            super().keep(trial, run, values)

    one, _ = worker(workplace, Full(), trials=2)
    one.work()
    assert [trial.state.name for trial in one.study.trials] == ["FAIL", "COMPLETE", "COMPLETE"]
    assert one.study.trials[1].user_attrs["retry_of"] == 0
    assert finished(one.study) == 2


def test_a_trial_whose_worker_dies_each_time_does_not_keep_the_sweep_from_ending(workplace: Path) -> None:
    one, _ = worker(workplace, Parabola(), trials=1)
    for _ in range(3):
        trial = one.study.ask()
        one.study.tell(trial, state=TrialState.FAIL)
        retry(one.study, one.storage)
    assert finished(one.study) == 1
    assert one.work() == 0


def test_failures_of_several_kinds_are_the_settings_fault_and_the_sweep_goes_on(workplace: Path) -> None:
    ends = {f"trial_{number}": CrossModalError(("lost", "found")[number % 2]) for number in range(3)}
    one, _ = worker(workplace, Parabola(**ends), trials=5)
    assert one.work() == 5


def test_a_worker_may_leave_early(workplace: Path) -> None:
    one, _ = worker(workplace, Parabola(), trials=5, most=2)
    assert one.work() == 2
    assert finished(one.study) == 2


def test_a_raised_number_of_trials_is_heard_by_a_worker_that_runs(workplace: Path) -> None:
    one, _ = worker(workplace, Parabola(), trials=1)
    told: list[int] = []

    def more(trial: optuna.trial.FrozenTrial) -> None:
        told.append(trial.number)
        if trial.number == 0:
            dataclasses.replace(StudySettings.of(one.study), trials=3).keep(one.study)

    assert one.work(more) == 3
    assert told == [0, 1, 2]


def test_a_tracking_store_that_takes_no_run_leaves_the_trial_for_whoever_comes_next(
    workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, _ = worker(workplace, Parabola(), trials=1)

    def refuse(*_: object) -> None:
        raise CrossModalError("tracking store: gone")

    with monkeypatch.context() as patch:
        patch.setattr(TrialRun, "start", refuse)
        with pytest.raises(CrossModalError, match="gone"):
            one.work()
    assert one.work() == 1
    assert one.study.trials[1].user_attrs["retry_of"] == 0


def test_a_worker_that_was_taken_for_dead_leaves_the_trial_and_its_run_to_the_successor(workplace: Path) -> None:
    class Slow(Parabola):
        def __call__(self, trial: optuna.Trial, run: TrialRun) -> Sequence[float]:
            values = super().__call__(trial, run)
            if trial.number == 0:  # another worker finds no lease
                trial.study.tell(0, state=TrialState.FAIL)
            return values

    one, client = worker(workplace, Slow(), trials=2)
    assert one.work() == 2
    states_of = [(trial.state.name, trial.user_attrs.get("retry_of")) for trial in one.study.trials]
    assert states_of[0] == ("FAIL", None)
    assert ("COMPLETE", 0) in states_of
    run = one.study.trials[0].user_attrs["mlflow_run_id"]
    assert client.get_run(run).info.status == "FINISHED"  # as its successor left it
    assert finished(one.study) == 2
