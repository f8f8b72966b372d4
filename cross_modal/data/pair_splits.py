"""Splits of rows that name several items: what shares an item is in one split."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np

from cross_modal.configuration import DataConfig
from cross_modal.data.items import column
from cross_modal.data.splits import place_of
from cross_modal.errors import CrossModalError


def groups_of_items(ends: np.ndarray, groups: np.ndarray, count: int) -> np.ndarray:
    """The group of each item: that of its rows; None where they differ or have none.

    Args:
        ends: (S, M) int64, index of each row's item on each side.
        groups: (M,) object.
        count: N, how many items there are.

    Returns:
        (N,) object.

    >>> groups_of_items(np.array([[0, 0], [1, 2]]), column(["anna", "bert"]), 3).tolist()
    [None, 'anna', 'bert']
    """
    found: list[set[object]] = [set() for _ in range(count)]
    for side in ends:
        for item, group in zip(side.tolist(), groups.tolist(), strict=True):
            found[item].add(group)
    return column(next(iter(each)) if len(each) == 1 else None for each in found)


def check_brought(source: str, components: list[str], splits: list[str], numbers: list[int]) -> None:
    """Checks the splits that the data brings.

    Args:
        source: The manifest.
        components: (M,) what each row is connected with.
        splits: (M,) the splits.
        numbers: (M,) the rows' numbers.

    Raises:
        CrossModalError: Where two splits share an item; names both rows.
    """
    first: dict[str, int] = {}
    for place, (component, split) in enumerate(zip(components, splits, strict=True)):
        other = first.setdefault(component, place)
        if splits[other] != split:
            raise CrossModalError(
                f"{Path(source).name} row {numbers[place]}: is in {split}, but row {numbers[other]} is in "
                f"{splits[other]} and connected with it by shared items ('{component}'); expected one split for "
                "connected rows (drop the split column)"
            )


def split_rows(source: str, components: list[str], brought: list[str] | None, config: DataConfig) -> list[str]:
    """Gives every row its split; connected rows get the same.

    Raises:
        CrossModalError: Where everything is connected.
    """
    splits = list(brought) if brought is not None else ["train"] * len(components)
    if brought is None and config.test_share > 0:
        if len(set(components)) < 2:
            raise CrossModalError(f"{source}: all rows are connected by shared items, expected a split column")
        move(splits, components, "test", config.test_share, config.seed)
    if "validation" not in splits:
        move(splits, components, "validation", config.validation_share, config.seed)
    return splits


def move(splits: list[str], components: list[str], target: str, share: float, seed: int) -> None:
    """Moves about a share of the train rows into another split, by hash of their component; the largest stays."""
    sizes = Counter(component for component, split in zip(components, splits, strict=True) if split == "train")
    if share <= 0 or len(sizes) < 2:
        return
    largest = max(sizes, key=lambda component: (sizes[component], component))
    chosen: set[str] = set()
    wanted, taken = share * sum(sizes.values()), 0
    ranked = sorted(sizes.keys() - {largest}, key=lambda name: place_of(name, seed))
    # The last one is left over, so that three components are enough for three splits.
    for component in ranked[:-1] or ranked:
        if chosen and taken + sizes[component] / 2 > wanted:
            break
        chosen.add(component)
        taken += sizes[component]
    for row, component in enumerate(components):
        if component in chosen and splits[row] == "train":
            splits[row] = target
