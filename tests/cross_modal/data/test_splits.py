"""Splits: class-disjoint, by seed, kept where brought, never empty where there is enough."""

from collections import Counter

import numpy as np
import pytest

from cross_modal.configuration import DataConfig
from cross_modal.data.items import Items
from cross_modal.data.splits import assign_splits, cut
from cross_modal.errors import CrossModalError


def items(labels, **columns) -> Items:
    return Items.of(texts=[f"text {row}" for row in range(len(labels))], labels=labels, source="items.csv", **columns)


def homes(assigned: Items, units) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for unit, split in zip(units, assigned.splits, strict=True):
        found.setdefault(unit, set()).add(split)
    return found


LABELS = [f"class {rank}" for rank in range(40) for _ in range(3)]


def test_classes_are_disjoint_and_shares_are_kept():
    assigned = assign_splits(items(LABELS), DataConfig())
    found = homes(assigned, LABELS)
    assert all(len(splits) == 1 for splits in found.values())
    counts = Counter(next(iter(splits)) for splits in found.values())
    assert counts == {"test": 10, "validation": 4, "train": 26}  # 25 % of 40, then 15 % of the other 30


def test_the_seed_decides_and_order_does_not():
    by_seed = [assign_splits(items(LABELS), DataConfig(seed=seed)).splits.tolist() for seed in (0, 0, 1)]
    assert by_seed[0] == by_seed[1] != by_seed[2]
    reversed_rows = assign_splits(items(LABELS[::-1]), DataConfig()).splits.tolist()
    assert reversed_rows[::-1] == by_seed[0]


@pytest.mark.parametrize("count", [3, 4, 7])
def test_three_classes_fill_three_splits(count):
    labels = [f"{rank}" for rank in range(count)]
    assert set(assign_splits(items(labels), DataConfig()).splits) == {"train", "validation", "test"}


def test_a_new_class_moves_at_most_those_at_the_cut():
    units = [f"class {rank}" for rank in range(100)]
    assert len(cut(units, 0.25, 0) ^ cut([*units, "new"], 0.25, 0) - {"new"}) <= 1
    assert cut(["only"], 0.5, 0) == set()
    assert cut(units, 0.0, 0) == set()


def test_brought_splits_are_kept_and_val_is_validation():
    labels = ["a", "b", "c"]
    assert assign_splits(items(labels, splits=["train", "val", "TEST"]), DataConfig()).splits.tolist() == [
        "train",
        "validation",
        "test",
    ]


def test_train_and_test_only_gives_fifteen_per_cent_of_train_classes_to_validation():
    labels = [f"{part}/{rank}" for part in ("x", "y", "z", "w") for rank in range(10)] + ["t"]
    splits = ["train"] * 40 + ["test"]
    assigned = assign_splits(items(labels, splits=splits), DataConfig())
    assert Counter(assigned.splits) == {"train": 34, "validation": 6, "test": 1}
    assert assigned.splits[-1] == "test"
    by_prefix = assign_splits(items(labels, splits=splits), DataConfig(split_prefix=True, validation_share=0.25))
    prefixes = {labels[row][0] for row in np.flatnonzero(by_prefix.splits == "validation")}
    assert len(prefixes) == 1
    assert Counter(by_prefix.splits)["validation"] == 10


def test_a_class_in_two_splits_is_refused_with_the_way_out():
    message = r"items\.csv: class 'a' is in train and in test.*--items\.split_by group, or drop the split column"
    with pytest.raises(CrossModalError, match=message):
        assign_splits(items(["a", "a"], splits=["train", "test"]), DataConfig())


def test_an_image_in_two_splits_is_refused_without_labels():
    same = np.zeros((2, 2), np.uint8)
    with pytest.raises(CrossModalError, match=r"image 'sha256:.*is in train and in test"):
        assign_splits(Items.of(images=[same, same], texts=["a", "b"], splits=["train", "test"]), DataConfig())


def test_unlabelled_data_is_split_by_picture():
    images = [np.full((2, 2), picture, np.uint8) for picture in range(20) for _ in range(5)]
    assigned = assign_splits(Items.of(images=images, texts=[str(row) for row in range(100)]), DataConfig())
    assert all(len(splits) == 1 for splits in homes(assigned, [int(image[0, 0]) for image in images]).values())
    assert set(assigned.splits) == {"train", "validation", "test"}


def test_by_group_keeps_groups_whole_and_lets_classes_straddle():
    groups = [f"drawer {row % 10}" for row in range(len(LABELS))]
    assigned = assign_splits(items(LABELS, groups=groups), DataConfig(split_by="group"))
    assert all(len(splits) == 1 for splits in homes(assigned, groups).values())
    assert any(len(splits) > 1 for splits in homes(assigned, LABELS).values())
    brought = items(["a", "a"], groups=["g", "h"], splits=["train", "test"])
    assert len(assign_splits(brought, DataConfig(split_by="group"))) == 2
    with pytest.raises(CrossModalError, match="group 'g' is in train and in test"):
        assign_splits(items(["a", "b"], groups=["g", "g"], splits=["train", "test"]), DataConfig(split_by="group"))
    with pytest.raises(CrossModalError, match="expected a group column, found none"):
        assign_splits(items(["a"]), DataConfig(split_by="group"))


def test_both_drops_and_lists_what_fits_nowhere():
    crossed = [(f"class {label}", f"drawer {group}") for label in range(20) for group in range(20)]
    labels, groups = zip(*crossed, strict=True)
    assigned = assign_splits(items(list(labels), groups=list(groups)), DataConfig(split_by="both"))
    assert all(len(splits) == 1 for splits in homes(assigned, assigned.labels).values())
    assert all(len(splits) == 1 for splits in homes(assigned, assigned.groups).values())
    assert set(assigned.splits) == {"train", "validation", "test"}
    assert len(assigned) + len(assigned.skipped) == 400
    bad = assigned.skipped[0]
    assert bad.where == f"items.csv row {bad.row}"
    assert "belongs to" in bad.reason


def test_both_loses_nothing_where_groups_lie_within_classes():
    groups = [f"{label} source {row % 2}" for row, label in enumerate(LABELS)]
    assigned = assign_splits(items(LABELS, groups=groups), DataConfig(split_by="both"))
    assert len(assigned) == len(LABELS)
    assert set(assigned.splits) == {"train", "validation", "test"}


def test_both_with_brought_splits_follows_the_majority():
    brought = items(list("aaabbb"), groups=list("gggghh"), splits=["train"] * 3 + ["test"] * 3)
    assigned = assign_splits(brought, DataConfig(split_by="both"))
    assert [bad.row for bad in assigned.skipped] == [4]
    assert assigned.rows.tolist() == [1, 2, 3, 5, 6]


def test_bad_names_and_shares():
    with pytest.raises(CrossModalError, match=r"items\.csv row 2: expected a split .* found 'trian'"):
        assign_splits(items(["a", "b"], splits=["train", "trian"]), DataConfig())
    with pytest.raises(CrossModalError, match=r"items\.test_share: expected a share from 0 to below 1, found 1"):
        assign_splits(items(["a"]), DataConfig(test_share=1.0))
