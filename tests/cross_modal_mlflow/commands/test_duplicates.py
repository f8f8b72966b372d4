"""``cross-modal duplicates`` as a user types it."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from toys.calibrations import calibrated
from toys.reference_rows import binding
from toys.toy_gallery import write_gallery

from cross_modal.gallery.gallery import Gallery
from cross_modal.gallery.schema import reference_table
from cross_modal_mlflow.command_line import main


@pytest.fixture
def known(tmp_path: Path) -> str:
    """Five pictures of which three are alike (two of the same bytes) and three texts of which two are alike."""
    near = np.array([1, 0.1, 0, 0, 0, 0]) / np.hypot(1, 0.1)
    vectors = np.vstack([np.eye(6)[[0, 0, 1, 2]], near, np.eye(6)[[0, 3, 3]]]).astype(np.float32)
    table = reference_table(
        list("abcdefgh"),
        vectors,
        kinds=["image", "image", "image", "image", "image", "text", "text", "text"],
        contents=["one", "one", "c", "d", "e", "f", "g", "h"],
        binding=binding(),
        labels=["cat", "cat", "dog", None, "fox", "cat", "=hare", "hare"],
        texts=[None] * 5 + ["a cat", "[red]a hare", "the hare"],
        splits=["train", "test", "test", "train", None, "train", "train", "test"],
    )
    with Gallery.create(tmp_path / "known.gallery", binding()) as gallery:
        gallery.upsert(table)
    return str(tmp_path / "known.gallery")


def test_pairs_and_groups_of_pictures_and_of_texts(known: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["duplicates", known, "--threshold", "0.9"]) == 0
    said = capsys.readouterr().out
    assert "5 pictures from 0.9000 and 3 texts from 0.9000, 13 comparisons" in said
    assert "4 pairs, 2 groups, 5 items; 1 pair of the same bytes, 3 of different labels" in said
    assert "same bytes" in said
    assert "[red]a hare" in said
    assert "test and train share 2 pairs: 2 of test, 2 of train (1 of the same bytes)" in said


def test_the_report_for_programs(known: str, tmp_path: Path) -> None:
    assert main(["duplicates", known, "--threshold", "0.9", "--json", str(tmp_path / "r.json")]) == 0
    report = json.loads((tmp_path / "r.json").read_text())
    assert report["metrics"] == {
        "duplicates/pairs": 4,
        "duplicates/groups": 2,
        "duplicates/items": 5,
        "duplicates/identical_pairs": 1,
        "duplicates/other_label_pairs": 3,
        "duplicates/across_splits_pairs": 2,
        "duplicates/comparisons": 13,
    }
    assert [(pair["id_a"], pair["id_b"], pair["identical"]) for pair in report["protocol"]["pairs"]] == [
        ("a", "b", True),
        ("g", "h", False),
        ("a", "e", False),
        ("b", "e", False),
    ]
    assert [group["ids"] for group in report["protocol"]["groups"]] == [["a", "b", "e"], ["g", "h"]]
    assert report["protocol"]["thresholds"]["image"]["chosen_by"] == "given"


def test_all_pairs_as_csv(known: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["duplicates", known, "--threshold", "0.9", "--top", "1", "--out", str(tmp_path / "pairs.csv")]) == 0
    with open(tmp_path / "pairs.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["id_a"], row["id_b"], row["duplicate_group"]) for row in rows] == [
        ("a", "b", "0"),
        ("g", "h", "1"),
        ("a", "e", "0"),
        ("b", "e", "0"),
    ]
    assert float(rows[2]["score"]) == pytest.approx(1 / np.hypot(1, 0.1))
    assert rows[1]["text_b"] == "the hare"
    assert list(tmp_path.glob(".pairs*")) == []
    capsys.readouterr()
    assert main(["duplicates", known, "--threshold", "0.9", "--out", "-"]) == 0
    assert list(csv.DictReader(capsys.readouterr().out.splitlines())) == rows


def test_across_splits_only(known: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["duplicates", known, "--threshold", "0.9", "--across-splits"]) == 0
    assert "2 pairs, 2 groups, 4 items" in capsys.readouterr().out
    assert main(["duplicates", known, "--threshold", "0.9", "--across-splits", "--where", "label=cat"]) == 0
    assert "1 pair, 1 group, 2 items" in capsys.readouterr().out


def test_one_kind_and_a_filter(known: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["duplicates", known, "--threshold", "0.9", "--of", "text"]) == 0
    assert "3 texts from 0.9000, 3 comparisons" in capsys.readouterr().out
    assert main(["duplicates", known, "--threshold", "0.9", "--where", "split=train|test", "kind=image"]) == 0
    said = capsys.readouterr().out
    assert "4 pictures from 0.9000, 6 comparisons" in said
    assert "1 pair, 1 group" in said


def test_nothing_alike_is_an_answer(known: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "page.html"
    words = ["duplicates", known, "--threshold", "0.9", "--where", "label=dog", "--html", str(page), "--out"]
    assert main([*words, str(tmp_path / "none.csv")]) == 0
    assert "0 pairs, 0 groups, 0 items" in capsys.readouterr().out
    assert "no two items are this much alike" in page.read_text()
    assert (tmp_path / "none.csv").read_text().splitlines()[0].replace('"', "").startswith("score,identical,")


def test_the_models_own_threshold_and_a_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    where, page = str(write_gallery(tmp_path)), tmp_path / "page.html"
    calibrated({"picture_picture": 0.8, "picture_text": 0.1}).save(tmp_path / "model")
    assert main(["duplicates", where, "--html", str(page), "--json", str(tmp_path / "r.json")]) == 0
    said = capsys.readouterr()
    report = json.loads((tmp_path / "r.json").read_text())
    threshold = report["protocol"]["thresholds"]["image"]
    assert threshold["value"] == pytest.approx(0.8, abs=0.06)
    assert f"from {threshold['value']:.4f} ({threshold['chosen_by']})" in said.out
    assert "made to tell classes apart" in said.err
    with Gallery.open(where) as gallery:
        vectors = gallery.matrix().vectors
    scores = (vectors @ vectors.T)[np.triu_indices(len(vectors), 1)]
    assert report["metrics"]["duplicates/pairs"] == (scores >= threshold["value"]).sum()
    text = page.read_text()
    assert "data:image/" in text
    assert text.count("<section>") == report["metrics"]["duplicates/groups"]
    assert main(["duplicates", where, "--false-accept-rate", "0.1"]) == 0


def test_refuses_a_threshold_learned_on_another_comparison(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    where = str(write_gallery(tmp_path))
    assert main(["duplicates", where]) == 2
    assert "expected --threshold, as the model" in capsys.readouterr().err
    calibrated({"picture_text": 0.1}).save(tmp_path / "model")
    assert main(["duplicates", where]) == 2
    assert "picture against picture, found one calibrated on picture against text" in capsys.readouterr().err
    calibrated({"picture_picture": -0.8}, "euclidean").save(tmp_path / "model")
    assert main(["duplicates", where]) == 2
    assert "expected a calibration for cosine, found euclidean" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--threshold", "0.9", "--false-accept-rate", "0.1"], "--threshold: expected it or --false-accept-rate"),
        (["--false-accept-rate", "2"], "expected a number between 0 and 1, found 2"),
        (["--threshold", "0.9", "--top", "0"], "--top: expected at least 1, found 0"),
        (["--threshold", "0.9", "--limit", "2"], "expected at most 2 pairs that reach 0.9, found more"),
        (["--threshold", ".nan"], "--threshold: expected a number, found nan"),
        (["--threshold", "1.01"], "--threshold: expected at most 1, since scores are cosines here, found 1.01"),
        (["--threshold", "0.9", "--of", "text", "--where", "kind=image"], "expected references of kind 'text'"),
        (["--threshold", "0.9", "--where", "colour=red"], "colour"),
        (["--threshold", "0.9", "--across-splits", "--where", "split=test"], "of two splits, found test"),
        (["--threshold", "0.9", "--out", "nowhere/pairs.csv"], "--out: expected a folder that exists"),
        (["--threshold", "0.9", "--html", "nowhere/page.html"], "--html: expected a folder that exists"),
    ],
)
def test_refuses_in_one_line(known: str, more: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["duplicates", known, *more]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert len(error.splitlines()) == 1


def test_distances_are_negative_scores(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bound = binding("euclidean")
    vectors = np.zeros((3, 6), np.float32)
    vectors[1:, 0] = 2, 5
    table = reference_table(list("abc"), vectors, kinds="image", contents=list("abc"), binding=bound)
    with Gallery.create(tmp_path / "far.gallery", bound) as gallery:
        gallery.upsert(table)
    assert main(["duplicates", str(tmp_path / "far.gallery"), "--threshold", "0.9"]) == 2
    assert "expected at most 0, since scores are minus distances here, found 0.9" in capsys.readouterr().err
    assert main(["duplicates", str(tmp_path / "far.gallery"), "--threshold", "-2.5"]) == 0
    said = capsys.readouterr().out
    assert "1 pair," in said
    assert "-2.0000" in said


def test_refuses_no_gallery(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["duplicates"]) == 2
    assert "expected a GALLERY, found none" in capsys.readouterr().err
    assert main(["duplicates", str(tmp_path / "none"), "--threshold", "1"]) == 2
