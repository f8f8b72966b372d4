"""``cross-modal identify``: who is it, or nobody; measured; checked."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from toys.identities import write_gallery, write_identities
from toys.verification_models import write_model

from cross_modal_mlflow.command_line import main
from cross_modal_mlflow.store import tracking_uri

ENROLLED = 25


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A gallery of 25 people with 3 pictures each, one with a cohort and one without, and probes."""
    folder = tmp_path_factory.mktemp("identify")
    model = write_model(folder / "twin", thresholds={"picture_picture": 0.99})
    people = write_identities(folder / "people", ENROLLED, 4)
    others = write_identities(folder / "others", 30, 2, seed=1, prefix="s")
    cohort = write_identities(folder / "cohort", 40, 3, seed=2, prefix="c")
    first = people["image"].str.contains(r"_[012]\.png")
    write_gallery(folder / "staff.gallery", model, people[first], cohort)
    write_gallery(folder / "alone.gallery", model, people[first])
    write_gallery(folder / "few.gallery", model, people[first].iloc[:9])
    pd.concat([people, others]).to_csv(folder / "probes.csv", index=False)
    return folder


@pytest.fixture(autouse=True)
def here(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)


def said(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> tuple[str, str]:
    """What the command prints: answers and notes."""
    assert main(["identify", *words]) == code
    out, err = capsys.readouterr()
    return out, err


def test_people_are_named_with_score_threshold_and_margin(capsys: pytest.CaptureFixture[str]) -> None:
    out, err = said(capsys, "staff.gallery", "people/p03_3.png", "--rate", "0.2", "--json", "a.json")
    report = json.loads(Path("a.json").read_text())
    (answer,) = report["protocol"]["answers"]
    assert answer["nearest"] == "p03"
    assert answer["identity"] == ("p03" if answer["score"] >= answer["threshold"] else None)
    assert answer["margin"] > 0
    assert answer["runner_up"] != "p03"
    assert report["protocol"]["calibration"]["identities"] == ENROLLED
    assert report["protocol"]["cohort"]["identities"] == 40
    assert report["metrics"]["identification/calibration/threshold"] == answer["threshold"]
    assert f"{answer['threshold']:.4f}" in out
    assert "strangers taken for somebody" in out
    assert "--cohort" not in err


def test_several_pictures_make_several_rows_in_their_order(capsys: pytest.CaptureFixture[str]) -> None:
    said(capsys, "staff.gallery", "people/p01_3.png", "others/s00_0.png", "--how", "best", "--json", "b.json")
    answers = json.loads(Path("b.json").read_text())["protocol"]["answers"]
    assert [each["query"] for each in answers] == ["people/p01_3.png", "others/s00_0.png"]
    assert answers[0]["score"] > answers[1]["score"]


def test_a_stricter_rate_gives_a_higher_threshold(capsys: pytest.CaptureFixture[str]) -> None:
    thresholds = []
    for rate in ("0.3", "0.05", "0.001"):
        said(capsys, "staff.gallery", "people/p01_3.png", "--rate", rate, "--json", "c.json")
        thresholds.append(json.loads(Path("c.json").read_text())["protocol"]["answers"][0]["threshold"])
    assert thresholds == sorted(set(thresholds))


def test_without_a_cohort_one_line_says_how_to_attach_one(capsys: pytest.CaptureFixture[str]) -> None:
    _, err = said(capsys, "alone.gallery", "people/p03_3.png")
    assert "cross-modal index MODEL --data SOURCE --gallery alone.gallery --cohort SOURCE" in err
    assert "settled on the enrolled as strangers to each other" in err


def test_few_people_and_no_cohort_name_the_nearest_without_deciding(capsys: pytest.CaptureFixture[str]) -> None:
    out, err = said(capsys, "few.gallery", "people/p01_3.png", "--json", "d.json")
    (answer,) = json.loads(Path("d.json").read_text())["protocol"]["answers"]
    assert (answer["identity"], answer["nearest"], answer["threshold"]) == (None, "p01", None)
    assert "(nearest: p01)" in out
    assert "3 identities and no cohort settle no threshold" in err


def test_only_those_that_fulfil_the_conditions_are_enrolled(capsys: pytest.CaptureFixture[str]) -> None:
    said(capsys, "staff.gallery", "people/p03_3.png", "--where", "label=p04|p05", "--json", "e.json")
    (answer,) = json.loads(Path("e.json").read_text())["protocol"]["answers"]
    assert {answer["nearest"], answer["runner_up"]} == {"p04", "p05"}


def test_probes_are_measured_and_logged(capsys: pytest.CaptureFixture[str]) -> None:
    from mlflow import MlflowClient

    out, _ = said(capsys, "staff.gallery", "--data", "probes.csv", "--rate", "0.1", "--json", "f.json")
    report = json.loads(Path("f.json").read_text())
    metrics = report["metrics"]
    assert metrics["identification/probes_enrolled"] == ENROLLED  # the references themselves are left out
    assert metrics["identification/probes_strangers"] == 60
    assert metrics["identification/rank1"] > 0.9
    assert "75 probes are references of the gallery: they are left out" in out
    assert "25 identities enrolled" in out
    client = MlflowClient(tracking_uri())
    logged = client.get_run(report["run_id"]).data.metrics
    for name in ("rank1", "false_identification_rate", "detection_and_identification_rate_at_10pct"):
        assert logged[f"identification/{name}"] == pytest.approx(metrics[f"identification/{name}"])
    artifacts = {each.path for each in client.list_artifacts(report["run_id"])}
    assert {"answers.csv", "figures", "metrics.json", "protocol.json"} <= artifacts


def test_references_under_another_name_are_reported(capsys: pytest.CaptureFixture[str], place: Path) -> None:
    people = write_identities(place / "swapped", 3, 4, seed=3, prefix="w")
    people.loc[0, "image"] = str(place / "others" / "s05_0.png")
    matrix = write_gallery(place / "swapped.gallery", place / "twin", people).matrix()
    names, scores = matrix.column("label"), matrix.vectors @ matrix.vectors.T
    same = (names[:, None] == names) & (matrix.ids != "s05_0.png") & (matrix.ids != "s05_0.png")[:, None]
    wrong = np.median(scores[matrix.ids == "s05_0.png"][:, names == "w00"])
    between = float(wrong + scores[same].min()) / 2
    write_model(place / "strict", thresholds={"picture_picture": between})
    out, _ = said(capsys, "swapped.gallery", "--check", "--model", "strict", "--json", "g.json")
    report = json.loads(Path("g.json").read_text())
    assert "s05_0.png" in {each["reference"] for each in report["protocol"]["far"] if each["identity"] == "w00"}
    assert "checked: 12 references of 3 identities" in out


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ([], "identify: expected a GALLERY, found none"),
        (["staff.gallery"], "expected pictures, --data PROBES or --check, found none of them"),
        (["staff.gallery", "a.png", "--check"], "expected one of pictures, --data and --check, found 2"),
        (["staff.gallery", "a.png", "--rate", "1"], "--rate: expected a number between 0 and 1, found 1.0"),
        (["staff.gallery", "a.png", "--split", "test"], "--split: expected --data PROBES beside it, found none"),
        (["staff.gallery", "gone.png"], "expected a picture, found nothing at gone.png"),
        (["gone.gallery", "people/p03_3.png"], "gone.gallery"),
        (["staff.gallery", "--data", "probes.csv", "--split", "train", "--where", "label=nobody"], "with a label"),
    ],
)
def test_errors_are_one_line(capsys: pytest.CaptureFixture[str], words: list[str], line: str) -> None:
    _, err = said(capsys, *words, code=2)
    assert line in err
    assert err.count("\n") == 1
