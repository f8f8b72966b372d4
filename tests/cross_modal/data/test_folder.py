"""Folders of class folders, with and without splits, nested, and with rubbish in them."""

import os

import pytest
from PIL import Image

from cross_modal.configuration import DataConfig
from cross_modal.data.folder import read_folder
from cross_modal.data.sources import read_items
from cross_modal.errors import CrossModalError


def put(root, *names: str) -> str:
    for name in names:
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (3, 3)).save(file)
    return str(root)


def test_plain_class_folders(tmp_path):
    source = put(tmp_path, "house_wren/2.png", "house_wren/1.PNG", "crow/a.jpg")
    (tmp_path / "crow" / "notes.txt").write_text("no picture")
    (tmp_path / ".hidden").mkdir()
    (tmp_path / "crow" / ".DS_Store.png").write_text("rubbish")
    items = read_folder(source)
    assert items.labels.tolist() == ["crow", "house_wren", "house_wren"]
    assert items.texts.tolist() == ["crow", "house wren", "house wren"]
    assert items.splits is None
    assert items.images[0] == f"{tmp_path}/crow/a.jpg"


def test_split_folders(tmp_path):
    items = read_folder(put(tmp_path, "train/a/1.png", "val/b/1.png", "test/c/1.png"))
    assert dict(zip(items.labels, items.splits, strict=True)) == {"a": "train", "b": "validation", "c": "test"}


def test_a_class_that_is_called_train_is_a_class(tmp_path):
    items = read_folder(put(tmp_path, "train/1.png", "plane/1.png"))
    assert items.splits is None
    assert items.classes == ["plane", "train"]


def test_nested_folders_give_a_prefix(tmp_path):
    items = read_folder(put(tmp_path, "train/Greek/small_alpha/1.png", "test/Latin/a/1.png"))
    assert sorted(items.labels) == ["Greek/small_alpha", "Latin/a"]
    assert "Greek small alpha" in items.texts.tolist()


def test_a_link_back_up_ends(tmp_path):
    source = put(tmp_path, "a/1.png", "b/1.png")
    os.symlink(tmp_path, tmp_path / "a" / "up")
    assert len(read_folder(source)) == 2


def test_faults(tmp_path):
    with pytest.raises(CrossModalError, match="expected class folders with pictures"):
        read_folder(str(tmp_path))
    with pytest.raises(CrossModalError, match=r"found '.*loose\.png' in none"):
        read_folder(put(tmp_path, "loose.png"))


def test_an_unreadable_picture_is_named_or_skipped(tmp_path):
    source = put(tmp_path, *(f"{name}/{number}.png" for name in "abc" for number in range(2)))
    (tmp_path / "b" / "1.png").write_text("rubbish")
    with pytest.raises(CrossModalError, match=r"b/1\.png' is unreadable"):
        read_items(source)
    items = read_items(source, DataConfig(on_bad_item="skip"))
    assert len(items) == 5
    assert len(items.skipped) == 1
