"""Splits of connected rows."""

from collections import Counter

from cross_modal.configuration import DataConfig
from cross_modal.data.pair_splits import move, split_rows


def test_shares_are_of_rows_and_components_stay_whole():
    components = [f"c{number % 100}" for number in range(1000)]
    splits = split_rows("pairs.csv", components, None, DataConfig())
    counts = Counter(splits)
    assert abs(counts["test"] - 250) <= 10
    assert abs(counts["validation"] - 0.15 * 750) <= 10
    assert len({*zip(components, splits, strict=True)}) == 100


def test_brought_train_and_test_give_validation_from_train_only():
    components = [f"c{number}" for number in range(20)]
    splits = split_rows("pairs.csv", components, ["train"] * 10 + ["test"] * 10, DataConfig())
    assert splits[10:] == ["test"] * 10
    assert Counter(splits[:10])["validation"] in (1, 2)


def test_a_single_component_is_never_emptied():
    splits = ["train"] * 3
    move(splits, ["a"] * 3, "test", 0.5, 0)
    assert splits == ["train"] * 3
