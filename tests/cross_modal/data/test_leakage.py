"""What stands in two splits is found, named and counted; what does not is left alone."""

from pathlib import Path

import numpy as np

from cross_modal.data.items import Items
from cross_modal.data.leakage import find_leakage


def test_clean_splits_leak_nothing() -> None:
    items = Items.of(
        images=[b"1", b"2", b"3"],
        labels=["x", "y", "z"],
        groups=["a", "b", "c"],
        splits=["train", "validation", "test"],
    )
    report = find_leakage(items)
    assert not report
    assert report.counts() == {"labels": 0, "groups": 0, "pictures": 0, "texts": 0}
    assert report.sentences() == []


def test_a_label_in_two_splits_is_named_with_its_splits_in_order() -> None:
    items = Items.of(texts=["a", "b", "c"], labels=["wren", "wren", "owl"], splits=["test", "train", "train"])
    (leak,) = find_leakage(items).leaks
    assert (leak.kind, leak.name, leak.splits, leak.items) == ("label", "wren", ("train", "test"), 2)


def test_a_group_in_two_splits_leaks_but_rows_without_a_group_do_not() -> None:
    splits = ["train", "test", "train", "test"]
    items = Items.of(texts=list("abcd"), labels=list("wxyz"), groups=["drawer", "drawer", None, None], splits=splits)  # type: ignore[list-item]
    assert [str(leak) for leak in find_leakage(items).leaks] == ["group 'drawer' is in train and test (2 items)"]


def test_equal_bytes_are_found_under_different_names(tmp_path: Path) -> None:
    for name, content in (("a.png", b"same"), ("b.png", b"same"), ("c.png", b"other")):
        (tmp_path / name).write_bytes(content)
    paths = [str(tmp_path / name) for name in ("a.png", "b.png", "c.png")]
    items = Items.of(images=paths, labels=["x", "y", "z"], splits=["train", "test", "test"], source="birds.csv")
    assert find_leakage(items).sentences() == [
        "1 picture in more than one split, the first: picture 'birds.csv row 1' is in train and test (2 items)"
    ]


def test_equal_arrays_are_equal_pictures() -> None:
    picture = np.zeros((2, 2), np.uint8)
    items = Items.of(images=[picture, picture.copy(), picture + 1], splits=["train", "test", "test"])
    assert find_leakage(items).counts()["pictures"] == 1


def test_the_names_of_pictures_may_stand_in_two_splits_but_texts_alone_may_not() -> None:
    splits = ["train", "test"]
    assert not find_leakage(Items.of(images=[b"1", b"2"], texts=["a bird", "a bird"], splits=splits))
    assert find_leakage(Items.of(texts=["how old?", "how old?"], splits=splits)).counts()["texts"] == 1


def test_the_leak_with_most_items_comes_first_and_is_the_one_in_the_sentence() -> None:
    labels = ["few", "few", "many", "many", "many"]
    items = Items.of(texts=list("abcde"), labels=labels, splits=["train", "test", "train", "train", "test"])
    assert [leak.name for leak in find_leakage(items).of("label")] == ["many", "few"]
    assert find_leakage(items).sentences() == [
        "2 labels in more than one split, the first: label 'many' is in train and test (3 items)"
    ]


def test_items_without_splits_leak_nothing() -> None:
    assert not find_leakage(Items.of(texts=["a", "a"], labels=["x", "x"]))
