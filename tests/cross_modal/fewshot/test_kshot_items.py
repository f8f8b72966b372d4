from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from toys.shapes import shapes

from cross_modal.configuration import DataConfig
from cross_modal.data.items import Items
from cross_modal.errors import CrossModalError
from cross_modal.fewshot.kshot_items import KShotItems, item_ids, kshot_items, read_kshot_items


def pictures(count: int, start: int = 0) -> list[np.ndarray]:
    """Distinct pictures."""
    return [np.array([[number // 200, number % 200]], np.uint8) for number in range(start, start + count)]


def table(counts: dict[str, int], split: str | dict[str, list[str]] = "test", **columns: object) -> Items:
    labels = [label for label, count in counts.items() for _ in range(count)]
    splits = [split] * len(labels) if isinstance(split, str) else [name for label in counts for name in split[label]]
    columns = {"images": pictures(len(labels)), "texts": labels, "splits": splits} | columns
    return Items.of(labels=labels, source="toys", **columns)  # type: ignore[arg-type]


def share(items: Items, rows: np.ndarray, label: str) -> int:
    return int((items.keys[rows] == label).sum())


def contents(items: Items, pools: KShotItems) -> list[list[tuple[str, str]]]:
    """Pools as content, whatever rows it lies in."""
    of_row = dict(zip(range(len(items)), item_ids(items, np.arange(len(items))), strict=True))
    return [
        sorted((items.keys[row], of_row[row]) for row in rows) for rows in (pools.support, pools.validation, pools.test)
    ]


# Classes of their own: every class is divided


def test_unseen_classes_are_divided_thirty_twenty_fifty() -> None:
    items = table({"a": 10, "b": 20, "c": 3, "d": 6})
    pools = kshot_items(items)
    assert pools.manner == "divided classes"
    assert pools.classes == ["a", "b", "c", "d"]
    got = {
        label: tuple(share(items, rows, label) for rows in (pools.support, pools.validation, pools.test))
        for label in "abcd"
    }
    assert got == {"a": (5, 2, 3), "b": (10, 4, 6), "c": (1, 1, 1), "d": (3, 1, 2)}
    assert pools.notes == []


def test_of_two_pictures_one_is_support_and_one_is_test_and_one_alone_takes_no_part() -> None:
    items = table({"a": 2, "b": 5, "lonely": 1})
    pools = kshot_items(items)
    assert pools.classes == ["a", "b"]
    assert [share(items, rows, "a") for rows in (pools.support, pools.validation, pools.test)] == [1, 0, 1]
    assert pools.notes == ["1 classes have no picture left for the support and take no part (lonely)"]


@given(st.permutations(range(18)), st.integers(0, 3))
def test_neither_order_nor_other_classes_nor_other_splits_move_a_picture(order: list[int], more: int) -> None:
    items = table({"a": 7, "b": 5, "c": 6})
    before = contents(items, kshot_items(items))
    shuffled = items.take(np.array(order))
    assert contents(shuffled, kshot_items(shuffled)) == before
    wider = Items.of(
        images=[*items.images, *pictures(4 + more, 60)],
        labels=[*items.keys, *["d"] * 4, *["e"] * more],
        splits=["test"] * (18 + 4) + ["train"] * more,
    )
    kept = [[pair for pair in pool if pair[0] in "abc"] for pool in contents(wider, kshot_items(wider))]
    assert kept == before


def test_the_split_that_is_asked_for_is_divided() -> None:
    items = shapes(per_class=10)
    for split, classes in (("train", 20), ("validation", 6), ("test", 6), ("all", 32)):
        pools = kshot_items(items, split)
        assert len(pools.classes) == classes
        rows = np.concatenate([pools.support, pools.validation, pools.test])
        assert len(np.unique(rows)) == len(rows) == classes * 10
        if split != "all":
            assert set(items.splits[rows]) == {split}


def test_groups_common_to_classes_never_stand_in_two_pools() -> None:
    # ten drawers draw every one of four characters
    items = table(dict.fromkeys("abcd", 10), groups=[f"drawer{i}" for i in range(10)] * 4)
    pools = kshot_items(items)
    of_pool = [set(items.groups[rows]) for rows in (pools.support, pools.validation, pools.test)]
    assert [len(groups) for groups in of_pool] == [5, 2, 3]
    assert len(set.union(*of_pool)) == 10
    assert len(pools.support) == 20


def test_groups_of_one_class_each_are_divided_class_by_class() -> None:
    items = table({"a": 8, "b": 8}, groups=[f"{label}{i // 2}" for label in "ab" for i in range(8)])
    pools = kshot_items(items)
    assert [share(items, pools.test, label) for label in "ab"] == [2, 2]
    assert [share(items, pools.validation, label) for label in "ab"] == [2, 2]
    assert not set(items.groups[pools.support]) & set(items.groups[pools.test])


def test_items_without_a_group_stand_for_themselves() -> None:
    items = table({"a": 4, "b": 4}, groups=[None] * 8)
    assert [len(rows) for rows in (kshot_items(items).support, kshot_items(items).test)] == [4, 2]


def test_of_look_alikes_one_class_takes_part() -> None:
    items = table({"A": 6, "alpha": 6, "b": 6, "c": 6}, sets=["A-like"] * 12 + ["b"] * 6 + ["c"] * 6)
    pools = kshot_items(items)
    assert len(pools.classes) == 3
    assert len({"A", "alpha"} & set(pools.classes)) == 1
    out = ({"A", "alpha"} - set(pools.classes)).pop()
    assert pools.notes == [f"1 of 4 classes look like another class and take no part ({out})"]
    # a look-alike in another split is in nobody's way
    elsewhere = replace(items, splits=np.array(["train"] * 12 + ["test"] * 12, object))
    assert kshot_items(elsewhere).notes == []


def test_forgeries_take_no_part() -> None:
    items = table({"a": 6, "b": 6}, genuine=[True] * 4 + [False] * 2 + [True] * 6)
    pools = kshot_items(items)
    rows = np.concatenate([pools.support, pools.validation, pools.test])
    assert set(rows) == set(range(12)) - {4, 5}
    assert not {4, 5} & set(pools.texts)


def test_equal_pictures_count_once_and_never_stand_in_two_pools() -> None:
    # every picture of a class twice, as a photo with two captions is
    once = pictures(12)
    items = Items.of(images=[*once, *once], labels=["a"] * 6 + ["b"] * 6 + ["a"] * 6 + ["b"] * 6, splits=["test"] * 24)
    pools = kshot_items(items)
    rows = np.concatenate([pools.support, pools.validation, pools.test])
    assert len(rows) == 12
    # one picture under two labels: wherever it is tested, nobody learns from it
    shared = Items.of(images=[*once, once[0], once[1], once[2]], labels=["a"] * 6 + ["b"] * 9, splits=["test"] * 15)
    found = kshot_items(shared)
    of_pool = [set(shared.image_ids[rows].tolist()) for rows in (found.support, found.validation, found.test)]
    assert not of_pool[0] & of_pool[2]
    assert not of_pool[0] & of_pool[1]
    assert not of_pool[1] & of_pool[2]


# The data's own splits


OWN = {label: ["train"] * 5 + ["validation"] * 2 + ["test"] * 3 for label in "abc"}


def test_splits_that_share_their_classes_are_the_pools() -> None:
    items = table(dict.fromkeys("abc", 10), OWN)
    pools = kshot_items(items)
    assert pools.manner == "own splits"
    assert [set(items.splits[rows]) for rows in (pools.support, pools.validation, pools.test)] == [
        {"train"},
        {"validation"},
        {"test"},
    ]
    assert [len(rows) for rows in (pools.support, pools.validation, pools.test)] == [15, 6, 9]


def test_the_validation_split_is_no_validation_where_it_is_what_is_measured() -> None:
    pools = kshot_items(table(dict.fromkeys("abc", 10), OWN), "validation")
    assert [len(rows) for rows in (pools.support, pools.validation, pools.test)] == [15, 0, 6]


def test_test_pictures_that_stand_in_train_are_not_learned_from() -> None:
    images = pictures(30)
    images[0] = images[9]  # a's first train picture is a's last test picture
    images[15] = images[29]  # b's train picture is tested as c
    pools = kshot_items(table(dict.fromkeys("abc", 10), OWN, images=images))
    assert not {0, 15} & set(pools.support)
    assert {9, 29} <= set(pools.test)
    assert any("byte-equal" in note for note in pools.notes)


def test_groups_that_straddle_own_splits_leave_the_support() -> None:
    groups = [f"{label}{i}" for label in "abc" for i in range(10)]
    groups[0] = groups[9]
    pools = kshot_items(table(dict.fromkeys("abc", 10), OWN, groups=groups))
    assert 0 not in pools.support
    assert 9 in pools.test
    assert pools.notes == ["1 support or validation pictures share a group with a test picture and take no part"]


def test_a_name_common_to_two_splits_by_accident_is_no_protocol() -> None:
    split = {"a": ["train"] * 6, "b": ["train", *["test"] * 5], "c": ["test"] * 6, "d": ["test"] * 6}
    pools = kshot_items(table(dict.fromkeys("abcd", 6), split))
    assert pools.manner == "divided classes"
    assert pools.classes == ["b", "c", "d"]


def test_classes_of_train_alone_stay_candidates_and_classes_of_test_alone_are_left_out() -> None:
    split = OWN | {"d": ["train"] * 10, "e": ["test"] * 10}
    pools = kshot_items(table(dict.fromkeys("abcde", 10), split))
    assert pools.classes == ["a", "b", "c", "d"]
    assert pools.notes == [
        "1 classes have no picture left for the support and take no part (e)",
        "1 classes are candidates without a test picture (d)",
    ]


# Texts


def test_a_class_has_its_name_once() -> None:
    items = table({"a": 10, "b": 10})
    assert items.texts[kshot_items(items).texts].tolist() == ["a", "b"]


@pytest.mark.parametrize("split", ["test", OWN])
def test_captions_of_validation_and_test_pictures_are_not_read(split: str | dict[str, list[str]]) -> None:
    captions = [f"caption {row}" for row in range(30)]
    items = table(dict.fromkeys("abc", 10), split, texts=captions)
    pools = kshot_items(items)
    assert set(pools.texts) == set(pools.support)
    # nor where the caption stands on another row of the same picture
    again = Items.of(
        images=[*items.images, *items.images],
        labels=[*items.keys, *items.keys],
        splits=[*items.splits, *items.splits],
        texts=[None] * 30 + captions,
    )
    found = kshot_items(again)
    assert set(found.texts - 30) == set(found.support)


def test_rows_without_a_picture_describe_their_class() -> None:
    items = table({"a": 4, "b": 5, "c": 1}, texts=[None] * 10)
    described = Items.of(
        images=[*items.images, None, None],
        labels=[*items.keys, "a", "c"],
        texts=[None] * 10 + ["the first letter", "nobody's"],
        splits=["test"] * 12,
    )
    assert kshot_items(described).texts.tolist() == [10]


# Bad input


def test_what_cannot_be_divided_is_one_line() -> None:
    with pytest.raises(CrossModalError, match="toys: expected labels for the K-shot protocol, found none"):
        kshot_items(Items.of(images=pictures(4), splits=["test"] * 4, source="toys"))
    with pytest.raises(CrossModalError, match="labelled pictures in the split test, found none"):
        kshot_items(table({"a": 4, "b": 4}, "train"))
    with pytest.raises(CrossModalError, match="at least 2 classes with pictures for support and test"):
        kshot_items(table({"a": 9, "b": 1}))
    with pytest.raises(CrossModalError, match="found 'exam'"):
        kshot_items(table({"a": 9, "b": 9}), "exam")


def write(folder: Path, split: list[str]) -> str:
    lines = ["image,label,split"]
    for row, (label, name) in enumerate(zip("aabb", split, strict=True)):
        Image.fromarray(np.full((4, 4), 40 * row, np.uint8)).save(folder / f"{row}.png")
        lines.append(f"{row}.png,{label},{name}")
    (folder / "items.csv").write_text("\n".join(lines) + "\n")
    return str(folder / "items.csv")


def test_a_manifest_may_have_its_classes_in_train_and_test(tmp_path: Path) -> None:
    source = write(tmp_path, ["train", "Test", "train", "test"])
    items = read_kshot_items(source, DataConfig())
    assert items.splits.tolist() == ["train", "test", "train", "test"]
    assert kshot_items(items).manner == "own splits"


def test_other_manifests_are_split_as_for_training(tmp_path: Path) -> None:
    items = read_kshot_items(write(tmp_path, ["train", "train", "test", "test"]), DataConfig(validation_share=0))
    assert items.splits.tolist() == ["train", "train", "test", "test"]
    with pytest.raises(CrossModalError, match=r"items\.csv row 2: split is 'exam'"):
        read_kshot_items(write(tmp_path, ["train", "exam", "test", "test"]), DataConfig())
    with pytest.raises(CrossModalError, match="expected a group column"):
        read_kshot_items(write(tmp_path, ["train", "test", "train", "test"]), DataConfig(split_by="group"))
