"""`cross-modal evaluate` on pairs and triplets: what it measures is what can be counted by hand from the scores."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from toys.verification_models import write_model

from cross_modal.encoders.embedding import embed_texts
from cross_modal.encoders.saved_twin import load_twin
from cross_modal_mlflow.command_line import main
from cross_modal_mlflow.store import open_store

THRESHOLD = 0.88  # amid the scores of an untrained twin
SPLITS = ("train", "validation", "test")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("models")
    return {
        "calibrated": str(write_model(folder / "calibrated", thresholds={"text_text": THRESHOLD})),
        "bare": str(write_model(folder / "bare", thresholds={})),
        "head": str(write_model(folder / "head", head=True)),
    }


@pytest.fixture
def place(workplace: Path) -> Path:
    """A folder with pairs.csv, graded.csv and triplets.csv of words; no word stands in two splits."""
    random = np.random.default_rng(0)
    letters = np.array(list("abcdefgh ijklmnop"))
    words = {split: [f"{split[0]}{''.join(random.choice(letters, 12))}" for _ in range(20)] for split in SPLITS}
    tables: dict[str, list[list[object]]] = {
        "pairs.csv": [["text_a", "text_b", "same", "split"]],
        "graded.csv": [["text_a", "text_b", "score", "split"]],
        "triplets.csv": [["text_anchor", "text_positive", "text_negative", "split"]],
    }
    for split in SPLITS:
        for number in range(30):
            a, b, c = random.permutation(words[split])[:3]
            tables["pairs.csv"].append([a, b, number % 2, split])
            tables["graded.csv"].append([a, b, number % 5 / 5, split])
            tables["triplets.csv"].append([a, b, c, split])
    for name, rows in tables.items():
        with (workplace / name).open("w", newline="") as file:
            csv.writer(file).writerows(rows)
    return workplace


def evaluated(place: Path, *words: str) -> dict[str, Any]:
    assert main(["evaluate", *words, "--json", "report.json"]) == 0
    return json.loads((place / "report.json").read_text())


def scores(model: str, rows: list[list[str]]) -> np.ndarray:
    """Cosines of pairs of texts."""
    a, b = (embed_texts(load_twin(model), [row[side] for row in rows]).astype(np.float64) for side in (0, 1))
    return (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)


def rows_of(place: Path, name: str, split: str = "test") -> list[list[str]]:
    return [row for row in csv.reader((place / name).open()) if row[-1] == split]


@pytest.mark.parametrize("split", ["test", "validation"])
def test_error_rates_are_those_of_the_splits_pairs_at_the_models_threshold(
    models: dict[str, str], place: Path, split: str
) -> None:
    metrics = evaluated(place, models["calibrated"], "--data", "pairs.csv", "--split", split)["metrics"]
    rows = rows_of(place, "pairs.csv", split)
    found = scores(models["calibrated"], [row[:2] for row in rows])
    assert 0.1 < (found >= THRESHOLD).mean() < 0.9
    same, accepted = np.array([row[2] == "1" for row in rows]), found >= THRESHOLD
    assert metrics["verification/pairs"] == len(rows) == 30
    assert metrics["verification/threshold"] == pytest.approx(THRESHOLD)
    assert metrics["verification/accuracy"] == pytest.approx((accepted == same).mean())
    assert metrics["verification/false_accept_rate"] == pytest.approx(accepted[~same].mean())
    higher = found[same][:, None] - found[~same]
    assert metrics["verification/auc"] == pytest.approx(
        ((higher > 0) + (higher == 0) / 2).mean(), abs=0.01
    )  # the store keeps float16


def test_triplets_are_measured_by_their_order_too(models: dict[str, str], place: Path) -> None:
    metrics = evaluated(place, models["calibrated"], "--data", "triplets.csv")["metrics"]
    rows = rows_of(place, "triplets.csv")
    near = scores(models["calibrated"], [[row[0], row[1]] for row in rows])
    far = scores(models["calibrated"], [[row[0], row[2]] for row in rows])
    assert metrics["verification/triplets/accuracy"] == pytest.approx((near > far).mean(), abs=1 / 30)
    assert metrics["verification/pairs"] == 2 * len(rows)


def test_graded_pairs_have_correlations_and_nothing_of_a_threshold(models: dict[str, str], place: Path) -> None:
    metrics = evaluated(place, models["calibrated"], "--data", "graded.csv")["metrics"]
    assert {"verification/spearman", "verification/pearson", "verification/pairs"} <= set(metrics)
    assert not {"verification/threshold", "verification/accuracy"} & set(metrics)


def test_a_model_without_a_threshold_is_measured_without_one_and_says_so(
    models: dict[str, str], place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = evaluated(place, models["bare"], "--data", "pairs.csv")
    assert "verification/eer" in report["metrics"]
    assert "verification/accuracy" not in report["metrics"]
    assert "note: the model has no calibration: no threshold, no accuracy at it" in capsys.readouterr().out


def test_a_head_scores_in_place_of_the_metric(models: dict[str, str], place: Path) -> None:
    report = evaluated(place, models["head"], "--data", "pairs.csv")
    assert report["protocol"]["method"].startswith("score: head;")


def test_the_run_holds_settings_counts_figures_and_numbers(models: dict[str, str], place: Path) -> None:
    report = evaluated(place, models["calibrated"], "--data", "pairs.csv", "--split", "all")
    run = open_store().client.get_run(report["run_id"])
    artifacts = Path(run.info.artifact_uri.removeprefix("file://"))
    assert run.info.status == "FINISHED"
    assert run.data.params["pairs.all.pairs"] == "90"
    assert run.data.params["split"] == "all"
    assert run.data.tags["cross_modal.model"] == models["calibrated"]
    assert [each.tags[0].value for each in run.inputs.dataset_inputs] == ["all"]
    assert json.loads((artifacts / "protocol.json").read_text()) == report["protocol"]
    assert json.loads((artifacts / "metrics.json").read_text()) == pytest.approx(report["metrics"])
    for name in ("curves.png", "reliability.png", "nearest_the_threshold.png"):
        assert (artifacts / "verification" / name).is_file()


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--data", "pairs.csv", "--open-set"], "--open-set: expected items with classes, found pairs in pairs.csv"),
        (["--data", "pairs.csv", "--lake-runs", "r.csv"], "--lake-runs: expected items with classes, found pairs in"),
        (["--data", "trained.csv"], "trained.csv: expected pairs in the split test, found none"),
        (["--data", "none.csv"], "none.csv: expected a manifest, found no such file"),
    ],
)
def test_what_cannot_be_measured_is_one_line_and_no_run(
    models: dict[str, str], place: Path, words: list[str], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (place / "trained.csv").write_text("text_a,text_b,same,split\na,b,1,train\nc,d,0,train\n")
    assert main(["evaluate", models["calibrated"], *words]) == 2
    said = capsys.readouterr().err
    assert line in said
    assert said.count("\n") == 1
    store = open_store()
    assert store.client.search_runs([store.experiment_id]) == []


def test_one_verdict_is_one_line(models: dict[str, str], place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (place / "same.csv").write_text("text_a,text_b,same,split\na,b,1,test\nc,d,1,test\n")
    assert main(["evaluate", models["calibrated"], "--data", "same.csv"]) == 2
    said = capsys.readouterr().err
    assert "found" in said
    assert said.count("\n") == 1
