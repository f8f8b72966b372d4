"""A tiny demo, trained once and looked at from all sides; then evaluated."""

import json
import signal
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from cross_modal.configuration import DataConfig
from cross_modal.data.sources import read_items
from cross_modal_mlflow.command_line import main
from cross_modal_mlflow.logged_items import log_items
from cross_modal_mlflow.models import model_folder
from cross_modal_mlflow.store import open_store
from cross_modal_mlflow.tracking import tracked_run, tracking_for


@pytest.fixture
def report(trained: Path) -> dict[str, Any]:
    return json.loads((trained / "report.json").read_text())


def logged(report: dict[str, Any]) -> tuple[Any, Path]:
    run = open_store().client.get_run(report["run_id"])
    return run, Path(run.info.artifact_uri.removeprefix("file://"))


def twin_folder(report: dict[str, Any]) -> Path:
    return model_folder(f"runs:/{report['run_id']}/model", open_store)


def test_report_has_the_design_keys(report: dict[str, Any]) -> None:
    assert set(report) == {"command", "version", "protocol", "metrics", "seconds", "run_id"}
    assert report["command"] == "demo"
    assert {"data", "digest", "split", "seeds", "episodes", "method"} <= set(report["protocol"])


def test_run_is_complete(trained: Path, report: dict[str, Any]) -> None:
    run, artifacts = logged(report)
    assert run.info.status == "FINISHED"
    assert run.data.params["training.steps"] == "3"
    assert int(run.data.params["data.test.classes"]) == report["protocol"]["classes"]
    for name, value in report["metrics"].items():
        assert run.data.metrics[name] == pytest.approx(value)
    assert {"episodes/20way_1shot/accuracy", "episodes/20way_0shot/accuracy"} <= set(report["metrics"])
    assert "episodes/20way_1shot_text/accuracy" in report["metrics"]
    assert run.data.metrics["validation/score"] >= 0
    contexts = {each.tags[0].value: each.dataset for each in run.inputs.dataset_inputs}
    assert set(contexts) == {"train", "validation", "test"}
    assert contexts["test"].digest == report["protocol"]["split_digest"]
    expected = [
        "config.yaml",
        "protocol.json",
        "metrics.json",
        "curves.png",
        "environment/packages.txt",
        "matches/matches.html",
        "matches/text_to_picture.json",
        "confusion/hardest_classes.png",
        "confusion/hardest_classes.json",
    ]
    assert [name for name in expected if not (artifacts / name).is_file()] == []
    assert not (trained / "mlruns" / "checkpoints").exists()


def test_the_twin_is_a_logged_model_of_the_run(trained: Path, report: dict[str, Any]) -> None:
    import mlflow

    store = open_store()
    run = store.client.get_run(report["run_id"])
    (output,) = run.outputs.model_outputs
    model = store.client.get_logged_model(output.model_id)
    assert (model.name, model.model_type, str(model.status)) == ("model", "few-shot", "READY")
    assert output.step == int(run.data.metrics["training/best_step"])
    assert model.params["training.steps"] == "3"
    assert model.tags["cross_modal.loss"] == "SupConLoss"
    assert model.tags["cross_modal.digest"] == report["protocol"]["digest"]
    folder = twin_folder(report).parent
    assert {path.suffix for path in (folder / "twin").iterdir()} == {".safetensors", ".json"}
    request = json.loads((folder / "serving_input_example.json").read_text())
    assert request["params"] == {"task": "classify"}
    assert [row[1] for row in request["dataframe_split"]["data"]] == ["support", "support", "query"]
    assert (
        mlflow.models.Model.load(str(folder)).metadata["cross_modal_mlflow"]["digest"]
        == model.tags["cross_modal.digest"]
    )


def test_every_trained_twin_has_thresholds_of_its_validation_classes(trained: Path, report: dict[str, Any]) -> None:
    from cross_modal.verification.saved_calibration import SavedCalibration

    run, artifacts = logged(report)
    calibration = SavedCalibration.load(twin_folder(report))
    assert calibration is not None
    assert list(calibration.calibrations) == ["picture_picture", "picture_text"]
    assert calibration.provenance["digest"] == report["protocol"]["digest"]
    assert json.loads((artifacts / "verification.json").read_text()) == calibration.to_dict()
    assert run.data.metrics["calibration/threshold"] == pytest.approx(calibration.main.threshold)
    assert run.data.metrics["calibration/picture_text/eer"] == pytest.approx(
        calibration.calibrations["picture_text"].eer.value
    )
    served = mlflow_model(report).predict(
        pd.DataFrame({"text": ["greek small letter alpha", "latin capital letter b"], "pair": ["p", "p"]}),
        {"task": "verify"},
    )
    assert served.label[0] in {"same", "different"}
    assert 0 <= served.probability[0] <= 1


def mlflow_model(report: dict[str, Any]) -> Any:
    import mlflow

    with tracking_for(open_store().uri):
        return mlflow.pyfunc.load_model(str(twin_folder(report).parent))


def test_scores_belong_to_run_model_and_dataset(trained: Path, report: dict[str, Any]) -> None:
    store = open_store()
    (output,) = store.client.get_run(report["run_id"]).outputs.model_outputs
    scores = {each.key: each for each in store.client.get_logged_model(output.model_id).metrics}
    for name, value in report["metrics"].items():
        assert scores[name].value == pytest.approx(value)
        assert scores[name].dataset_digest == report["protocol"]["split_digest"]
        assert scores[name].dataset_name == "glyphs"
        assert len(store.client.get_metric_history(report["run_id"], name)) == 1  # one row, not one for each of them
    assert "validation/score" in scores
    order = [{"field_name": "metrics.episodes/20way_1shot/accuracy", "dataset_name": "glyphs", "ascending": False}]
    best = store.client.search_logged_models([store.experiment_id], order_by=order)
    assert best[0].model_id == output.model_id


def test_curves_have_steps(trained: Path, report: dict[str, Any]) -> None:
    client = open_store().client
    losses = client.get_metric_history(report["run_id"], "train/loss")
    assert [metric.step for metric in losses] == [1, 3]
    scores = client.get_metric_history(report["run_id"], "validation/score")
    assert [metric.step for metric in scores] == [2, 3]


def test_config_artifact_runs_again(trained: Path, report: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    _, artifacts = logged(report)
    assert main(["train", "--config", str(artifacts / "config.yaml"), "--print_config"]) == 0
    again = yaml.safe_load(capsys.readouterr().out)
    settings = yaml.safe_load((artifacts / "config.yaml").read_text())
    assert {name: again[name] for name in settings} == settings


def test_evaluate_measures_the_logged_model_as_training_did(
    trained: Path, report: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    model = f"runs:/{report['run_id']}/model"
    assert main(["evaluate", model, "--ways", "5", "20", "--episodes", "20", "--json", "evaluated.json"]) == 0
    shown = capsys.readouterr().out
    assert "export MLFLOW_TRACKING_URI=sqlite:///" in shown
    assert "episodes/20way_1shot" in shown
    again = json.loads((trained / "evaluated.json").read_text())
    assert again["command"] == "evaluate"
    assert again["protocol"]["digest"] == report["protocol"]["digest"]
    assert again["metrics"] == pytest.approx(report["metrics"], abs=1e-6)
    run, artifacts = logged(again)
    assert run.info.status == "FINISHED"
    assert run.data.tags["cross_modal.model"] == model
    assert (artifacts / "protocol.json").is_file()


def test_evaluate_warns_of_classes_that_were_trained_on(
    trained: Path, report: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["evaluate", str(twin_folder(report)), "--split", "train", "--ways", "5", "--shots", "1", "--episodes", "5"]
    assert main(words) == 0
    assert "have the name of a class that the model was trained on" in capsys.readouterr().out


def test_evaluate_scores_lakes_runs(trained: Path, report: dict[str, Any], tmp_path: Path) -> None:
    import numpy as np
    from PIL import Image

    rows = ["run,test_image,support_image"]
    for run in ("run01", "run02"):
        for number in range(3):
            picture = np.zeros((32, 32), np.uint8)
            picture[4 + 8 * number : 10 + 8 * number] = 255
            for kind in ("test", "support"):
                Image.fromarray(picture).save(tmp_path / f"{run}_{kind}{number}.png")
            rows.append(f"{run},{run}_test{number}.png,{run}_support{number}.png")
    (tmp_path / "runs.csv").write_text("\n".join(rows) + "\n")
    words = ["evaluate", str(twin_folder(report).parent), "--ways", "5", "--shots", "1", "--episodes", "5"]
    assert main([*words, "--lake-runs", str(tmp_path / "runs.csv"), "--json", "lake.json"]) == 0
    found = json.loads((trained / "lake.json").read_text())["metrics"]
    assert found["lake/accuracy"] == 1.0  # each test image equals its support
    (tmp_path / "run01_test0.png").unlink()
    assert main([*words, "--lake-runs", str(tmp_path / "runs.csv")]) == 2


def test_interrupted_training_ends_killed_and_says_how_to_go_on(
    trained: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from cross_modal_mlflow.progress import Progress

    def interrupt(self: Progress, step: int, metrics: dict[str, float]) -> None:
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(Progress, "on_step", interrupt)
    assert main(["demo", "--config", "tiny.yaml"]) == 130
    (line,) = capsys.readouterr().err.splitlines()
    assert "ended KILLED; go on with: cross-modal train --resume " in line
    store = open_store()
    (latest,) = store.client.search_runs([store.experiment_id], max_results=1)
    assert latest.info.status == "KILLED"
    assert latest.info.run_id in line


def test_failed_training_ends_failed(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--config", "tiny.yaml", "--objective.loss", "NoSuchLoss"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "NoSuchLoss" in line
    store = open_store()
    (latest,) = store.client.search_runs([store.experiment_id], max_results=1)
    assert latest.info.status == "FAILED"
    assert "NoSuchLoss" in latest.data.tags["cross_modal.error"]


def test_a_logged_split_is_loaded_as_it_was_made(workplace: Path) -> None:
    import mlflow

    rows = [f"name {number} of {label},class {label}" for label in range(12) for number in range(3)]
    Path("names.csv").write_text("\n".join(["text,label", *rows]) + "\n")
    store, config = open_store(), DataConfig(seed=3)
    items = read_items("names.csv", config)
    with tracked_run("train", store) as run:
        log_items(run, items, ("test",), config)
    (logged_input,) = store.client.get_run(run.run_id).inputs.dataset_inputs
    loaded = mlflow.data.get_source(logged_input).load()
    assert loaded.digest == items.split("test").digest
    assert loaded.digest != read_items("names.csv").split("test").digest
