"""What a search found: the nearest rows of every query, best first, and whether that is certain."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Hits:
    """The best k of Q queries. Where fewer were found, ids are None, scores −inf and rows −1.

    Attributes:
        ids: (Q, k) objects (str or None), best first; equal scores by id, ascending.
        scores: (Q, k) float32: cosine, or minus the Euclidean distance.
        exact: Nothing better exists in the gallery.
        recall: Share of the true best that an approximate index was measured to find; None where exact.
        seconds: How long the search took.
        locate: Gives the rows when they are first asked for.
    """

    ids: np.ndarray
    scores: np.ndarray
    exact: bool
    recall: float | None
    seconds: float
    locate: Callable[[], np.ndarray]

    @cached_property
    def rows(self) -> np.ndarray:
        """(Q, k) int64 into the gallery's `matrix()`; −1 where there is none."""
        return self.locate()

    def __len__(self) -> int:
        return len(self.ids)

    def grouped(self, labels: Sequence[str | None] | np.ndarray, k: int) -> Hits:
        """The best hit of every class, and of those the best k.

        Args:
            labels: (N,) labels of the gallery's rows, as in `matrix().facts`. Rows without one count for none.
            k: How many classes.

        Returns:
            Hits (Q, k).
        """
        labels = np.asarray(labels, object)
        rows = self.rows
        found = np.where(rows >= 0, labels[np.clip(rows, 0, None)] if len(labels) else None, None)
        picked = np.full((len(rows), k), -1, np.int64)
        for query, names in enumerate(found):
            first = dict.fromkeys(name for name in names if name is not None)
            places = {name: int(np.flatnonzero(names == name)[0]) for name in list(first)[:k]}
            picked[query, : len(places)] = list(places.values())
        there = picked >= 0

        def take(values: np.ndarray, empty: Any) -> np.ndarray:
            if not values.shape[1]:
                return np.full(picked.shape, empty, values.dtype)
            return np.where(there, np.take_along_axis(values, np.clip(picked, 0, None), 1), empty).astype(values.dtype)

        grouped_rows = take(rows, -1)
        return replace(self, ids=take(self.ids, None), scores=take(self.scores, -np.inf), locate=lambda: grouped_rows)
