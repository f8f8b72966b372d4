import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlflow
import pytest
import torch
from mlflow import MlflowClient
from pytorch_metric_learning import losses, miners
from pytorch_metric_learning.losses.base_metric_loss_function import BaseMetricLossFunction
from pytorch_metric_learning.miners.base_miner import BaseMiner

import cross_modal_mlflow
from cross_modal.errors import CrossModalError
from cross_modal_mlflow import autologging
from cross_modal_mlflow.store import Store, open_store
from cross_modal_mlflow.tracking import tracked_run

LABELS = torch.arange(32) % 8


@pytest.fixture
def store(workplace: Path) -> Iterator[Store]:
    opened = open_store()
    mlflow.set_tracking_uri(opened.uri)
    yield opened
    cross_modal_mlflow.autolog(disable=True)
    mlflow.set_tracking_uri(None)  # type: ignore[arg-type]
    os.environ.pop("MLFLOW_TRACKING_URI", None)


def train(steps: int = 3, loss: Any = None, miner: Any = None) -> torch.Tensor:
    """A loop as people write it."""
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Linear(16, 8), torch.nn.Dropout(0.1))
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    loss = losses.TripletMarginLoss(margin=0.3) if loss is None else loss
    for _ in range(steps):
        rows = network(torch.randn(32, 16))
        value = loss(rows, LABELS, miner(rows, LABELS)) if miner else loss(rows, LABELS)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
    return torch.cat([weight.detach().flatten() for weight in network.parameters()])


def history(run_id: str, metric: str) -> list[tuple[int, float]]:
    return [(point.step, point.value) for point in MlflowClient().get_metric_history(run_id, metric)]


def started(store: Store) -> Any:
    return mlflow.start_run(experiment_id=store.experiment_id)


def test_a_loop_logs_loss_miner_parameters_and_health(store: Store) -> None:
    cross_modal_mlflow.autolog(log_every_n_steps=1, health_every_n_steps=2)
    with started(store) as run:
        train(4, miner=miners.MultiSimilarityMiner(epsilon=0.2))
    data = store.client.get_run(run.info.run_id).data
    assert data.params["objective.loss.name"] == "TripletMarginLoss"
    assert data.params["objective.loss.arguments.margin"] == "0.3"
    assert data.params["objective.miner.name"] == "MultiSimilarityMiner"
    assert data.params["objective.miner.arguments.epsilon"] == "0.2"
    assert data.params["objective.distance.name"] == "LpDistance"
    for metric in ("train/loss", "train/positives", "train/negatives"):
        assert [step for step, _ in history(run.info.run_id, metric)] == [1, 2, 3, 4], metric
    for metric in ("health/spread", "health/effective_rank", "health/uniformity"):
        assert [step for step, _ in history(run.info.run_id, metric)] == [1, 3], metric
    assert "health/modality_gap" not in data.metrics


def test_it_changes_no_bit_of_the_training(store: Store) -> None:
    plain = train(5, miner=miners.MultiSimilarityMiner())
    cross_modal_mlflow.autolog(log_every_n_steps=1, health_every_n_steps=1)
    with started(store):
        assert torch.equal(train(5, miner=miners.MultiSimilarityMiner()), plain)
    assert torch.equal(train(5, miner=miners.MultiSimilarityMiner()), plain)  # no active run


def test_logged_losses_are_the_losses(store: Store) -> None:
    seen: list[float] = []

    class Kept(losses.SupConLoss):
        def forward(self, *args: Any, **kwargs: Any) -> torch.Tensor:
            value = super().forward(*args, **kwargs)
            seen.append(float(value.detach()))
            return value

    cross_modal_mlflow.autolog(log_every_n_steps=2)
    with started(store) as run:
        train(5, loss=Kept())
    assert history(run.info.run_id, "train/loss") == [(step, pytest.approx(seen[step - 1])) for step in (1, 3, 5)]


def test_validation_without_gradients_is_no_step(store: Store) -> None:
    cross_modal_mlflow.autolog(log_every_n_steps=1)
    loss = losses.SupConLoss()
    with started(store) as run:
        train(2, loss=loss)
        with torch.no_grad():
            loss(torch.randn(32, 8), LABELS)
        loss(torch.randn(32, 8), LABELS)  # of nothing that learns
    assert len(history(run.info.run_id, "train/loss")) == 2


def test_without_a_run_nothing_is_logged_and_none_is_started(store: Store) -> None:
    cross_modal_mlflow.autolog(log_every_n_steps=1)
    train()
    assert mlflow.active_run() is None
    assert store.client.search_runs([store.experiment_id]) == []


def test_disabling_leaves_the_library_as_it_was(store: Store) -> None:
    cross_modal_mlflow.autolog()
    cross_modal_mlflow.autolog()
    assert "__call__" in vars(BaseMetricLossFunction)
    cross_modal_mlflow.autolog(disable=True)
    assert "__call__" not in vars(BaseMetricLossFunction)
    assert "__call__" not in vars(BaseMiner)
    cross_modal_mlflow.autolog(disable=True)
    with started(store) as run:
        train()
    assert store.client.get_run(run.info.run_id).data.metrics == {}


def test_each_run_gets_its_own(store: Store) -> None:
    cross_modal_mlflow.autolog(log_every_n_steps=1)
    loss = losses.SupConLoss()
    with started(store) as outer:
        train(1, loss=loss)
        with mlflow.start_run(experiment_id=store.experiment_id, nested=True) as inner:
            train(3, loss=loss)
        train(1, loss=loss)
    assert [step for step, _ in history(outer.info.run_id, "train/loss")] == [1, 2]
    assert [step for step, _ in history(inner.info.run_id, "train/loss")] == [1, 2, 3]
    assert store.client.get_run(inner.info.run_id).data.params["objective.loss.name"] == "SupConLoss"


def test_a_second_loss_has_its_own_name(store: Store) -> None:
    cross_modal_mlflow.autolog(log_every_n_steps=1)
    with started(store) as run:
        train(1, loss=losses.SupConLoss())
        train(1, loss=losses.SupConLoss(temperature=0.5))
    data = store.client.get_run(run.info.run_id).data
    assert {"train/loss", "train/loss_2"} <= set(data.metrics)
    assert data.params["objective.loss_2.arguments.temperature"] == "0.5"


def test_a_wrapped_loss_is_one_loss_and_its_miner_is_heard(store: Store) -> None:
    cross_modal_mlflow.autolog(log_every_n_steps=1)
    memory = losses.CrossBatchMemory(losses.SupConLoss(), 8, memory_size=64, miner=miners.MultiSimilarityMiner())
    with started(store) as run:
        train(2, loss=memory)
    data = store.client.get_run(run.info.run_id).data
    assert data.params["objective.loss.name"] == "CrossBatchMemory"
    assert "train/loss_2" not in data.metrics
    assert "train/positives" in data.metrics


def test_two_sets_of_embeddings_have_a_gap(store: Store) -> None:
    cross_modal_mlflow.autolog(log_every_n_steps=1)
    towers = [torch.randn(32, 8, requires_grad=True), torch.randn(32, 8, requires_grad=True)]
    with started(store) as run:
        losses.SupConLoss()(towers[0], LABELS, ref_emb=towers[1], ref_labels=LABELS)
    assert 0 < store.client.get_run(run.info.run_id).data.metrics["health/modality_gap"] < 2


def test_health_is_measured_under_autocast(store: Store) -> None:
    cross_modal_mlflow.autolog(log_every_n_steps=1)
    rows = torch.randn(32, 8, requires_grad=True)
    with started(store) as run, torch.autocast("cpu", torch.bfloat16):
        losses.SupConLoss()(rows, LABELS)
    assert store.client.get_run(run.info.run_id).data.metrics["health/effective_rank"] > 6


def test_parameters_of_the_user_stay(store: Store) -> None:
    cross_modal_mlflow.autolog(log_every_n_steps=1)
    with started(store) as run:
        mlflow.log_param("objective.loss.name", "my triplets")
        train(2)
    data = store.client.get_run(run.info.run_id).data
    assert data.params["objective.loss.name"] == "my triplets"
    assert data.params["objective.loss.arguments.margin"] == "0.3"
    assert "train/loss" in data.metrics


def test_our_own_runs_are_left_alone(store: Store) -> None:
    cross_modal_mlflow.autolog(log_every_n_steps=1)
    with tracked_run("train", store) as run:
        train()
    assert store.client.get_run(run.run_id).data.metrics == {}


def test_a_store_that_fails_costs_one_warning_and_no_training(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    plain = train(4)

    def fail(*args: Any, **kwargs: Any) -> None:
        raise OSError("the disk is full")

    cross_modal_mlflow.autolog(log_every_n_steps=1)
    with started(store), monkeypatch.context() as broken, caplog.at_level(logging.WARNING):
        broken.setattr(MlflowClient, "log_batch", fail)
        assert torch.equal(train(4), plain)
    assert sum("the disk is full" in record.getMessage() for record in caplog.records) == 1


def test_the_losss_own_errors_are_the_callers(store: Store) -> None:
    cross_modal_mlflow.autolog(log_every_n_steps=1)
    with started(store) as run:
        with pytest.raises(ValueError):
            losses.SupConLoss()(torch.randn(4, 8, requires_grad=True), torch.zeros(3))
        train(1)  # and the next call is logged
    assert len(history(run.info.run_id, "train/loss")) == 1


def test_a_step_count_below_one_is_refused() -> None:
    with pytest.raises(CrossModalError, match="expected log_every_n_steps of at least 1, found 0"):
        cross_modal_mlflow.autolog(log_every_n_steps=0)
    assert autologging._watcher is None
