"""`cross-modal verify --pairs` on a file with verdicts leaves a run as `evaluate` does; other answers leave none."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from toys.verification_models import write_model, write_picture

from cross_modal_mlflow.command_line import main
from cross_modal_mlflow.store import open_store
from cross_modal_mlflow.verification_run import file_digest


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_model(tmp_path_factory.mktemp("model") / "twin"))


@pytest.fixture
def place(workplace: Path) -> Path:
    """A folder with pairs.csv: pictures, every third pair the same."""
    for seed in range(6):
        write_picture(workplace / f"{seed}.png", seed)
    with (workplace / "pairs.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["image_a", "image_b", "same"])
        table.writerows([f"{a}.png", f"{b}.png", int((a + b) % 3 == 0)] for a in range(6) for b in range(a))
        table.writerow(["0.png", "1.png", "0"])  # 1.png and 0.png once more
    return workplace


def runs() -> list[Any]:
    store = open_store()
    return store.client.search_runs([store.experiment_id])


def test_metrics_figures_settings_and_answers_are_kept(
    model: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["verify", model, "--pairs", "pairs.csv", "--out", "mine.csv", "--json", "report.json"]) == 0
    report = json.loads((place / "report.json").read_text())
    (run,) = runs()
    assert (run.info.run_id, run.info.status) == (report["run_id"], "FINISHED")
    assert f"run:  {report['run_id']}" in capsys.readouterr().out
    for name, value in report["metrics"].items():
        assert run.data.metrics[name] == pytest.approx(value)
    assert run.data.params["data.rows"] == run.data.params["data.pairs.picture_picture"] == "16"
    assert (run.data.tags["cross_modal.command"], run.data.tags["cross_modal.model"]) == ("verify", model)
    assert run.data.tags["cross_modal.digest"] == report["protocol"]["digest"] == file_digest(place / "pairs.csv")
    artifacts = Path(run.info.artifact_uri.removeprefix("file://"))
    for name in ("curves.png", "reliability.png", "nearest_the_threshold.png"):
        assert (artifacts / "verification" / name).is_file()
    assert (artifacts / "answers.csv").read_bytes() == (place / "mine.csv").read_bytes()
    assert json.loads((artifacts / "metrics.json").read_text()) == pytest.approx(report["metrics"])


def test_the_pairs_shown_are_those_nearest_to_the_threshold_each_once(model: str, place: Path) -> None:
    assert main(["verify", model, "--pairs", "pairs.csv", "--out", "mine.csv"]) == 0
    (run,) = runs()
    table = json.loads(
        (Path(run.info.artifact_uri.removeprefix("file://")) / "verification/nearest_the_threshold.json").read_text()
    )
    answers = list(csv.DictReader((place / "mine.csv").open()))
    threshold = run.data.metrics["verification/threshold"]
    wanted = sorted(answers[:15], key=lambda row: abs(float(row["answer_score"]) - threshold))
    rows = [row[table["columns"].index("row")] for row in table["data"]]
    assert rows == [int(row["row"]) for row in wanted]


@pytest.mark.parametrize(
    "words", [["--pairs", "pairs.csv", "--no-track"], ["--pairs", "asked.csv"], ["0.png", "1.png"]]
)
def test_other_answers_leave_no_run(model: str, place: Path, words: list[str]) -> None:
    (place / "asked.csv").write_text("image_a,image_b\n0.png,1.png\n")
    assert main(["verify", model, *words, "--json", "report.json"]) == 0
    assert runs() == []
    assert json.loads((place / "report.json").read_text())["run_id"] is None


def test_answers_for_the_terminal_are_kept_too(model: str, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", model, "--pairs", "pairs.csv", "--out", "-"]) == 0
    (run,) = runs()
    out, err = capsys.readouterr()
    assert (Path(run.info.artifact_uri.removeprefix("file://")) / "answers.csv").read_text() == out
    assert run.info.run_id in err


def test_a_bad_row_ends_the_run_failed_with_the_reason(model: str, place: Path) -> None:
    (place / "bad.csv").write_text("image_a,image_b,same\n0.png,1.png,1\n0.png,none.png,0\n")
    assert main(["verify", model, "--pairs", "bad.csv"]) == 2
    (run,) = runs()
    assert run.info.status == "FAILED"
    assert "bad.csv row 2" in run.data.tags["cross_modal.error"]
    assert main(["verify", model, "--pairs", "bad.csv", "--items.on-bad-item", "skip"]) == 0
    skipped = Path(runs()[0].info.artifact_uri.removeprefix("file://")) / "skipped_items.json"
    assert "none.png" in skipped.read_text()


def test_splits_in_the_file_are_named(model: str, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (place / "parts.csv").write_text("text_a,text_b,same,split\na,b,1,train\na,c,0,test\nb,c,0,test\n")
    assert main(["verify", model, "--pairs", "parts.csv", "--no-track"]) == 0
    assert "note: parts.csv has splits, and all of them were measured: evaluate measures one" in capsys.readouterr().out


def test_not_to_track_needs_a_file(model: str, workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", model, "a", "b", "--no-track"]) == 2
    assert "--no-track: expected --pairs FILE beside it, found none" in capsys.readouterr().err
