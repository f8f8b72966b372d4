"""Labelled pairs and triplets: manifests whose rows name two or three items.

A pair has ``image_a``, ``text_a``, ``image_b``, ``text_b`` (those that exist) and ``same`` (0/1) or a graded ``score``
(0–1); a triplet has ``image_anchor``, ``image_positive``, ``image_negative`` and their ``text_…`` twins; either may
have a ``split`` and a ``group`` (a writer, a source). Each distinct item is kept once. Splits never tear apart what is
connected: two rows that share an item are in one split, and where splits are made here, rows of one group, too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from cross_modal.configuration import DataConfig
from cross_modal.data.bad_items import BadItem
from cross_modal.data.items import Items
from cross_modal.data.manifest import Kind, is_manifest, kind_of_columns, read_table
from cross_modal.data.pair_table import read_pair_table
from cross_modal.data.together import ALONE, Together

PAIR_SIDES = ("a", "b")
TRIPLET_SIDES = ("anchor", "positive", "negative")


@dataclass(frozen=True)
class Pairs:
    """Labelled pairs of items.

    Attributes:
        items: The distinct items, unlabelled, each with the split of its pairs.
        a: (M,) int64, index of each pair's first item.
        b: (M,) int64, index of its second.
        same: (M,) bool, or None where the pairs are graded.
        score: (M,) float64 in 0–1, or None where they are not.
        splits: (M,) object: "train", "validation" or "test".
        rows: (M,) int64, number of the row in its source.
        source: The manifest.
        skipped: Rows that were left out.
        groups: (M,) object: what each row belongs to (a writer, a source), which no split tears apart; or None.
    """

    items: Items
    a: np.ndarray
    b: np.ndarray
    same: np.ndarray | None
    score: np.ndarray | None
    splits: np.ndarray
    rows: np.ndarray
    source: str
    skipped: list[BadItem] = field(default_factory=list)
    groups: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.a)

    @property
    def digest(self) -> str:
        """16 hex digits of a SHA-256 over the items, which of them are paired, the verdicts and the splits."""
        verdicts = self.score if self.same is None else self.same.astype(np.float64)
        assert verdicts is not None
        return _digest(self.items, (self.a, self.b, verdicts), self.splits)

    def split(self, name: str) -> Pairs:
        """The pairs of one split; `items` stays whole, so that indices keep their meaning."""
        keep = self.splits == name
        names = ("a", "b", "same", "score", "splits", "rows", "groups")
        return replace(self, **_kept(self, names, keep))


@dataclass(frozen=True)
class Triplets:
    """Triplets of items: the anchor is nearer to the positive than to the negative.

    Attributes:
        items: The distinct items, unlabelled, each with the split of its triplets.
        anchor: (M,) int64, index of each triplet's anchor.
        positive: (M,) int64, index of its positive.
        negative: (M,) int64, index of its negative.
        splits: (M,) object: "train", "validation" or "test".
        rows: (M,) int64, number of the row in its source.
        source: The manifest.
        skipped: Rows that were left out.
        groups: (M,) object: what each row belongs to (a writer, a source), which no split tears apart; or None.
    """

    items: Items
    anchor: np.ndarray
    positive: np.ndarray
    negative: np.ndarray
    splits: np.ndarray
    rows: np.ndarray
    source: str
    skipped: list[BadItem] = field(default_factory=list)
    groups: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.anchor)

    @property
    def digest(self) -> str:
        """16 hex digits of a SHA-256 over the items, which of them make triplets, and the splits."""
        return _digest(self.items, (self.anchor, self.positive, self.negative), self.splits)

    def split(self, name: str) -> Triplets:
        """The triplets of one split; `items` stays whole, so that indices keep their meaning."""
        keep = self.splits == name
        return replace(self, **_kept(self, (*TRIPLET_SIDES, "splits", "rows", "groups"), keep))


def _digest(items: Items, columns: Sequence[np.ndarray], splits: np.ndarray) -> str:
    total = hashlib.sha256(items.digest.encode())
    for cells in columns:
        total.update(np.ascontiguousarray(cells).tobytes())
    total.update("|".join(map(str, splits.tolist())).encode())
    return total.hexdigest()[:16]


def _kept(rows: Pairs | Triplets, names: Sequence[str], keep: np.ndarray) -> dict[str, Any]:
    """These columns, those that there are, of some rows only."""
    cells = {name: getattr(rows, name) for name in names}
    return {name: None if values is None else values[keep] for name, values in cells.items()}


def kind_of(source: str) -> Kind:
    """Whether a source holds items, pairs or triplets, by its columns; whatever is no manifest holds items.

    Raises:
        CrossModalError: Where the manifest cannot be read.
    """
    return kind_of_columns(read_table(Path(source))[0]) if is_manifest(source) else "items"


def read_pairs(source: str, config: DataConfig | None = None, together: Together = ALONE) -> Pairs:
    """Reads a manifest of pairs.

    Args:
        source: A .csv, .tsv, .parquet or .jsonl file.
        config: Shares, seed and policy; None takes the defaults.
        together: The processes that read it: each picture is looked at by one of them.

    Returns:
        The pairs, every one with its split.

    Raises:
        CrossModalError: One line with file, row and reason.
    """
    table = read_pair_table(source, PAIR_SIDES, ("same", "score"), config or DataConfig(), together)
    same = None if table.same is None else table.same == 1
    a, b = table.ends
    return Pairs(table.items, a, b, same, table.score, table.splits, table.numbers, source, table.skipped, table.groups)


def read_triplets(source: str, config: DataConfig | None = None, together: Together = ALONE) -> Triplets:
    """Reads a manifest of triplets; see `read_pairs`.

    Raises:
        CrossModalError: One line with file, row and reason.
    """
    table = read_pair_table(source, TRIPLET_SIDES, (), config or DataConfig(), together)
    anchor, positive, negative = table.ends
    return Triplets(
        table.items, anchor, positive, negative, table.splits, table.numbers, source, table.skipped, table.groups
    )
