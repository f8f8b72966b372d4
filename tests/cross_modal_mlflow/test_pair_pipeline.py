"""Training on a manifest of pairs, from the command line to what the store holds; then measured again."""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from toys.pairs_on_disk import SETTINGS, picture_of, write_pairs, write_triplets

from cross_modal.encoders.saved_twin import read_card
from cross_modal.objectives.pair_head_file import load_pair_head
from cross_modal.verification.saved_calibration import SavedCalibration
from cross_modal_mlflow.command_line import main
from cross_modal_mlflow.models import model_folder
from cross_modal_mlflow.store import open_store

FIGURES = ["curves", "reliability", "nearest_the_threshold"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, empty_database: Path) -> Iterator[Path]:
    """A working directory in which a twin has been trained on pairs of pictures. Its report is in report.json."""
    folder = tmp_path_factory.mktemp("pairs")
    (folder / "mlruns").mkdir()
    shutil.copy(empty_database, folder / "mlruns" / "mlflow.db")
    write_pairs(folder)
    before = Path.cwd()
    os.chdir(folder)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.delenv("MLFLOW_TRACKING_URI", raising=False)
            assert main(["train", "--config", "pairs.yaml", "--register", "shapes", "--json", "report.json"]) == 0
            yield folder
    finally:
        os.chdir(before)


@pytest.fixture
def report(place: Path) -> dict[str, Any]:
    return json.loads((place / "report.json").read_text())


def logged(report: dict[str, Any]) -> tuple[Any, Path]:
    run = open_store().client.get_run(report["run_id"])
    return run, Path(run.info.artifact_uri.removeprefix("file://"))


def twin_folder(report: dict[str, Any]) -> Path:
    return model_folder(f"runs:/{report['run_id']}/model", open_store)


class TestTraining:
    def test_the_run_has_metrics_figures_and_the_pairs_nearest_to_the_threshold(self, report: dict[str, Any]) -> None:
        run, artifacts = logged(report)
        assert run.info.status == "FINISHED"
        assert {"verification/eer", "verification/eer/ci95", "verification/accuracy", "verification/ece"} <= set(
            report["metrics"]
        )
        for name, value in report["metrics"].items():
            assert run.data.metrics[name] == pytest.approx(value)
        assert "validation/score" in run.data.metrics
        assert [name for name in FIGURES if not (artifacts / f"verification/{name}.png").is_file()] == []
        nearest = json.loads((artifacts / "verification/nearest_the_threshold.json").read_text())
        assert {"row", "same", "score", "probability", "a", "b", "a_looks", "b_looks"} <= set(nearest["columns"])
        away = np.abs(
            np.array([row[nearest["columns"].index("score")] for row in nearest["data"]])
            - report["metrics"]["verification/threshold"]
        )
        assert (np.diff(away) >= -2e-4).all()  # the table rounds

    def test_counts_and_digest_say_what_was_learned_from(self, report: dict[str, Any]) -> None:
        run, _ = logged(report)
        about = report["protocol"]
        assert about["pairs"] == about["same_pairs"] + about["different_pairs"]
        assert run.data.params["pairs.test.pairs"] == str(about["pairs"])
        assert int(run.data.params["pairs.train.same_pairs"]) > 0
        assert run.data.tags["cross_modal.digest"] == about["digest"]
        assert {each.tags[0].value for each in run.inputs.dataset_inputs} == {"train", "validation", "test"}

    def test_it_is_found_by_its_trunk_and_not_by_episodes_that_it_has_not(self, report: dict[str, Any]) -> None:
        tags = logged(report)[0].data.tags
        assert "conv4" in tags["cross_modal.trunk"]
        assert not {"cross_modal.ways", "cross_modal.shots"} & set(tags)

    def test_the_calibration_travels_with_the_model(self, report: dict[str, Any]) -> None:
        run, artifacts = logged(report)
        calibration = SavedCalibration.load(twin_folder(report))
        assert calibration is not None
        assert calibration.provenance["digest"] == report["protocol"]["digest"]
        assert calibration.provenance["split"] == "validation"
        assert calibration.main.threshold == pytest.approx(report["metrics"]["verification/threshold"])
        assert json.loads((artifacts / "verification.json").read_text()) == calibration.to_dict()
        assert run.data.metrics["calibration/same_pairs"] == calibration.main.same_pairs
        assert read_card(twin_folder(report))["card"]["digest"] == report["protocol"]["digest"]

    def test_it_becomes_a_version_with_a_score(self, report: dict[str, Any]) -> None:
        version = open_store().client.get_model_version_by_alias("shapes", "champion")
        assert version.run_id == report["run_id"]
        assert version.tags["cross_modal.metric"] == "verification/auc"
        assert float(version.tags["cross_modal.score"]) == pytest.approx(report["metrics"]["verification/auc"])


class TestLaterCommands:
    def test_evaluate_measures_the_same_pairs_alike(
        self, place: Path, report: dict[str, Any], capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["evaluate", f"runs:/{report['run_id']}/model", "--json", "again.json"]) == 0
        assert "pairs, " in capsys.readouterr().out
        again = json.loads((place / "again.json").read_text())
        assert again["metrics"] == pytest.approx(report["metrics"], abs=2e-3)  # the store keeps float16
        assert again["protocol"]["split_digest"] == report["protocol"]["split_digest"]
        run, artifacts = logged(again)
        assert run.data.tags["cross_modal.model"] == f"runs:/{report['run_id']}/model"
        assert (artifacts / "verification/curves.png").is_file()

    def test_verify_answers_by_the_models_threshold(
        self, place: Path, report: dict[str, Any], capsys: pytest.CaptureFixture[str]
    ) -> None:
        words = ["verify", f"runs:/{report['run_id']}/model", picture_of(0), picture_of(0), "--exit-code"]
        assert main(words) == 0
        threshold = f"threshold    {report['metrics']['verification/threshold']:.4f}"
        assert threshold in capsys.readouterr().out

    def test_a_file_is_measured_as_training_measured_it(self, place: Path, report: dict[str, Any]) -> None:
        table = pd.read_csv(place / "pairs.csv", dtype=str)
        table[table.split == "test"].to_csv(place / "test.csv", index=False)
        words = ["verify", f"runs:/{report['run_id']}/model", "--pairs", "test.csv", "--json", "file.json"]
        assert main(words) == 0
        found = json.loads((place / "file.json").read_text())["metrics"]
        for name in ("pairs", "accuracy", "eer", "auc"):
            assert found[f"verification/{name}"] == pytest.approx(report["metrics"][f"verification/{name}"], abs=2e-3)

    def test_the_served_model_answers_alike(self, place: Path, report: dict[str, Any]) -> None:
        import mlflow

        folder = twin_folder(report).parent
        pictures = [(place / picture_of(row)).read_bytes() for row in (0, 1)]
        request = pd.DataFrame({"image": pictures, "pair": ["p", "p"]})
        answer = mlflow.pyfunc.load_model(str(folder)).predict(request, {"task": "verify"})
        words = ["verify", str(folder), picture_of(0), picture_of(1), "--json", "answer.json"]
        assert main(words) == 0
        alone = json.loads((place / "answer.json").read_text())
        assert answer.score[0] == pytest.approx(alone["metrics"]["verification/score"], abs=1e-5)
        assert answer.threshold[0] == pytest.approx(alone["metrics"]["verification/threshold"])
        assert answer.probability[0] == pytest.approx(alone["metrics"]["verification/probability"], abs=1e-4)
        assert answer.label[0] == alone["protocol"]["decision"]

    def test_the_models_example_asks_whether_two_are_the_same_and_is_answered(self, report: dict[str, Any]) -> None:
        import mlflow
        from mlflow.models import Model

        folder = str(twin_folder(report).parent)
        model = Model.load(folder)
        assert model.load_input_example_params(folder) == {"task": "verify"}
        answer = mlflow.pyfunc.load_model(folder).predict(model.load_input_example(folder), {"task": "verify"})
        assert answer.pair.tolist() == ["first", "second"]
        assert set(answer.label) <= {"same", "different"}

    @pytest.mark.parametrize("option", [["--open-set"], ["--lake-runs", "runs.csv"]])
    def test_what_needs_classes_is_refused(
        self, report: dict[str, Any], option: list[str], capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["evaluate", f"runs:/{report['run_id']}/model", *option]) == 2
        assert f"{option[0]}: expected items with classes, found pairs in" in capsys.readouterr().err


class TestOtherKinds:
    def trained(self, place: Path, *words: str) -> dict[str, Any]:
        settings = {**SETTINGS, "training": {**SETTINGS["training"], "steps": 3}}
        (place / "short.yaml").write_text(yaml.safe_dump(settings))
        assert main(["train", "--config", "short.yaml", "--json", "other.json", *words]) == 0
        return json.loads((place / "other.json").read_text())

    def test_a_siamese_head_is_kept_and_used(self, place: Path) -> None:
        report = self.trained(
            place, "--data", "pairs.csv", "--pairs.objective.loss", "PairHeadLoss",
            "--pairs.objective.loss.arguments.head", "difference",
        )  # fmt: skip
        folder = twin_folder(report)
        head, calibration = load_pair_head(folder), SavedCalibration.load(folder)
        assert head is not None
        assert calibration is not None
        assert calibration.provenance["score"] == "head"
        table = pd.read_csv(place / "pairs.csv", dtype=str)
        table[table.split == "test"].to_csv(place / "test.csv", index=False)
        assert main(["verify", str(folder), "--pairs", "test.csv", "--json", "head.json"]) == 0
        again = json.loads((place / "head.json").read_text())
        assert again["metrics"]["verification/auc"] == pytest.approx(report["metrics"]["verification/auc"], abs=2e-2)

    def test_triplets_are_measured_as_pairs_and_by_their_order(self, place: Path) -> None:
        write_triplets(place)
        report = self.trained(place, "--data", "triplets.csv", "--pairs.objective.loss", "TripletMarginLoss")
        assert 0 <= report["metrics"]["verification/triplets/accuracy"] <= 1
        assert report["metrics"]["verification/pairs"] == report["protocol"]["pairs"]

    def test_graded_pairs_have_correlations_and_no_threshold(self, place: Path) -> None:
        table = pd.read_csv(place / "pairs.csv", dtype=str)
        table["score"] = np.where(table.same == "1", 0.9, 0.2) + np.arange(len(table)) % 5 / 50
        table.drop(columns="same").to_csv(place / "graded.csv", index=False)
        report = self.trained(place, "--data", "graded.csv", "--pairs.objective.loss", "CoSENTLoss")
        assert -1 <= report["metrics"]["verification/spearman"] <= 1
        assert SavedCalibration.load(twin_folder(report)) is None
        notes = (logged(report)[1] / "notes.txt").read_text()
        assert "no threshold was learned: graded pairs have none, and verify answers with the score alone" in notes

    def test_a_bad_manifest_is_one_line_with_file_and_row(
        self, place: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (place / "bad.csv").write_text("text_a,text_b,same\na,b,1\nc,,0\n")
        assert main(["train", "--config", "pairs.yaml", "--data", "bad.csv"]) == 2
        assert capsys.readouterr().err == "cross-modal: bad.csv row 2: expected image_b or text_b, found neither\n"
