"""The command for real: a small twin on shapes, and stored features without any model."""

import csv
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from toys.axes import write_axes
from toys.shapes import experiment, shapes

from cross_modal.encoders.build import build_twin
from cross_modal.encoders.saved_twin import save_twin
from cross_modal.fewshot.kshot_split import KShotSplit
from cross_modal_mlflow.command_line import main
from cross_modal_mlflow.store import open_store

METHODS = ["--methods", "zero_shot", "prototypes"]


@pytest.fixture
def features(workplace: Path) -> Path:
    return write_axes(workplace / "axes.npz")


@pytest.fixture
def model(workplace: Path) -> Path:
    """An untrained twin and shapes.csv, test classes of ten pictures each."""
    items = shapes(per_class=10)
    rows = ["image,text,label,split"]
    for row in np.flatnonzero(items.splits == "test").tolist():
        Image.fromarray(items.images[row]).save(workplace / f"{row}.png")
        rows.append(f"{row}.png,{items.texts[row]},{items.labels[row]},test")  # type: ignore[index]
    (workplace / "shapes.csv").write_text("\n".join(rows) + "\n")
    return save_twin(build_twin(experiment().twin, texts=list(items.texts)), workplace / "twin")


def failure(argv: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert main(argv) == 2
    captured = capsys.readouterr()
    (line,) = captured.err.splitlines()
    return line


def logged(run_id: str) -> tuple[Any, Path]:
    run = open_store().client.get_run(run_id)
    return run, Path(run.info.artifact_uri.removeprefix("file://"))


def runs() -> list[Any]:
    store = open_store()
    return list(store.client.search_runs([store.experiment_id]))


def test_features_are_measured_without_model_or_data(features: Path, capsys: pytest.CaptureFixture[str]) -> None:
    argv = ["evaluate", "--features", str(features), "--kshot", "1", "4", "--seeds", "1", "2", *METHODS]
    assert main([*argv, "--json", "report.json", "--csv", "deep/fits.csv"]) == 0
    shown = capsys.readouterr().out
    report = json.loads(Path("report.json").read_text())
    assert set(report) == {"command", "version", "protocol", "metrics", "seconds", "run_id"}
    assert report["metrics"]["kshot/zero_shot/0shot/accuracy"] == 1.0
    assert report["metrics"]["kshot/prototypes/4shot/accuracy"] == 1.0
    assert "kshot/prototypes/4shot/accuracy/ci95" in report["metrics"]
    protocol = report["protocol"]
    assert {"data", "digest", "split", "seeds", "method", "classes"} <= set(protocol)
    assert re.fullmatch(r"axes K=1,4 seeds=1-2 val=min\(K,4\) views=1 select=val split=\w{8}", protocol["method"])
    assert re.search(r"Prototypes +100\.00 ± 0\.0 +100\.00 ± 0\.0 +\+0\.00 ± 0\.0", shown)
    assert protocol["method"] in shown
    assert "export MLFLOW_TRACKING_URI=" in shown
    fits = list(csv.DictReader(Path("deep/fits.csv").read_text().splitlines()))
    assert [(fit["method"], fit["shots"], fit["seed"]) for fit in fits] == [
        ("zero_shot", "0", "1"),
        *(("prototypes", shots, seed) for shots in "14" for seed in "12"),
    ]
    assert {fit["protocol"] for fit in fits} == {protocol["method"]}


def test_everything_is_logged(features: Path) -> None:
    argv = ["evaluate", "--features", str(features), "--kshot", "1", "2", "--seeds", "1", "2", *METHODS]
    assert main([*argv, "--json", "report.json", "--csv", "fits.csv"]) == 0
    report = json.loads(Path("report.json").read_text())
    run, artifacts = logged(report["run_id"])
    assert run.info.status == "FINISHED"
    for name, value in report["metrics"].items():
        assert run.data.metrics[name] == pytest.approx(value), name
    assert run.data.tags["cross_modal.protocol"] == report["protocol"]["method"]
    assert json.loads((artifacts / "protocol.json").read_text()) == report["protocol"]
    assert (artifacts / "kshot.csv").read_text() == Path("fits.csv").read_text()
    assert Image.open(artifacts / "kshot.png").size[0] > 800
    assert "accuracy" in json.loads((artifacts / "kshot.json").read_text())["columns"]
    splits = json.loads((artifacts / "splits.json").read_text())
    read = [KShotSplit.from_json(json.dumps(split)) for split in splits["splits"]]
    assert {f"{split.shots}shot_seed{split.seed}": split.digest for split in read} == splits["digests"]
    assert set(splits["digests"]) == {"1shot_seed1", "1shot_seed2", "2shot_seed1", "2shot_seed2"}
    assert set(read[0].support["0"]) < set(read[2].support["0"])


def test_features_without_numbers_take_the_published_ones(features: Path) -> None:
    words = ["--features", str(features), "--seeds", "1", *METHODS]
    assert main(["evaluate", *words, "--allow-fewer", "--json", "report.json"]) == 0
    report = json.loads(Path("report.json").read_text())
    assert report["protocol"]["shots"] == [1, 2, 4, 8, 16]
    assert not any("ci95" in name for name in report["metrics"])


def test_a_twin_is_measured_on_divided_classes(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [str(model), "--data", "shapes.csv", "--kshot", "0", "1", "2", "--seeds", "1", "2", *METHODS]
    assert main(["evaluate", *words, "--json", "report.json"]) == 0
    report = json.loads(Path("report.json").read_text())
    protocol = report["protocol"]
    assert (protocol["pools"], protocol["classes"], protocol["shots"]) == ("divided classes", 6, [1, 2])
    assert [protocol[f"{name}_pictures"] for name in ("support", "validation", "test")] == [30, 12, 18]
    assert set(protocol["methods"]) == {"zero_shot", "prototypes"}
    assert protocol["model"] == str(model)
    run, artifacts = logged(report["run_id"])
    assert [each.dataset.digest for each in run.inputs.dataset_inputs]
    splits = json.loads((artifacts / "splits.json").read_text())
    drawn = {name for split in splits["splits"] for names in split["support"].values() for name in names}
    assert drawn <= set(splits["items"])
    assert all(where.startswith("shapes.csv row ") for where in splits["items"].values())
    assert "0 shots" in capsys.readouterr().out


def test_a_twin_is_measured_on_the_datas_own_splits_where_they_share_their_classes(model: Path) -> None:
    header, *rows = Path("shapes.csv").read_text().splitlines()
    split = ["train"] * 5 + ["val"] * 2 + ["test"] * 3
    own = [row.removesuffix("test") + split[number % 10] for number, row in enumerate(rows)]
    Path("own.csv").write_text("\n".join([header, *own]) + "\n")
    words = [str(model), "--data", "own.csv", "--kshot", "4", "--seeds", "1", *METHODS]
    assert main(["evaluate", *words, "--json", "report.json"]) == 0
    report = json.loads(Path("report.json").read_text())
    assert report["protocol"]["pools"] == "own splits"
    run, _ = logged(report["run_id"])
    assert {each.tags[0].value for each in run.inputs.dataset_inputs} == {"train", "validation", "test"}


def test_views_and_names_are_as_asked(model: Path) -> None:
    words = [str(model), "--data", "shapes.csv", "--kshot", "1", "--seeds", "1", "--methods", "prototypes"]
    assert main(["evaluate", *words, "--views", "3", "--without-texts", "--json", "report.json"]) == 0
    protocol = json.loads(Path("report.json").read_text())["protocol"]
    assert "views=3" in protocol["method"]
    assert "texts=none" in protocol["method"]
    assert protocol["texts"] is False
    assert protocol["views_are"] == "photo"  # a model that does not say how it was trained


def test_without_kshot_episodes_are_measured_as_ever(model: Path) -> None:
    words = [str(model), "--data", "shapes.csv", "--ways", "5", "--shots", "1", "--episodes", "5"]
    assert main(["evaluate", *words, "--json", "report.json"]) == 0
    names = json.loads(Path("report.json").read_text())["metrics"]
    assert "episodes/5way_1shot/accuracy" in names
    assert not any(name.startswith("kshot/") for name in names)


def test_a_class_with_fewer_pictures_than_shots_is_named(
    features: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--kshot", "9", "--json", "report.json", "--csv", "fits.csv", *METHODS]
    line = failure(["evaluate", "--features", str(features), *words], capsys)
    assert "class '0': expected 9 items for 9 shots, found 8" in line
    assert "--allow-fewer" in line
    line = failure(["evaluate", str(model), "--data", "shapes.csv", *words], capsys)
    assert "expected 9 items for 9 shots, found 5" in line
    assert "tested or validate" in line
    assert not Path("report.json").exists()
    assert not Path("fits.csv").exists()
    assert {run.info.status for run in runs()} <= {"FAILED"}


def test_bad_features_are_one_line(workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    broken = np.eye(4, 6)
    broken[2, 3] = np.nan
    for replaced, says in (
        ({"test_features": None}, "expected the key test_features"),
        ({"train_features": broken, "train_labels": np.arange(4)}, "row 2"),
    ):
        path = write_axes(workplace / "bad.npz", **replaced)  # type: ignore[arg-type]
        assert says in failure(["evaluate", "--features", str(path), "--kshot", "1"], capsys)
    assert "no such file" in failure(["evaluate", "--features", "absent.npz"], capsys)
    assert runs() == []
