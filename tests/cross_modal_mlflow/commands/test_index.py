"""``cross-modal index`` as a user types it."""

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image
from toys.shapes import shapes
from toys.toy_gallery import write_gallery, write_twin
from toys.verification_models import write_model

from cross_modal.gallery.cohort import ATTACHMENT, Cohort
from cross_modal.gallery.gallery import Gallery
from cross_modal_mlflow.command_line import main


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """The shapes as a manifest of files with all three splits."""
    items, rows = shapes(4), ["image,text,label,split"]
    for row, (cell, text, label) in enumerate(zip(items.images, items.texts, items.labels, strict=True)):
        Image.fromarray(np.asarray(cell)).save(tmp_path / f"{row}.png")
        rows.append(f"{row}.png,{text},{label},{items.splits[row]}")
    (tmp_path / "items.csv").write_text("\n".join(rows) + "\n")
    return tmp_path / "items.csv"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_twin(tmp_path / "model")


def words(model: Path, data: Path, *more: str) -> list[str]:
    return ["index", str(model), "--data", str(data), "--gallery", str(data.parent / "refs.gallery"),
            "--items.feature-store", "no", *more]  # fmt: skip


def test_it_writes_the_test_split_and_says_so(
    model: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    test = shapes(4).split("test")
    assert main(words(model, data, "--json", str(tmp_path / "r.json"))) == 0
    said = capsys.readouterr().out
    assert f"index: {len(test)} added, 0 changed, 0 unchanged; {len(test)} encoded" in said
    assert "cross-modal search" in said
    report = json.loads((tmp_path / "r.json").read_text())
    assert report["metrics"]["index/added"] == len(test)
    with Gallery.open(tmp_path / "refs.gallery") as gallery:
        assert set(gallery.matrix().column("split")) == {"test"}
        assert gallery.binding.digest == report["protocol"]["digest"]


def test_the_validation_split_becomes_the_cohort(model: Path, data: Path, tmp_path: Path) -> None:
    assert main(words(model, data)) == 0
    with Gallery.open(tmp_path / "refs.gallery") as gallery:
        content = gallery.attachment(ATTACHMENT)
    assert content is not None
    cohort = Cohort.from_bytes(content)
    assert set(cohort.labels) == set(shapes(4).split("validation").classes)


def test_without_a_cohort_where_none_is_wanted(model: Path, data: Path, tmp_path: Path) -> None:
    assert main(words(model, data, "--cohort", "none")) == 0
    with Gallery.open(tmp_path / "refs.gallery") as gallery:
        assert gallery.attachment(ATTACHMENT) is None


def test_again_it_encodes_nothing_the_cohort_neither(
    model: Path, data: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from cross_modal.encoders.twin import TwinEncoder

    main(words(model, data))
    capsys.readouterr()
    monkeypatch.delattr(TwinEncoder, "encode_image")
    assert main(words(model, data)) == 0
    assert "index: 0 added, 0 changed, 24 unchanged; 0 encoded" in capsys.readouterr().out


def test_rows_are_shown_deleted_and_exported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    where = str(write_gallery(tmp_path))
    label = shapes(4).split("test").classes[0]
    assert main(["index", "--gallery", where, "--show", "--where", f"label={label}", "--limit", "2"]) == 0
    said = capsys.readouterr().out
    assert "2 shown, 4 of 24 references" in said
    assert label in said
    with Gallery.open(where) as gallery:
        first = str(gallery.matrix().ids[0])
    assert main(["index", "--gallery", where, "--delete", first, "no such id"]) == 0
    shown = capsys.readouterr()
    assert "1 removed, 23 references left" in shown.out
    assert "note: 1 of the ids were not in the gallery" in shown.err
    assert main(["index", "--gallery", where, "--delete", "--where", f"label={label}"]) == 0
    assert main(["index", "--gallery", where, "--export", str(tmp_path / "refs.parquet")]) == 0
    assert label not in pq.read_table(tmp_path / "refs.parquet")["label"].to_pylist()


def test_versions_are_listed_and_tagged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    where = str(write_gallery(tmp_path))
    assert main(["index", "--gallery", where, "--tag", "first"]) == 0
    capsys.readouterr()
    assert main(["index", "--gallery", where, "--versions", "--json", str(tmp_path / "v.json")]) == 0
    assert "first" in capsys.readouterr().out
    versions = json.loads((tmp_path / "v.json").read_text())["protocol"]["versions"]
    assert [each["rows"] for each in versions if "first" in each["tags"]] == [24]


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (["index"], "expected --gallery"),
        (["index", "--gallery", "g"], "expected a MODEL to index with, or one of --show"),
        (["index", "m", "--gallery", "g", "--show"], "--show: expected it without a MODEL, found m"),
        (["index", "--gallery", "g", "--show", "--versions"], "expected one thing at a time"),
        (["index", "--gallery", "g", "--delete"], "--delete: expected ids, or --where FILTER, found neither"),
        (["index", "--gallery", "g", "--versions", "--where", "a=b"], "--where: expected --show or --delete"),
        (["index", "--gallery", "nowhere.gallery", "--show"], "nowhere.gallery"),
        (["index", "nowhere", "--gallery", "g"], "model 'nowhere': expected a folder"),
    ],
)
def test_what_cannot_be_is_one_line(
    typed: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(typed) == 2
    shown = capsys.readouterr().err
    assert said in shown
    assert shown.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_siamese_head_has_no_gallery(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words(write_model(tmp_path / "head", head=True), data)) == 2
    assert "siamese head scores pairs" in capsys.readouterr().err
    assert not (tmp_path / "refs.gallery").exists()


def test_another_models_gallery_is_left_as_it_is(
    model: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from toys.tiny_twin import tiny_twin

    from cross_modal.encoders.saved_twin import save_twin

    main(words(model, data))
    save_twin(tiny_twin(seed=1), tmp_path / "other")
    capsys.readouterr()
    assert main(words(tmp_path / "other", data)) == 2
    assert "expected the model that made it" in capsys.readouterr().err


def test_a_split_without_items_is_named(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "texts.csv").write_text("text,label,split\na,x,train\nb,y,train\n")
    assert main(words(model, tmp_path / "texts.csv")) == 2
    said = capsys.readouterr().err
    assert "expected items in the split test, found none (its splits: train" in said
    assert "--split all" in said


def test_a_manifests_ids_and_columns_come_along(
    model: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    header, *rows = data.read_text().splitlines()
    further = [f"{row},sku-{number},{number}.5,x" for number, row in enumerate(rows)]
    data.write_text("\n".join([f"{header},id,price,source", *further]) + "\n")
    assert main(words(model, data)) == 0
    said = capsys.readouterr().out
    assert "24 of " in said
    assert "items: split test (--split all takes every one)" in said
    assert "columns that a gallery does not keep: source" in said
    with Gallery.open(tmp_path / "refs.gallery") as gallery:
        found = gallery.rows(columns=["id", "price", "image"]).to_pylist()
    assert len(found) == 24
    for row in found:
        number = int(row["id"].removeprefix("sku-"))
        assert row["price"] == number + 0.5
        assert row["image"] == str(tmp_path / f"{number}.png")
    shown = ["index", "--gallery", str(tmp_path / "refs.gallery"), "--show", "--where", f"price<{found[0]['price']}"]
    assert main(shown) == 0
    assert f"{sum(row['price'] < found[0]['price'] for row in found)} of 24 references" in capsys.readouterr().out


def test_ids_that_stand_twice_are_named_by_row(
    model: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    header, *rows = data.read_text().splitlines()
    data.write_text("\n".join([f"{header},id", *(f"{row},same" for row in rows)]) + "\n")
    assert main(words(model, data)) == 2
    assert "items.csv row 2: expected an id of its own, found 'same' as in row 1" in capsys.readouterr().err
    assert not (tmp_path / "refs.gallery").exists()


def test_bad_pictures_stop_it_or_are_skipped_and_named(
    model: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = next(row for row, split in enumerate(shapes(4).splits) if split == "test")
    (tmp_path / f"{bad}.png").write_bytes(b"no picture")
    assert main(words(model, data)) == 2
    assert f"items.csv row {bad + 1}: image '{bad}.png'" in capsys.readouterr().err
    assert main(words(model, data, "--items.on-bad-item", "skip")) == 0
    said = capsys.readouterr().out
    assert f"1 skipped: items.csv row {bad + 1}" in said
    assert "index: 23 added" in said


def test_pruning_takes_what_the_source_has_lost_and_no_other_split(
    model: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(words(model, data, "--split", "all"))
    header, *rows = data.read_text().splitlines()
    kept = [row for row in rows if not row.endswith("test")] + [row for row in rows if row.endswith("test")][1:]
    data.write_text("\n".join([header, *kept]) + "\n")
    capsys.readouterr()
    assert main(words(model, data, "--prune")) == 0
    assert "0 added, 0 changed, 23 unchanged, 1 removed; 0 encoded" in capsys.readouterr().out


def test_nothing_that_the_model_encodes_leaves_no_gallery(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "texts.csv").write_text("text,label,split\na,x,test\n")
    pictures_only = write_twin(tmp_path / "pictures only", text="none")
    assert main(words(pictures_only, tmp_path / "texts.csv")) == 2
    assert "expected items that this model encodes (pictures), found none" in capsys.readouterr().err
    assert not (tmp_path / "refs.gallery").exists()


def test_two_folders_with_the_same_file_names_are_set_apart(
    model: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(words(model, data))
    other = tmp_path / "other"
    for row in (0, 1):
        (other / "class").mkdir(parents=True, exist_ok=True)
        Image.new("L", (16, 16), 50 + row).save(other / "class" / f"{row}.png")
    Image.new("L", (16, 16), 7).save(other / f"{shapes(4).splits.tolist().index('test')}.png")
    (other / "items.csv").write_text(f"image,label,split\n{shapes(4).splits.tolist().index('test')}.png,new,test\n")
    again = words(model, other / "items.csv", "--cohort", "none")
    again[again.index("--gallery") + 1] = str(tmp_path / "refs.gallery")
    capsys.readouterr()
    assert main(again) == 2
    assert "--prefix NAME/ sets them apart" in capsys.readouterr().err
    assert main([*again, "--prefix", "other/"]) == 0
    assert "index: 1 added, 0 changed" in capsys.readouterr().out
