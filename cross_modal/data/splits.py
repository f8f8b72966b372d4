"""Splits: which items train, which validate, which test; never a class (or group) in two of them.

What the data brings is kept and checked. What it does not bring is made by ranking classes by a hash of (seed, name)
and cutting: each split gets its share and at least one class, and a new class moves at most the ones at the cut.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from cross_modal.configuration import DataConfig
from cross_modal.data.bad_items import BadItem
from cross_modal.data.components import connected_components
from cross_modal.data.items import SPLIT_NAMES, Items, column
from cross_modal.errors import CrossModalError

ALIASES = {"val": "validation", "valid": "validation", "dev": "validation"} | {name: name for name in SPLIT_NAMES}


def split_name(written: str) -> str | None:
    """The split that a word of the data means, or None.

    >>> split_name("val"), split_name("Test"), split_name("trian")
    ('validation', 'test', None)
    """
    return ALIASES.get(written.strip().lower())


def place_of(name: str, seed: int) -> bytes:
    """The rank of a class: SHA-256 of "seed|name"."""
    return hashlib.sha256(f"{seed}|{name}".encode()).digest()


def cut(units: Iterable[str], share: float, seed: int) -> set[str]:
    """The share of the units with the smallest hashes: at least one, and never all, where there are two.

    >>> len(cut(["a", "b", "c", "d"], 0.25, seed=0))
    1
    """
    ranked = sorted(set(units), key=lambda unit: place_of(unit, seed))
    if share <= 0 or len(ranked) < 2:
        return set()
    return set(ranked[: min(max(round(share * len(ranked)), 1), len(ranked) - 1)])


def assign_splits(items: Items, config: DataConfig) -> Items:
    """Gives every item its split.

    Args:
        items: Items with the splits that the data brings, or none.
        config: Shares, seed, and what must not straddle two splits.

    Returns:
        The items with `splits` filled; under `split_by` "both" those that fit nowhere are dropped and listed in
        `skipped`. Data without a test split gets one only where it brings no splits at all; data with a train
        split but no validation gives `validation_share` of its train classes to validation.

    Raises:
        CrossModalError: Where a class (or group, by `split_by`) stands in two splits, a split has an unknown name, or a
            share or column that is needed is missing.
    """
    _check_config(items, config)
    brought = items.splits is not None
    if items.splits is None:
        items = replace(items, splits=np.full(len(items), "train", object))
    else:
        items = replace(items, splits=_known(items))
        items = _settle(items, config)
    if not brought:
        items = _move(items, "test", config.test_share, config)
    if items.splits is not None and "validation" not in items.splits.tolist():
        items = _move(items, "validation", config.validation_share, config)
    return items


def units_of(items: Items, config: DataConfig, kind: str) -> list[str]:
    """(N,) what stays whole: the class ("label", or its prefix under `split_prefix`) or the group ("group")."""
    if kind == "group":
        assert items.groups is not None
        return [str(group) for group in items.groups]
    if config.split_prefix and items.prefixes is not None:
        return items.prefixes.tolist()
    return items.keys.tolist()


def _check_config(items: Items, config: DataConfig) -> None:
    for name in ("test_share", "validation_share"):
        share = getattr(config, name)
        if not 0 <= share < 1:
            raise CrossModalError(f"items.{name}: expected a share from 0 to below 1, found {share}")
    if config.split_by != "label" and items.groups is None:
        raise CrossModalError(
            f"items.split_by {config.split_by}: expected a group column, found none in {items.source}"
        )


def _known(items: Items) -> np.ndarray:
    """(N,) object: the splits that the data brings, by their own names."""
    assert items.splits is not None
    names = {written: split_name(str(written)) for written in set(items.splits)}
    splits = column(map(names.__getitem__, items.splits))
    if None in names.values():
        index = splits.tolist().index(None)
        found = items.splits[index]
        raise CrossModalError(f"{items.where(index)}: expected a split train, validation or test, found '{found}'")
    return splits


def _settle(items: Items, config: DataConfig) -> Items:
    """Checks that nothing straddles the splits that the data brings; under "both" drops what does."""
    assert items.splits is not None
    if config.split_by == "both":
        keep = np.ones(len(items), bool)
        reasons: dict[int, str] = {}
        for kind, units in (("class", items.keys.tolist()), ("group", units_of(items, config, "group"))):
            home = _majority(units, items.splits.tolist())
            for index, (unit, split) in enumerate(zip(units, items.splits.tolist(), strict=True)):
                if home[unit] != split:
                    keep[index] = False
                    reasons.setdefault(index, f"is in {split}, but most of {kind} '{unit}' is in {home[unit]}")
        return _drop(items, keep, reasons)
    by_label = config.split_by == "label"
    units = items.keys.tolist() if by_label else units_of(items, config, "group")
    homes = set(zip(units, items.splits, strict=True))
    if len({unit for unit, _ in homes}) == len(homes):
        return items
    seen: dict[str, str] = {}
    for unit, split in zip(units, items.splits.tolist(), strict=True):
        if seen.setdefault(unit, split) != split:
            kind = "group" if not by_label else "class" if items.labels is not None else "image"
            way_out = "set --items.split_by group, or drop the split column" if by_label else "drop the split column"
            raise CrossModalError(
                f"{items.source}: {kind} '{unit}' is in {seen[unit]} and in {split}, expected one split, "
                f"for evaluation is on unseen {kind}s ({way_out})"
            )
    return items


def _majority(units: list[str], splits: list[str]) -> dict[str, str]:
    """The split in which most of each unit is; of equals, the first of train, validation, test."""
    counts = Counter(zip(units, splits, strict=True))
    return {unit: max(SPLIT_NAMES, key=lambda name: counts[unit, name]) for unit in set(units)}


def _drop(items: Items, keep: np.ndarray, reasons: dict[int, str]) -> Items:
    """Leaves items out and lists them."""
    dropped = [BadItem(int(items.rows[index]), items.where(index), f"dropped: {why}") for index, why in reasons.items()]
    return replace(items.take(np.flatnonzero(keep)), skipped=[*items.skipped, *dropped])


def _move(items: Items, target: str, share: float, config: DataConfig) -> Items:
    """Moves a share of the train classes (or groups, or both) into another split."""
    assert items.splits is not None
    train = np.flatnonzero(items.splits == "train")
    part = items.take(train)
    splits = items.splits.copy()
    if config.split_by != "both":
        units = units_of(part, config, config.split_by)
        chosen = cut(units, share, config.seed)
        splits[train[np.fromiter(map(chosen.__contains__, units), bool, len(units))]] = target
        return replace(items, splits=splits)
    labels, groups = (units_of(part, config, kind) for kind in ("label", "group"))
    components = connected_components([f"class:{label}" for label in labels], [f"group:{group}" for group in groups])
    sizes = Counter(components)
    if sizes and max(sizes.values()) <= 0.5 * len(part):  # classes and groups fall apart by themselves: nothing is lost
        chosen = cut(components, share, config.seed)
        splits[train[[unit in chosen for unit in components]]] = target
        return replace(items, splits=splits)
    chosen_labels, chosen_groups = cut(labels, share, config.seed), cut(groups, share, config.seed)
    keep = np.ones(len(items), bool)
    reasons: dict[int, str] = {}
    for index, label, group in zip(train.tolist(), labels, groups, strict=True):
        homes = [target if inside else "train" for inside in (label in chosen_labels, group in chosen_groups)]
        splits[index] = homes[0]
        if homes[0] != homes[1]:
            keep[index] = False
            reasons[index] = f"class '{label}' belongs to {homes[0]}, group '{group}' to {homes[1]}"
    return _drop(replace(items, splits=splits), keep, reasons)
