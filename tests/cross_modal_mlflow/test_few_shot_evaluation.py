"""The work of the evaluator: what is asked of the model, what is logged, and what is said when it cannot be done."""

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow.data.evaluation_dataset import EvaluationDataset
from mlflow.models import EvaluationResult
from toys.colours import ColourModel, colour_table

from cross_modal.errors import CrossModalError
from cross_modal_mlflow.few_shot_evaluation import evaluate_few_shot
from cross_modal_mlflow.flavor import FLAVOR_NAME

QUICK = {"ways": 5, "shots": [0, 1], "episodes": 30, "queries": 2, "pairs": 60, "resamples": 100, "kshot": 1}


@pytest.fixture
def run_id(workplace: Path) -> Iterator[str]:
    mlflow.set_tracking_uri(f"sqlite:///{workplace}/mlruns/mlflow.db")
    mlflow.create_experiment("colours", artifact_location=str(workplace / "artifacts"))
    mlflow.set_experiment("colours")
    with mlflow.start_run() as run:
        yield run.info.run_id
    mlflow.set_tracking_uri(None)  # type: ignore[arg-type]


def _evaluate(
    run_id: str, table: pd.DataFrame, model: Any, *, logs_metrics: bool = True, **config: Any
) -> EvaluationResult:
    predictions = "features" if "features" in table else None
    targets = "label" if "label" in table else None
    dataset = EvaluationDataset(table, targets=targets, predictions=predictions, name="colours", digest="ab12")
    return evaluate_few_shot(
        model=model,
        model_type="few-shot",
        dataset=dataset,
        run_id=run_id,
        config={**QUICK, **config},
        logs_metrics=logs_metrics,
    )


def test_metrics_are_logged_once_and_everything_else_beside_them(run_id: str) -> None:
    result = _evaluate(run_id, colour_table(), ColourModel())
    client = mlflow.MlflowClient()
    logged = client.get_run(run_id).data.metrics
    assert logged == result.metrics
    assert [metric.value for metric in client.get_metric_history(run_id, "verification/eer")] == [0]
    files = {file.path for file in client.list_artifacts(run_id)}
    for name in ("protocol.json", "metrics.json", "episodes.png", "kshot.json", "kshot_curves.png", "matches.html",
                 "verification.png", "hardest_pairs.json", "picture_to_text.json"):  # fmt: skip
        assert f"few_shot_{name}" in files
    assert {Path(artifact.uri).name for artifact in result.artifacts.values()} <= files


def test_where_mlflow_logs_the_metrics_they_are_not_logged_here(run_id: str) -> None:
    result = _evaluate(run_id, colour_table(), ColourModel(), logs_metrics=False)
    assert result.metrics["episodes/5way_1shot/accuracy"] == 1
    assert not mlflow.get_run(run_id).data.metrics


def test_the_protocol_says_what_was_measured_and_how(run_id: str) -> None:
    protocol = _evaluate(run_id, colour_table(), ColourModel()).artifacts["few_shot_protocol"].content
    assert (protocol["data"], protocol["digest"], protocol["split"]) == ("colours", "ab12", "all")
    assert protocol["profile"]["classes"] == 6
    assert protocol["settings"]["episodes"] == 30
    assert protocol["pairs"] == "drawn from labels"
    assert "K=1" in protocol["kshot"]
    json.dumps(protocol)


def test_embeddings_of_a_column_are_measured_without_a_model(run_id: str) -> None:
    table = colour_table()[["label"]]
    features = [(row % 8 * 0.01, *np.eye(6)[row // 8]) for row in range(len(table))]
    result = _evaluate(run_id, table.assign(features=features), None)
    assert result.metrics["episodes/5way_1shot/accuracy"] == 1
    assert result.metrics["retrieval/image_to_image/recall_at_1"] == 1


def test_rows_of_other_splits_are_not_asked_for(run_id: str) -> None:
    table = pd.concat([colour_table(6, 8).assign(split="test"), colour_table(8, 8)[48:].assign(split="train")])
    model = ColourModel()
    _evaluate(run_id, table.reset_index(drop=True), model)
    assert model.calls == [("image", 48), ("text", 6)]


def test_a_model_without_a_text_trunk_is_measured_on_pictures(run_id: str) -> None:
    model: Any = ColourModel()
    summary = {"image_trunk": "conv4", "text_trunk": "none", "metric": "euclidean"}
    model.metadata = SimpleNamespace(metadata={FLAVOR_NAME: summary})
    result = _evaluate(run_id, colour_table(), model)
    assert {name for name, _ in model.calls} == {"image"}
    assert "retrieval/image_to_image/recall_at_1" in result.metrics
    protocol = result.artifacts["few_shot_protocol"].content
    assert protocol["metric"] == "euclidean"
    assert "the model reads no texts: those of the table are passed over" in protocol["notes"]
    with pytest.raises(CrossModalError, match="the model reads no texts"):
        _evaluate(run_id, colour_table().drop(columns="image"), model)


@pytest.mark.parametrize(
    ("change", "config", "said"),
    [
        ({}, {"episode": 3}, "unknown 'episode'"),
        ({"image": b"\x89PNG\r\nbroken"}, {}, "image of 12 bytes is unreadable"),
        ({"image": "gone.png"}, {}, "row 0: image: "),
        ({"label": None}, {}, "row 0: label: expected a class"),
    ],
)
def test_what_can_be_known_before_is_said_before_the_model_is_asked(
    run_id: str, change: dict[str, Any], config: dict[str, Any], said: str
) -> None:
    model = ColourModel()
    with pytest.raises(CrossModalError, match=said):
        _evaluate(run_id, colour_table().assign(**change), model, **config)
    assert not model.calls
