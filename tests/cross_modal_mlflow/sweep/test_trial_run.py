import math
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import optuna
import pytest
from mlflow import MlflowClient
from mlflow.entities import Run
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from cross_modal.errors import CrossModalError
from cross_modal_mlflow.store import Store, open_store
from cross_modal_mlflow.sweep.sweep_run import parent_run
from cross_modal_mlflow.sweep.trial_run import INTERMEDIATE, PARENT, RUN_ID, TrialRun
from cross_modal_mlflow.tracking import ERROR

optuna.logging.set_verbosity(optuna.logging.WARNING)

WORKER = """
import os, signal, sys
import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState
from cross_modal_mlflow.store import open_store
from cross_modal_mlflow.sweep.trial_run import TrialRun
store, parent, trials, dies = open_store(), sys.argv[1], int(sys.argv[2]), len(sys.argv) > 3
study = optuna.load_study(study_name="birds", storage=JournalStorage(JournalFileBackend("sweeps.journal")))
for _ in range(trials):
    trial = study.ask()
    run = TrialRun.start(store.client, store.experiment_id, parent, trial)
    run.parameters({"x": trial.suggest_float("x", 0, 1)})
    for step in range(3):
        run.report(step / 10, step)
    if dies:
        os.kill(os.getpid(), signal.SIGKILL)
    study.tell(trial, trial.params["x"])
    run.finish(TrialState.COMPLETE, [trial.params["x"]])
"""


@pytest.fixture
def store(workplace: Path) -> Store:
    return open_store()


@pytest.fixture
def parent(store: Store) -> str:
    with parent_run(store, "birds", "sweeps.journal", about={"trunk": "conv4"}) as run:
        return run.run_id


@pytest.fixture
def study() -> optuna.Study:
    return optuna.create_study(study_name="birds")


@pytest.fixture
def start(store: Store, parent: str) -> Callable[[optuna.Trial], TrialRun]:
    return lambda trial: TrialRun.start(store.client, store.experiment_id, parent, trial)


def children(store: Store, parent: str) -> list[Run]:
    return list(store.client.search_runs([store.experiment_id], f"tags.`{PARENT}` = '{parent}'"))


def steps(client: MlflowClient, run_id: str, metric: str = INTERMEDIATE) -> list[tuple[int, float]]:
    return [(row.step, row.value) for row in client.get_metric_history(run_id, metric)]


@pytest.mark.parametrize(
    ("state", "values", "error", "status"),
    [
        (TrialState.COMPLETE, [0.25], None, "FINISHED"),
        (TrialState.COMPLETE, [math.inf], None, "FINISHED"),
        (TrialState.COMPLETE, [math.nan], None, "FAILED"),
        (TrialState.COMPLETE, [0.5, math.nan], None, "FAILED"),
        (TrialState.PRUNED, None, None, "KILLED"),
        (TrialState.FAIL, None, "out of memory", "FAILED"),
    ],
)
def test_status_says_how_the_trial_ended(
    store: Store,
    study: optuna.Study,
    start: Callable[[optuna.Trial], TrialRun],
    state: TrialState,
    values: list[float] | None,
    error: str | None,
    status: str,
) -> None:
    run = start(study.ask())
    assert store.client.get_run(run.run_id).info.status == "RUNNING"
    run.finish(state, values, error)
    logged = store.client.get_run(run.run_id)
    assert logged.info.status == status
    assert logged.data.tags["optuna.state"] == ("FAIL" if status == "FAILED" else state.name)
    assert (ERROR in logged.data.tags) == (status == "FAILED")
    assert ("optuna.value" in logged.data.tags) == (status == "FINISHED")


def test_an_interrupted_trial_is_killed_not_failed(
    store: Store, study: optuna.Study, start: Callable[[optuna.Trial], TrialRun]
) -> None:
    trial = study.ask()
    run = start(trial)
    trial.set_user_attr("interrupted", True)
    run.finish(TrialState.FAIL)
    logged = store.client.get_run(run.run_id)
    assert logged.info.status == "KILLED"
    assert ERROR not in logged.data.tags


def test_a_run_is_a_child_of_its_study_and_found_by_its_tags(
    store: Store, study: optuna.Study, parent: str, start: Callable[[optuna.Trial], TrialRun]
) -> None:
    study.enqueue_trial({}, user_attrs={"role": "default"})
    study.ask()
    study.enqueue_trial({}, user_attrs={"role": "default"})
    trial = study.ask()
    run = store.client.get_run(start(trial).run_id)
    assert run.info.run_name == "trial-1"
    assert trial.user_attrs[RUN_ID] == run.info.run_id
    wanted = {
        PARENT: parent,
        "optuna.study": "birds",
        "optuna.trial": "1",
        "optuna.storage": "sweeps.journal",
        "optuna.state": "RUNNING",
        "optuna.role": "default",
        "cross_modal.command": "trial",
        "cross_modal.trunk": "conv4",  # from the parent: a worker on another machine knows it from nowhere else
    }
    assert wanted.items() <= run.data.tags.items()
    assert {"mlflow.user", "mlflow.source.name"} <= set(run.data.tags)  # MLflow's own context


def test_more_tags_win(store: Store, study: optuna.Study, parent: str) -> None:
    run = TrialRun.start(store.client, store.experiment_id, parent, study.ask(), {"optuna.storage": "postgresql://h/o"})
    assert store.client.get_run(run.run_id).data.tags["optuna.storage"] == "postgresql://h/o"


def test_settings_reports_and_values_are_logged(
    store: Store, study: optuna.Study, start: Callable[[optuna.Trial], TrialRun]
) -> None:
    run = start(study.ask())
    run.parameters({"objective": {"loss": {"name": "CircleLoss", "arguments": {"m": 0.4}}}})
    run.parameters({f"setting.{index}": index for index in range(150)})  # MLflow takes 100 at once
    run.report(0.5, 10, {"validation/recall@1": 0.25})
    run.report(math.nan, 20)
    assert len(steps(store.client, run.run_id)) == 2  # before the end: whoever watches sees them
    run.metrics({"seconds/training": 2.0})
    run.finish(TrialState.COMPLETE, [0.5, 12.0])
    data = store.client.get_run(run.run_id).data
    assert data.params["objective.loss.arguments.m"] == "0.4"
    assert len(data.params) == 152
    assert data.metrics["validation/recall_1"] == 0.25
    assert data.metrics["seconds/training"] == 2.0
    assert (data.tags["optuna.value_0"], data.tags["optuna.value_1"]) == ("0.5", "12.0")
    assert (data.metrics["optuna/value_0"], data.metrics["optuna/value_1"]) == (0.5, 12.0)


def test_an_error_is_kept_whole(
    store: Store, study: optuna.Study, start: Callable[[optuna.Trial], TrialRun], tmp_path: Path
) -> None:
    run = start(study.ask())
    try:
        raise ValueError("bad\nmargin " + "x" * 9000)
    except ValueError as error:
        run.finish(TrialState.FAIL, None, error)
    tag = store.client.get_run(run.run_id).data.tags[ERROR]
    assert tag.startswith("ValueError: bad margin x")  # one line, cut
    assert len(tag) <= 500
    text = Path(store.client.download_artifacts(run.run_id, "error.txt", str(tmp_path))).read_text()
    assert "Traceback" in text
    assert "x" * 9000 in text


def test_the_successor_of_a_dead_trial_goes_on_with_its_run(
    store: Store, study: optuna.Study, parent: str, start: Callable[[optuna.Trial], TrialRun]
) -> None:
    dead = study.ask()
    run = start(dead)
    run.parameters({"training": {"steps": 30}})
    run.report(0.1, 10)
    run.report(0.2, 20)
    store.client.set_tag(run.run_id, ERROR, "its worker died")
    store.client.set_terminated(run.run_id, "FAILED")
    study.tell(dead, state=TrialState.FAIL)
    study.enqueue_trial({}, user_attrs={RUN_ID: run.run_id, "retry_of": dead.number, "retries": 1})
    again = start(study.ask())
    assert again.run_id == run.run_id
    assert store.client.get_run(run.run_id).info.status == "RUNNING"
    again.parameters({"training": {"steps": 31, "width": 2}})  # MLflow takes no parameter twice
    for step in (10, 20, 30):
        again.report(step / 100, step)
        again.report(9.0, step)
    again.finish(TrialState.COMPLETE, [0.3])
    logged = store.client.get_run(run.run_id)
    assert steps(store.client, run.run_id) == [(10, 0.1), (20, 0.2), (30, 0.3)]
    assert logged.data.params == {"training.steps": "30", "training.width": "2"}
    assert (logged.info.status, logged.info.run_name) == ("FINISHED", "trial-1")
    assert (logged.data.tags["optuna.trial"], logged.data.tags["optuna.retry_of"]) == ("1", "0")
    assert ERROR not in logged.data.tags
    assert len(children(store, parent)) == 1


def test_a_run_that_was_deleted_meanwhile_is_replaced(
    store: Store, study: optuna.Study, start: Callable[[optuna.Trial], TrialRun]
) -> None:
    gone = start(study.ask()).run_id
    store.client.delete_run(gone)
    for lost in (gone, "0" * 32):
        study.enqueue_trial({}, user_attrs={RUN_ID: lost})
        trial = study.ask()
        assert start(trial).run_id not in (gone, lost)
        assert trial.user_attrs[RUN_ID] != lost


def test_no_run_without_a_parent(store: Store, study: optuna.Study) -> None:
    with pytest.raises(CrossModalError, match=r"expected it to take a run for trial 0, found: .*0000.* not found"):
        TrialRun.start(store.client, store.experiment_id, "0" * 32, study.ask())


def test_files_are_kept_below_a_folder(
    store: Store, study: optuna.Study, start: Callable[[optuna.Trial], TrialRun], tmp_path: Path
) -> None:
    (tmp_path / "saved").mkdir()
    (tmp_path / "saved" / "weights").write_text("w")
    run = start(study.ask())
    run.files(tmp_path / "saved", "twin")
    assert [each.path for each in store.client.list_artifacts(run.run_id, "twin")] == ["twin/weights"]


def test_reports_survive_a_store_that_fails_for_a_while(
    store: Store,
    study: optuna.Study,
    start: Callable[[optuna.Trial], TrialRun],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = start(study.ask())
    with monkeypatch.context() as patch:
        patch.setattr(store.client, "log_batch", _gone)
        run.report(0.1, 1)
    run.report(0.2, 2)
    assert steps(store.client, run.run_id) == [(1, 0.1), (2, 0.2)]
    run.finish(TrialState.COMPLETE, [0.2])
    assert capsys.readouterr().err == ""


def test_a_store_that_is_lost_costs_no_trial(
    store: Store,
    study: optuna.Study,
    start: Callable[[optuna.Trial], TrialRun],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = start(study.ask())
    monkeypatch.setattr(store.client, "log_batch", _gone)
    monkeypatch.setattr(store.client, "set_terminated", _gone)
    run.finish(TrialState.COMPLETE, [0.2])
    assert f"note: trial 0: its run {run.run_id} is incomplete: gone" in capsys.readouterr().err


def test_threads_find_the_right_parent_and_mix_nothing_up(store: Store, parent: str, study: optuna.Study) -> None:
    def work(index: int) -> None:
        trial = study.ask()
        run = TrialRun.start(store.client, store.experiment_id, parent, trial)
        run.parameters({"number": trial.number})
        for step in range(3):
            run.report(trial.number + step / 10, step)
        if trial.number % 2:
            study.tell(trial, state=TrialState.PRUNED)
            run.finish(TrialState.PRUNED)
        else:
            study.tell(trial, float(trial.number))
            run.finish(TrialState.COMPLETE, [float(trial.number)])

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(16)))
    runs = {int(run.data.tags["optuna.trial"]): run for run in children(store, parent)}
    assert sorted(runs) == list(range(16))
    for number, run in runs.items():
        assert run.data.params == {"number": str(number)}
        assert steps(store.client, run.info.run_id) == [(step, number + step / 10) for step in range(3)]
        assert run.info.status == ("KILLED" if number % 2 else "FINISHED")
        assert run.data.metrics.get("optuna/value") == (None if number % 2 else float(number))


def test_processes_share_a_parent_and_a_killed_one_leaves_its_reports(
    store: Store, parent: str, workplace: Path
) -> None:
    storage = JournalStorage(JournalFileBackend("sweeps.journal"))
    study = optuna.create_study(study_name="birds", storage=storage)
    words = [sys.executable, "-c", WORKER, parent]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    workers = [subprocess.Popen([*words, *more], env=environment) for more in (["3"], ["1", "dies"])]
    assert [worker.wait() for worker in workers] == [0, -signal.SIGKILL]
    assert len(study.trials) == 4
    runs = children(store, parent)
    assert len(runs) == 4
    assert sorted(run.info.status for run in runs) == ["FINISHED", "FINISHED", "FINISHED", "RUNNING"]
    assert all(len(steps(store.client, run.info.run_id)) == 3 for run in runs)

    dead = next(trial for trial in study.trials if trial.state == TrialState.RUNNING)
    study.tell(dead.number, state=TrialState.FAIL)
    inherited = {RUN_ID: dead.user_attrs[RUN_ID], "retry_of": dead.number, "retries": 1}
    study.enqueue_trial(dead.params, user_attrs=inherited)
    subprocess.run([*words, "1"], env=environment, check=True)
    runs = children(store, parent)
    assert [run.info.status for run in runs] == ["FINISHED"] * 4
    assert all(len(steps(store.client, run.info.run_id)) == 3 for run in runs)


def _gone(*_: object, **__: object) -> None:
    raise ConnectionError("gone")
