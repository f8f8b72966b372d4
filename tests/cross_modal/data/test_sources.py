"""The one grammar: each form reaches its reader, pictures are checked, splits are always filled."""

import numpy as np
import pytest
from PIL import Image

from cross_modal.configuration import DataConfig
from cross_modal.data.sources import read_items
from cross_modal.errors import CrossModalError


def manifest(folder, count: int = 8):
    noise = np.random.default_rng(0)
    lines = ["image,label"]
    for number in range(count):
        Image.fromarray(noise.integers(0, 256, (64, 64, 3), np.uint8)).save(folder / f"{number}.jpg")
        lines.append(f"{number}.jpg,class {number % 4}")
    (folder / "items.csv").write_text("\n".join(lines))
    return str(folder / "items.csv")


def test_splits_are_always_filled(tmp_path):
    items = read_items(manifest(tmp_path))
    assert set(items.splits) == {"train", "validation", "test"}


def test_splits_of_pictures_without_labels_do_not_depend_on_where_the_data_lies(tmp_path, monkeypatch):
    found = []
    for folder in (tmp_path / "here", tmp_path / "there"):
        folder.mkdir()
        manifest(folder, 40)
        (folder / "items.csv").write_text("\n".join(["image,text", *(f"{n}.jpg,caption {n}" for n in range(40))]))
        found.append(read_items(str(folder / "items.csv")).splits.tolist())
    monkeypatch.chdir(tmp_path / "here")
    found.append(read_items("items.csv").splits.tolist())
    assert found[0] == found[1] == found[2]


def test_an_unreadable_picture_has_file_row_and_the_name_as_written(tmp_path):
    source = manifest(tmp_path)
    (tmp_path / "3.jpg").write_text("rubbish")
    with pytest.raises(CrossModalError, match=r"^items\.csv row 4: image '3\.jpg' is unreadable"):
        read_items(source)


def test_skip_finds_truncated_pictures_too(tmp_path):
    source = manifest(tmp_path)
    file = tmp_path / "3.jpg"
    file.write_bytes(file.read_bytes()[:-1500])
    (tmp_path / "5.jpg").unlink()
    items = read_items(source, DataConfig(on_bad_item="skip"))
    assert items.rows.tolist() == [1, 2, 3, 5, 7, 8]
    assert sorted(bad.row for bad in items.skipped) == [4, 6]


def test_the_size_limit_holds_at_reading(tmp_path):
    with pytest.raises(CrossModalError, match=r"row 1: image '0\.jpg' is too large: expected at most 4095 pixels"):
        read_items(manifest(tmp_path), DataConfig(max_pixels=4095))


def test_nothing_left(tmp_path):
    source = manifest(tmp_path, 1)
    (tmp_path / "0.jpg").unlink()
    with pytest.raises(
        CrossModalError, match=r"expected items, found none \(1 were skipped, the first: items\.csv row 1"
    ):
        read_items(source, DataConfig(on_bad_item="skip"))


@pytest.mark.parametrize("source", ["nowhere", "glyph", "http://host/items", "torchvisoin:MNIST"])
def test_unknown_sources_are_told_the_grammar(source):
    with pytest.raises(CrossModalError, match="torchvision:NAME, webdataset:PATTERN or glyphs"):
        read_items(source)
