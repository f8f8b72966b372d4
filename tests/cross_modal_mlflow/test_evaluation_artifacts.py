"""Artifacts lie at the top of the run, come back with their content, and never mix with an earlier evaluation's."""

from collections.abc import Iterator
from pathlib import Path

import mlflow
import pytest
from matplotlib.figure import Figure
from mlflow.models import EvaluationResult

from cross_modal_mlflow.evaluation_artifacts import EvaluationArtifacts


@pytest.fixture
def run_id(workplace: Path) -> Iterator[str]:
    mlflow.set_tracking_uri(f"sqlite:///{workplace}/mlruns/mlflow.db")
    mlflow.create_experiment("artifacts", artifact_location=str(workplace / "artifacts"))
    mlflow.set_experiment("artifacts")
    with mlflow.start_run() as run:
        yield run.info.run_id
    mlflow.set_tracking_uri(None)  # type: ignore[arg-type]


def _log(run_id: str, value: int) -> EvaluationArtifacts:
    artifacts = EvaluationArtifacts(run_id)
    artifacts.document({"value": value}, "protocol")
    artifacts.text(f"note {value}", "notes")
    artifacts.table({"value": [value]}, "metrics")
    figure = Figure(figsize=(1, 1))
    figure.add_subplot().plot([0, value])
    artifacts.figure(figure, "curve")
    artifacts.figure(None, "nothing")
    return artifacts


def test_everything_comes_back(run_id: str) -> None:
    found = _log(run_id, 1).found
    assert sorted(found) == ["few_shot_curve", "few_shot_metrics", "few_shot_notes", "few_shot_protocol"]
    assert found["few_shot_protocol"].content == {"value": 1}
    assert found["few_shot_notes"].content == "note 1"
    assert found["few_shot_curve"].content.size[0] > 0
    result = EvaluationResult(metrics={}, artifacts=found, run_id=run_id)
    assert result.tables["few_shot_metrics"]["value"].tolist() == [1]


def test_a_second_evaluation_in_the_run_has_names_of_its_own(run_id: str) -> None:
    _log(run_id, 1)
    second = _log(run_id, 2)
    third = _log(run_id, 3)
    assert "few_shot_metrics_2" in second.found
    assert "few_shot_metrics_3" in third.found
    assert mlflow.load_table("few_shot_metrics.json", [run_id])["value"].tolist() == [1]
    assert mlflow.load_table("few_shot_metrics_2.json", [run_id])["value"].tolist() == [2]


def test_a_result_can_be_saved_and_read(run_id: str, tmp_path: Path) -> None:
    EvaluationResult({"a": 1.0}, _log(run_id, 1).found, run_id).save(str(tmp_path / "saved"))
    read = EvaluationResult.load(str(tmp_path / "saved"))
    assert read.metrics == {"a": 1.0}
    assert read.artifacts["few_shot_notes"].content == "note 1"
