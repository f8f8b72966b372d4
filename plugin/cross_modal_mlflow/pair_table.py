"""Pairs to verify, in the three ways that a table can hold them.

- two rows with one value in a column `pair`, as a served model takes them, and a column `same` (0/1), or labels;
- one row a pair, as a manifest has it: `image_a`, `text_a`, `image_b`, `text_b` (those that exist) and `same`;
- labelled items without pairs: pairs are drawn from them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cross_modal.data.items import Items
from cross_modal.data.manifest import TRUTHS
from cross_modal.errors import CrossModalError
from cross_modal_mlflow.request_cells import text_cell

if TYPE_CHECKING:
    import pandas as pd

WIDE = ("image_a", "text_a", "image_b", "text_b")


@dataclass(frozen=True)
class ItemPairs:
    """Pairs of rows of a table of items.

    Attributes:
        a: (M,) int64 row of each pair's first item.
        b: (M,) int64 row of its second.
        same: (M,) bool.
    """

    a: np.ndarray
    b: np.ndarray
    same: np.ndarray

    def __len__(self) -> int:
        return len(self.a)

    def among(self, rows: np.ndarray) -> ItemPairs:
        """The pairs both of whose rows are among these."""
        keep = np.isin(self.a, rows) & np.isin(self.b, rows)
        return ItemPairs(self.a[keep], self.b[keep], self.same[keep])


def has_pairs(table: pd.DataFrame) -> bool:
    """Whether a table brings its own pairs."""
    return "pair" in table or bool(set(WIDE) & set(table.columns))


def as_rows(table: pd.DataFrame, same: Iterable[Any] | None) -> tuple[pd.DataFrame, list[Any] | None]:
    """A table with one row a pair as a table with two; any other as it is.

    Args:
        table: The table.
        same: (M,) whether each pair is the same, or None.

    Returns:
        The table with columns image, text, pair (and split), and `same` for each of its rows.
    """
    import pandas as pd

    if not set(WIDE) & set(table.columns):
        return table, None if same is None else list(same)
    parts = []
    for side in ("a", "b"):
        part = {name: table[f"{name}_{side}"] for name in ("image", "text") if f"{name}_{side}" in table}
        if not part:
            raise CrossModalError(f"pairs: expected a column image_{side} or text_{side}, found neither")
        part |= {"split": table["split"]} if "split" in table else {}
        parts.append(pd.DataFrame({**part, "pair": np.arange(len(table))}))
    rows = pd.concat(parts, ignore_index=True).astype(object)
    return rows.where(rows.notna(), None), None if same is None else [*same, *same]


def pairs_of_column(cells: Sequence[Any], same: Sequence[Any] | None, labels: np.ndarray | None) -> ItemPairs:
    """The pairs that a column `pair` names.

    Args:
        cells: (N,) what two rows of a pair share.
        same: (N,) 0 or 1, alike in both rows; None goes by the labels.
        labels: (N,) the class of each row, or None.

    Raises:
        CrossModalError: A value in another number of rows than two, rows that disagree, or nothing that says whether
            they are the same.

    >>> pairs_of_column(["p", "q", "p", "q"], [1, 0, 1, 0], None).same.tolist()
    [True, False]
    """
    if same is None and labels is None:
        raise CrossModalError("pairs: expected targets same (0 or 1) or labels, found neither")
    members: dict[str, list[int]] = {}
    for row, cell in enumerate(cells):
        name = text_cell(cell)
        if name is None:
            raise CrossModalError(f"row {row}: pair: expected what it shares with one other row, found none")
        members.setdefault(name, []).append(row)
    for name, rows in members.items():
        if len(rows) != 2:
            raise CrossModalError(f"pair '{name}': expected two rows, found {len(rows)} (row {rows[0]})")
    a, b = np.array(list(members.values()), np.int64).reshape(-1, 2).T
    if same is None:
        assert labels is not None
        return ItemPairs(a, b, labels[a] == labels[b])
    truth = np.array([_truth(cell, row) for row, cell in enumerate(same)], bool)
    odd = np.flatnonzero(truth[a] != truth[b])
    if len(odd):
        name = list(members)[odd[0]]
        raise CrossModalError(f"pair '{name}': expected one value of same in both rows, found 0 and 1")
    return ItemPairs(a, b, truth[a])


def draw_pairs(items: Items, count: int, seed: int, within_prefix: float = 0.0) -> ItemPairs:
    """Draws pairs from labelled items: half of one class, half of two, no pair twice.

    Forgeries take part as what they are: one with a genuine item of its class is a pair that is not the same.

    Args:
        items: Labelled items.
        count: How many at most.
        seed: The seed.
        within_prefix: Share of the different pairs that are of one label prefix (an alphabet, a family), where there
            are such: these are the hard ones.

    Returns:
        The pairs; fewer where there are not so many. Two of one group, or of two look-alike classes, never meet.
    """
    generator = np.random.default_rng(seed)
    ids, genuine = items.class_ids, np.ones(len(items), bool) if items.genuine is None else items.genuine
    families = None if items.prefixes is None else np.unique(items.prefixes.astype(str), return_inverse=True)[1]

    def drawn(kinds: np.ndarray) -> np.ndarray:
        """Pairs within kinds (N,) int64 numbers."""
        order = np.lexsort((ids, kinds))
        starts = np.searchsorted(kinds[order], np.arange(int(kinds.max(initial=0)) + 2))
        a = generator.integers(0, len(items), 8 * count)
        places = generator.random(8 * count) * np.diff(starts)[kinds[a]]
        b = order[starts[kinds[a]] + places.astype(np.int64)]
        return np.unique(np.sort(np.stack([a, b], 1), axis=1), axis=0)

    def kept(pairs: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        a, b = np.unique(pairs, axis=0).T
        keep = _may_meet(items, a, b) & (genuine[a] | genuine[b])
        a, b = a[keep], b[keep]
        return a, b, (ids[a] == ids[b]) & genuine[a] & genuine[b]

    a, b, same = kept(np.concatenate([drawn(ids), drawn(np.zeros(len(items), np.int64))]))
    rows = [generator.permutation(np.flatnonzero(same == kind))[: count // 2] for kind in (True, False)]
    if within_prefix and families is not None:
        near_a, near_b, alike = kept(drawn(families))
        near = generator.permutation(np.flatnonzero(~alike))[: round(within_prefix * (count // 2))]
        rows = [rows[0], rows[1][: count // 2 - len(near)], len(a) + near]
        a, b, same = np.append(a, near_a), np.append(b, near_b), np.append(same, alike)
    chosen = np.sort(np.concatenate(rows))
    _, first = np.unique(np.stack([a, b], 1)[chosen], axis=0, return_index=True)
    chosen = chosen[np.sort(first)]
    return ItemPairs(a[chosen], b[chosen], same[chosen])


def draw_across(items: Items, count: int, seed: int) -> ItemPairs:
    """Draws pairs of a picture and a text: half of one class, half of two, no pair twice.

    Args:
        items: Items with pictures and texts. Without labels a picture is a class, and its captions are its texts.
        count: How many at most.
        seed: The seed.

    Returns:
        The pairs: `a` is the row of the picture, `b` a row that has the text. Forgeries take no part, nor do two
        look-alike classes.
    """
    generator, ids = np.random.default_rng(seed), items.class_ids
    genuine = np.ones(len(items), bool) if items.genuine is None else items.genuine
    pictured = np.flatnonzero(items.has_image & genuine)
    pictured = pictured[np.unique(np.stack([ids, items.image_ids])[:, pictured], axis=1, return_index=True)[1]]
    first: dict[tuple[int, str], int] = {}
    for row in np.flatnonzero(items.has_text).tolist():
        first.setdefault((int(ids[row]), str(items.texts[row])), row)
    worded = np.fromiter(first.values(), np.int64, len(first))
    order = worded[np.argsort(ids[worded], kind="stable")]
    starts = np.searchsorted(ids[order], np.arange(int(ids.max(initial=0)) + 2))
    if not len(pictured) or not len(order):
        return ItemPairs(*(np.zeros(0, kind) for kind in (np.int64, np.int64, bool)))
    a = pictured[generator.integers(0, len(pictured), 4 * count)]
    sizes, places = np.diff(starts)[ids[a]], generator.random(4 * count)
    own = order[np.minimum(starts[ids[a]] + (places * sizes).astype(np.int64), len(order) - 1)]
    pairs = np.concatenate(
        [np.stack([a, own], 1)[sizes > 0], np.stack([a, order[(places * len(order)).astype(np.int64)]], 1)]
    )
    a, b = np.unique(pairs, axis=0).T
    keep = _apart(items, a, b)
    a, b = a[keep], b[keep]
    same = ids[a] == ids[b]
    chosen = [generator.permutation(np.flatnonzero(same == kind))[: count // 2] for kind in (True, False)]
    rows = np.sort(np.concatenate(chosen))
    return ItemPairs(a[rows], b[rows], same[rows])


def _may_meet(items: Items, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Not one row, picture or lone text twice, not one group, not two classes of one set."""
    pictured = items.image_ids[a] >= 0
    keep = (a != b) & np.where(pictured, items.image_ids[a] != items.image_ids[b], items.texts[a] != items.texts[b])
    if items.groups is not None:
        keep &= (items.groups[a] != items.groups[b]) | np.array([cell is None for cell in items.groups[a]], bool)
    return keep & _apart(items, a, b)


def _apart(items: Items, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Not two classes of one set: nobody can tell whether look-alikes are the same."""
    if items.sets is None:
        return np.ones(len(a), bool)
    alike = (items.sets[a] == items.sets[b]) & np.array([cell is not None for cell in items.sets[a]], bool)
    return ~alike | (items.class_ids[a] == items.class_ids[b])


def _truth(cell: Any, row: int) -> bool:
    truth = TRUTHS.get((text_cell(cell) or "").strip().lower())
    if truth is None:
        raise CrossModalError(f"row {row}: same: expected 0 or 1, found {cell!r}")
    return truth
