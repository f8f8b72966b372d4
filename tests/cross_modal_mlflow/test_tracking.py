import contextlib
import dataclasses
import json
import os
from pathlib import Path

import pytest

from cross_modal.configuration import Experiment, TrainingConfig
from cross_modal_mlflow.metric_buffer import MetricBuffer
from cross_modal_mlflow.run_listener import RunListener
from cross_modal_mlflow.store import open_store
from cross_modal_mlflow.tracking import LONGEST, flatten, tracked_run


@pytest.mark.parametrize(
    ("error", "status"), [(None, "FINISHED"), (ValueError("bad data"), "FAILED"), (KeyboardInterrupt(), "KILLED")]
)
def test_status_says_how_it_ended(workplace: Path, error: BaseException | None, status: str) -> None:
    store = open_store()
    with contextlib.suppress(ValueError, KeyboardInterrupt), tracked_run("train", store, name="x") as run:
        if error is not None:
            raise error
    logged = store.client.get_run(run.run_id)
    assert logged.info.status == status
    assert logged.data.tags["cross_modal.command"] == "train"
    assert ("bad data" in logged.data.tags.get("cross_modal.error", "")) == (status == "FAILED")
    assert "MLFLOW_TRACKING_URI" not in os.environ  # MLflow sets it; the next command must not take it for the user's


def test_parameters_are_flat_and_long_ones_cut(workplace: Path) -> None:
    store = open_store()
    experiment = Experiment(data="x" * 900)
    with tracked_run("train", store) as run:
        run.parameters(experiment)
        run.environment()
    logged = store.client.get_run(run.run_id)
    params = logged.data.params
    assert params["training.steps"] == str(experiment.training.steps)
    assert params["objective.loss.name"] == "SupConLoss"
    assert params["objective.loss.arguments.temperature"] == "0.07"
    assert params["objective.miner"] == "none"
    assert params["evaluation.ways"] == "[5, 20]"
    assert len(params["data"]) == LONGEST
    folder = Path(logged.info.artifact_uri.removeprefix("file://"))
    packages = json.loads((folder / "environment" / "environment.json").read_text())["packages"]
    assert "torch" in packages
    assert f"torch=={packages['torch']}" in (folder / "environment" / "packages.txt").read_text()


def test_flatten_keeps_every_setting() -> None:
    def leaves(values: dict) -> int:
        return sum(leaves(value) if isinstance(value, dict) and value else 1 for value in values.values())

    settings = dataclasses.asdict(Experiment())
    assert len(flatten(settings)) == leaves(settings)


class FakeClient:
    def __init__(self, failures: int = 0) -> None:
        self.calls: list[int] = []
        self.failures = failures

    def log_batch(self, run_id: str, metrics: list, synchronous: bool) -> None:
        if self.failures:
            self.failures -= 1
            raise ConnectionError("gone")
        self.calls.append(len(metrics))


def test_metrics_go_in_batches() -> None:
    client = FakeClient()
    buffer = MetricBuffer(client, "run", seconds=60)  # type: ignore[arg-type]
    for step in range(1500):
        buffer.add({"loss": 1.0}, step)
    assert client.calls == []
    assert buffer.close() is None
    assert client.calls == [1000, 500]


def test_metrics_survive_a_store_that_fails_for_a_while() -> None:
    client = FakeClient(failures=1)
    buffer = MetricBuffer(client, "run", seconds=60)  # type: ignore[arg-type]
    buffer.add({"loss": 1.0})
    buffer.flush()
    buffer.add({"loss": 2.0})
    assert buffer.close() is None
    assert client.calls == [2]


def test_lost_metrics_are_reported_not_raised() -> None:
    buffer = MetricBuffer(FakeClient(failures=9), "run", seconds=60)  # type: ignore[arg-type]
    buffer.add({"loss": 1.0})
    assert "1 metrics could not be written" in (buffer.close() or "")


def test_only_logged_steps_are_kept() -> None:
    class Run:
        def __init__(self) -> None:
            self.steps: list[int] = []

        def metrics(self, values: dict, step: int) -> None:
            self.steps.append(step)

    run = Run()
    listener = RunListener(run, TrainingConfig(steps=24, log_every=10))  # type: ignore[arg-type]
    for step in range(1, 25):
        listener.on_step(step, {"train/loss": 1.0})
    listener.on_validation(20, {"validation/score": 0.5})
    assert run.steps == [1, 11, 21, 24, 20]
    assert [step for step, _ in listener.history] == run.steps


def test_a_run_goes_on_with_what_it_has(workplace: Path) -> None:
    store = open_store()
    with (
        contextlib.suppress(ValueError),
        tracked_run("sweep", store, name="x", tags={"optuna.study": "birds"}) as first,
    ):
        first.parameters({"trials": 3})
        raise ValueError("bad data")
    with tracked_run("sweep", store, run_id=first.run_id) as again:
        assert store.client.get_run(again.run_id).info.status == "RUNNING"
    logged = store.client.get_run(first.run_id)
    assert (again.run_id, logged.info.status, logged.info.run_name) == (first.run_id, "FINISHED", "x")
    assert (logged.data.tags["optuna.study"], logged.data.params) == ("birds", {"trials": "3"})
    assert "cross_modal.error" not in logged.data.tags  # it is over
    assert len(store.client.search_runs([store.experiment_id])) == 1
