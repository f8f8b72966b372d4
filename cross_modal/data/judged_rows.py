"""The judged pairs or triplets of one split, with the items of that split only."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cross_modal.data.items import Items
from cross_modal.data.pairs import TRIPLET_SIDES, Pairs, Triplets
from cross_modal.errors import CrossModalError


@dataclass(frozen=True)
class JudgedRows:
    """Rows of two items with a verdict, or of three.

    Attributes:
        items: The items, of one split.
        ends: Two or three arrays (M,) int64: the items of each row.
        verdicts: (M,) float64: 1 same, 0 different, or scores between them; None for triplets.
        graded: The verdicts are scores.
        numbers: (M,) int64, the rows' numbers in the source.
        split: The split's name.
    """

    items: Items
    ends: tuple[np.ndarray, ...]
    verdicts: np.ndarray | None
    graded: bool
    numbers: np.ndarray
    split: str

    @classmethod
    def of_split(cls, data: Pairs | Triplets, split: str, items: Items) -> JudgedRows:
        """The rows of one split.

        Args:
            data: All pairs or triplets.
            split: "train", "validation" or "test".
            items: ``data.items.split(split)``.

        Raises:
            CrossModalError: A row whose items are in other splits than it is.
        """
        part = data.split(split)
        place = np.full(len(data.items), -1, np.int64)
        if data.items.splits is not None:
            place[np.flatnonzero(data.items.splits == split)] = np.arange(len(items))
        sides = ("a", "b") if isinstance(data, Pairs) else TRIPLET_SIDES
        ends = tuple(place[getattr(part, side)] for side in sides)
        astray = np.flatnonzero(np.any(np.stack(ends) < 0, axis=0))
        if len(astray):
            raise CrossModalError(
                f"{_file(data.source)} row {part.rows[astray[0]]}: expected items of the split {split}, as the row is, "
                "found one of another"
            )
        if isinstance(part, Triplets):
            return cls(items, ends, None, False, part.rows, split)
        verdicts = part.score if part.same is None else part.same.astype(np.float64)
        return cls(items, ends, verdicts, part.same is None, part.rows, split)

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def same(self) -> np.ndarray | None:
        """(M,) bool; None for triplets and graded pairs."""
        return None if self.verdicts is None or self.graded else self.verdicts > 0.5

    def check_verdicts(self) -> None:
        """Refuses rows that all say the same: nothing can be learned from them, or measured on them.

        Raises:
            CrossModalError: One verdict only, or one score; names the first row.
        """
        if self.verdicts is None or not len(self) or len(set(self.verdicts.tolist())) > 1:
            return
        wanted = "two different scores" if self.graded else "pairs that are the same and pairs that are not"
        name = "score" if self.graded else "same"
        raise CrossModalError(
            f"{_file(self.items.source)} row {self.numbers[0]}: expected {wanted} in the split {self.split}, found "
            f"{name} = {self.verdicts[0]:g} in this row and all others of it ({len(self):,} in all)"
        )

    def in_words(self) -> str:
        """How many rows there are of which kind, for a message."""
        if self.verdicts is None:
            return f"{len(self):,} triplets"
        if self.graded:
            return f"{len(self):,} graded pairs, scores of {self.verdicts.mean():.2f} on average"
        same = int(self.verdicts.sum())
        share = 100 * same / max(len(self), 1)
        return f"{same:,} same and {len(self) - same:,} different pairs ({share:.1f} % same)"


def _file(source: str) -> str:
    """A manifest's name, as other messages have it."""
    return Path(source).name
