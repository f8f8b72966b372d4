"""The profile of a few-shot dataset."""

import json

import numpy as np

from cross_modal.data.items import Items
from cross_modal.data.leakage import find_leakage
from cross_modal_mlflow.dataset_profile import counts, dataset_profile


def test_shots_are_distinct_genuine_pictures() -> None:
    items = Items.of(
        images=[b"1", b"1", b"2", b"3", b"4", b"5"],
        labels=list("xxxyyy"),
        genuine=[True, True, True, True, True, False],
    )
    profile = dataset_profile(items)
    assert profile["shots"] == {"least": 2, "median": 2.0, "most": 2}
    assert profile["forgeries"] == 1
    assert profile["classes_with_at_least"] == {"1": 2, "2": 2, "5": 0, "10": 0, "20": 0}


def test_without_pictures_shots_are_distinct_texts() -> None:
    profile = dataset_profile(Items.of(texts=["a", "a", "b", "c"], labels=["x", "x", "x", "y"]))
    assert profile["shots"] == {"least": 1, "median": 1.5, "most": 2}
    assert profile["imbalance"] == 2.0


def test_modalities_are_counted_row_by_row() -> None:
    profile = dataset_profile(Items.of(images=[b"1", None, b"3"], texts=["a", "b", None], labels=list("xyz")))
    assert profile["modalities"] == {"both": 1, "picture": 1, "text": 1}
    assert (profile["pictures"], profile["texts"]) == (2, 2)


def test_splits_groups_and_leaks_are_there_where_the_data_has_them() -> None:
    items = Items.of(texts=["a", "b"], labels=["x", "x"], splits=["train", "test"], groups=["g", "g"])
    profile = dataset_profile(items, find_leakage(items))
    assert profile["splits"] == {"test": 1, "train": 1}
    assert profile["groups"] == 1
    assert profile["leakage"] == {"labels": 1, "groups": 1, "pictures": 0, "texts": 0}
    bare = dataset_profile(Items.of(texts=["a"], labels=["x"]))
    assert not {"splits", "groups", "leakage", "forgeries"} & set(bare)


def test_it_is_json_also_for_no_items_at_all() -> None:
    empty = Items.of(texts=["a"], labels=["x"]).take([])
    assert json.loads(json.dumps(dataset_profile(empty)))["items"] == 0
    items = Items.of(images=[np.zeros((2, 2), np.uint8)], labels=["x"])
    assert json.loads(json.dumps(dataset_profile(items))) == dataset_profile(items)


def test_the_counts_are_plain() -> None:
    items = Items.of(images=[b"1", None], texts=["a", "b"], labels=["x", "y"])
    assert counts(items) == {"items": 2, "classes": 2, "pictures": 1, "texts": 2, "skipped": 0}
