"""Intervals by resampling what is independent, which pairs are not.

A person with a bad picture spoils every pair that the picture is in: ten thousand pairs of twenty people tell what
twenty people can tell. So owners are resampled (the label of an item, else its group, else connected groups of pairs),
and a pair counts as often as its owner was drawn, or as the product of its two owners.

Sources: Poh, Martin, Bengio 2007, "Performance generalization in biometric authentication using joint user-specific and
sample bootstraps"; Bolle, Ratha, Pankanti 2004, "Error analysis of pattern recognition systems: the subsets bootstrap".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from cross_modal.data.components import connected_components
from cross_modal.errors import CrossModalError

ENOUGH, LARGEST = 20, 0.2  # groups of connected pairs that can be resampled, and the share that one may have of all
CENTRAL = (2.5, 97.5)  # percentiles
_CELLS = 1 << 22  # weights held at a time

Statistic = Callable[[np.ndarray], dict[str, np.ndarray]]


@dataclass(frozen=True)
class Owners:
    """What is independent, on either side of each pair.

    Attributes:
        a: (M,) int64, owner of each pair's first item.
        b: (M,) int64, owner of its second.
        kind: What they are: "label", "group", "component" or "item".
    """

    a: np.ndarray
    b: np.ndarray
    kind: str = "label"

    @property
    def count(self) -> int:
        """How many there are."""
        return len(np.union1d(self.a, self.b))

    def take(self, keep: np.ndarray) -> Owners:
        """Those of some pairs: (M,) bool or (m,) int64."""
        return Owners(self.a[keep], self.b[keep], self.kind)


def identities(
    a: np.ndarray, b: np.ndarray, labels: Sequence[str | None] | None = None, groups: Sequence[str | None] | None = None
) -> Owners:
    """What is independent among pairs of items: their labels, else their groups, else what the pairs connect.

    Args:
        a: (M,) int64, index of each pair's first item.
        b: (M,) int64, index of its second.
        labels: One label an item; None, or a None among the items used, passes on to the groups.
        groups: One group an item (writer, session, source); None likewise passes on.

    Returns:
        The owners, numbered without gaps.

    >>> identities(np.array([0, 1]), np.array([1, 2]), ["anna", "anna", "bert"]).b.tolist()
    [0, 1]
    """
    used = np.union1d(a, b)
    for kind, names in (("label", labels), ("group", groups)):
        if names is None or any(names[item] is None for item in used.tolist()):
            continue
        known = np.unique([str(names[item]) for item in used.tolist()], return_inverse=True)[1]
        return Owners(known[np.searchsorted(used, a)], known[np.searchsorted(used, b)], kind)
    left, right = owners_of([str(item) for item in a.tolist()], [str(item) for item in b.tolist()])
    return Owners(left, right, "component" if left is right else "item")


def owners_of(a: list[str], b: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """What is independent among pairs of items that nothing else is known of.

    Args:
        a: (M,) what each pair's first item is called.
        b: (M,) its second.

    Returns:
        Groups of connected pairs, where there are enough and none holds most of them; else the items themselves.

    >>> owners_of(["a", "b"], ["b", "c"])[1].tolist()
    [1, 2]
    """
    groups = np.unique(connected_components(a, b), return_inverse=True)[1]
    sizes = np.bincount(groups)
    if len(sizes) >= ENOUGH and sizes.max() <= LARGEST * len(a):
        return groups, groups
    items = np.unique([*a, *b], return_inverse=True)[1]
    return items[: len(a)], items[len(a) :]


def resample(
    statistic: Statistic,
    same: np.ndarray | None,
    owners: tuple[np.ndarray, np.ndarray],
    *,
    resamples: int = 1000,
    seed: int = 0,
) -> dict[str, np.ndarray]:
    """Recomputes numbers on resampled owners.

    Args:
        statistic: From weights (R, M), how often each pair counts, to name → (R,) numbers.
        same: (M,) bool: resamples that lack a kind are left out; None keeps all that draw a pair.
        owners: (M,) and (M,) int64: what is independent, for either side of each pair.
        resamples: How many.
        seed: Their seed.

    Returns:
        Name → (at most `resamples`,) float64; nothing at all where fewer than half of the resamples could be used, or
        all is of one owner: he is drawn every time, and nothing would ever vary.

    Raises:
        CrossModalError: Owners that are not one for each side of each pair, or no resamples.
    """
    if resamples < 1:
        raise CrossModalError(f"bootstrap: expected at least 1 resample, found {resamples}")
    left, right = (np.asarray(side) for side in owners)
    if left.shape != right.shape or left.ndim != 1 or (same is not None and len(left) != len(same)):
        raise CrossModalError(
            f"bootstrap: expected an owner for each side of each pair, found {left.shape}, {right.shape}"
            + ("" if same is None else f" for {len(same)} pairs")
        )
    generator = np.random.default_rng(seed)
    numbers = np.unique(np.concatenate([left, right]), return_inverse=True)[1]
    left, right = numbers[: len(left)], numbers[len(left) :]
    count = int(numbers.max()) + 1
    if count < 2:
        return {}
    drawn: dict[str, list[np.ndarray]] = {}
    remaining, used = resamples, 0
    while remaining:
        taken = min(remaining, max(_CELLS // len(left), 1))
        remaining -= taken
        # as often as each owner is drawn when as many are drawn as there are
        times = generator.multinomial(count, np.full(count, 1 / count), taken)
        weights = np.where(left == right, times[:, left], times[:, left] * times[:, right]).astype(np.float64)
        kinds = [np.ones(len(left), bool)] if same is None else [same, ~same]
        usable = np.all([weights[:, kind].sum(1) > 0 for kind in kinds], axis=0)
        used += int(usable.sum())
        if usable.any():
            for name, values in statistic(weights[usable]).items():
                drawn.setdefault(name, []).append(values)
    return {name: np.concatenate(values) for name, values in drawn.items()} if used >= resamples / 2 else {}


def central(values: np.ndarray) -> tuple[float, float]:
    """Bounds of the central 95 % of resampled numbers; those that are NaN are left out.

    >>> central(np.arange(1001.0))
    (25.0, 975.0)
    """
    low, high = np.nanpercentile(values, CENTRAL)
    return float(low), float(high)


def half_width(values: np.ndarray) -> float:
    """Half of what holds the central 95 % of resampled numbers."""
    low, high = central(values)
    return (high - low) / 2
