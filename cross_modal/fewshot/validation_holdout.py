"""Validation for data that brings none: a fifth of each class, held out before any support is drawn.

Units are held out whole: a unit is a group (a drawer, a session), or an item where it has no group. The units of a
class are ranked by a salted hash and the first fifth leaves. Classes that share a unit are cut together, so that a
group never stands on both sides; a class that shares none is cut on its own, whatever else the data holds.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from cross_modal.data.components import connected_components

SHARE = 0.2
Pool = dict[str, list[str]]


def validation_rank(seed: int, unit: str) -> bytes:
    """The rank of a group (or item) for being held out, salted apart from the rank of the support.

    >>> validation_rank(1, "drawer 3").hex()[:8]
    'cfad4081'
    """
    return hashlib.sha256(f"split-validation-v1|{seed}|{unit}".encode()).digest()


def hold_out(
    train: Mapping[str, Sequence[str]], seed: int, groups: Mapping[str, str] | None = None, share: float = SHARE
) -> tuple[Pool, Pool]:
    """Holds validation out of train.

    Args:
        train: Class → item ids.
        seed: Seed of the split.
        groups: Item id → group, for the items that have one.
        share: Share of the units of each class: at least one where it has two, and never its last one.

    Returns:
        What is left of train, and validation; both name every class, perhaps with an empty list.

    >>> left, held = hold_out({"a": ["1", "2", "3"], "b": ["4"]}, seed=1)
    >>> len(left["a"]), len(held["a"]), left["b"], held["b"]
    (2, 1, ['4'], [])
    """
    # A group and an item may have the same name; the prefix keeps them apart.
    unit_of = {
        item: f"group:{groups[item]}" if groups is not None and item in groups else f"item:{item}"
        for items in train.values()
        for item in items
    }
    classes_of: dict[str, set[str]] = defaultdict(set)
    for label, items in train.items():
        for item in items:
            classes_of[unit_of[item]].add(label)
    held = _choose(classes_of, seed, share)
    left = {label: [item for item in items if unit_of[item] not in held] for label, items in train.items()}
    return left, {label: [item for item in items if unit_of[item] in held] for label, items in train.items()}


def _choose(classes_of: Mapping[str, set[str]], seed: int, share: float) -> set[str]:
    """The units that are held out: the first of each component by rank, as long as no class loses its last unit."""
    left = Counter(label for labels in classes_of.values() for label in labels)
    held: set[str] = set()
    for units in _components(classes_of):
        wanted = min(max(round(share * len(units)), 1), len(units) - 1)
        for unit in sorted(units, key=lambda unit: validation_rank(seed, unit)):
            if wanted and all(left[label] > 1 for label in classes_of[unit]):
                held.add(unit)
                left.subtract(classes_of[unit])
                wanted -= 1
    return held


def _components(classes_of: Mapping[str, set[str]]) -> list[list[str]]:
    """The units, gathered where their classes are joined by shared units."""
    gathered: dict[str, list[str]] = defaultdict(list)
    if all(len(labels) == 1 for labels in classes_of.values()):
        for unit, labels in classes_of.items():
            gathered[next(iter(labels))].append(unit)
        return list(gathered.values())
    edges = [(unit, label) for unit, labels in classes_of.items() for label in labels]
    names = connected_components([f"unit:{unit}" for unit, _ in edges], [f"class:{label}" for _, label in edges])
    for unit, name in dict(zip((unit for unit, _ in edges), names, strict=True)).items():
        gathered[name].append(unit)
    return list(gathered.values())
