import math
from collections.abc import Callable
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from cross_modal_mlflow.store import Store, open_store
from cross_modal_mlflow.sweep.reconcile import DIED, reconcile
from cross_modal_mlflow.sweep.sweep_run import parent_run
from cross_modal_mlflow.sweep.trial_run import INTERMEDIATE, RUN_ID, TrialRun
from cross_modal_mlflow.tracking import ERROR

optuna.logging.set_verbosity(optuna.logging.ERROR)

Start = Callable[[optuna.Trial], TrialRun]


@pytest.fixture
def store(workplace: Path) -> Store:
    return open_store()


@pytest.fixture
def study() -> optuna.Study:
    return optuna.create_study(study_name="birds")


@pytest.fixture
def start(store: Store) -> Start:
    with parent_run(store, "birds", "sweeps.journal") as run:
        parent = run.run_id
    return lambda trial: TrialRun.start(store.client, store.experiment_id, parent, trial)


def status(store: Store, run: TrialRun) -> str:
    return str(store.client.get_run(run.run_id).info.status)


@pytest.mark.parametrize(
    ("told", "attributes", "expected", "error"),
    [
        ({"values": 0.5}, {}, "FINISHED", None),
        ({"state": TrialState.PRUNED}, {}, "KILLED", None),
        ({"state": TrialState.FAIL}, {"error": "out of memory"}, "FAILED", "out of memory"),
        ({"state": TrialState.FAIL}, {}, "FAILED", DIED),
        ({"state": TrialState.FAIL}, {"interrupted": True}, "KILLED", None),
    ],
)
def test_a_worker_that_died_after_telling_leaves_no_running_run(
    store: Store, study: optuna.Study, start: Start, told: dict, attributes: dict, expected: str, error: str | None
) -> None:
    trial = study.ask()
    run = start(trial)
    for name, value in attributes.items():
        trial.set_user_attr(name, value)
    study.tell(trial, **told)
    assert reconcile(study, store.client) == [run.run_id]
    logged = store.client.get_run(run.run_id)
    assert logged.info.status == expected
    assert logged.data.tags.get(ERROR) == error
    assert logged.data.metrics.get("optuna/value") == told.get("values")
    ended = study.trials[0].datetime_complete
    assert ended is not None
    assert logged.info.end_time == int(ended.timestamp() * 1000)
    assert reconcile(study, store.client) == []


@pytest.mark.filterwarnings("ignore:The value nan")
def test_a_value_that_is_no_number_fails_the_run(store: Store, study: optuna.Study, start: Start) -> None:
    trial = study.ask()
    run = start(trial)
    study.tell(trial, math.nan)  # Optuna makes it FAIL
    run.finish(TrialState.COMPLETE, [math.nan])
    said = store.client.get_run(run.run_id).data.tags[ERROR]
    assert reconcile(study, store.client) == []
    assert status(store, run) == "FAILED"
    assert store.client.get_run(run.run_id).data.tags[ERROR] == said


def test_what_is_right_is_not_touched(
    store: Store, study: optuna.Study, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    for value in (0.5, math.inf):
        trial = study.ask()
        run = start(trial)
        trial.report(math.nan, 1)
        run.report(math.nan, 1)
        study.tell(trial, value)
        run.finish(TrialState.COMPLETE, [value])
    running = start(study.ask())
    for name in ("log_batch", "set_terminated", "update_run"):
        monkeypatch.delattr(type(store.client), name)
    assert reconcile(study, store.client) == []
    assert status(store, running) == "RUNNING"


def test_intermediate_values_that_only_the_study_knows_are_written(
    store: Store, study: optuna.Study, start: Start
) -> None:
    trial = study.ask()
    run = start(trial)
    run.report(0.1, 1)
    for step in range(1, 1501):  # more than MLflow takes at once
        trial.report(step / 10, step)
    study.tell(trial, 0.5)
    run.finish(TrialState.COMPLETE, [0.5])
    assert reconcile(study, store.client) == [run.run_id]
    rows = store.client.get_metric_history(run.run_id, INTERMEDIATE)
    assert sorted(row.step for row in rows) == list(range(1, 1501))
    assert reconcile(study, store.client) == []


def test_of_several_attempts_the_latest_decides(store: Store, study: optuna.Study, start: Start) -> None:
    dead = study.ask()
    run = start(dead)
    study.tell(dead, state=TrialState.FAIL)
    study.enqueue_trial({}, user_attrs={RUN_ID: run.run_id, "retry_of": dead.number, "retries": 1})
    assert reconcile(study, store.client) == [run.run_id]
    assert status(store, run) == "KILLED"  # it waits for its successor
    assert reconcile(study, store.client) == []
    successor = study.ask()
    start(successor)
    assert reconcile(study, store.client) == []
    assert status(store, run) == "RUNNING"
    study.tell(successor, 0.5)
    reconcile(study, store.client)
    logged = store.client.get_run(run.run_id)
    assert (logged.info.status, logged.data.metrics["optuna/value"]) == ("FINISHED", 0.5)
    assert ERROR not in logged.data.tags


def test_a_run_that_no_trial_knows_is_ended(store: Store, study: optuna.Study, start: Start) -> None:
    first = study.ask()
    orphan = start(first)  # its worker is killed here, before the study hears of the run
    first.set_user_attr(RUN_ID, start(optuna.create_study(study_name="birds").ask()).run_id)
    assert reconcile(study, store.client) == []  # the trial still runs: the run may be a moment old
    study.tell(first, 0.5)
    assert orphan.run_id in reconcile(study, store.client)
    assert status(store, orphan) == "KILLED"


def test_deleted_runs_and_studies_without_runs_are_passed_over(store: Store, study: optuna.Study, start: Start) -> None:
    assert reconcile(study, store.client) == []
    study.enqueue_trial({}, user_attrs={RUN_ID: "0" * 32})  # deleted for good
    study.tell(study.ask(), 0.1)
    trial = study.ask()
    run = start(trial)
    study.tell(trial, 0.2)
    store.client.delete_run(run.run_id)
    kept = study.ask()
    there = start(kept)
    study.tell(kept, 0.3)
    assert reconcile(study, store.client) == [there.run_id]
