"""Who stands next to whom: for each row of a gallery, the nearest support of its own class and of another one.

The row itself is left out, so a gallery judges itself: a row whose nearest support is of another class would have been
classified wrongly by one nearest neighbour. Supports are the pictures, or the texts where there are no pictures: a
name is judged by the picture that it would find.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cross_modal.gallery.exact_scores import halved_squares

if TYPE_CHECKING:  # that module imports torch
    from cross_modal.fewshot.scoring import Metric

_CELLS = 4_000_000  # scores at a time: 16 MB, and masks of as many bytes


@dataclass(frozen=True)
class Rivals:
    """The nearest support of each row's class and of any other.

    Attributes:
        own: (N,) float32: score of the nearest other support of the row's class; NaN where there is none.
        other: (N,) float32: score of the nearest support of another class; NaN where there is none.
    """

    own: np.ndarray
    other: np.ndarray

    @property
    def known(self) -> np.ndarray:
        """(N,) bool: both exist, so that there is something to be right or wrong about."""
        return np.isfinite(self.own) & np.isfinite(self.other)

    @property
    def error(self) -> np.ndarray:
        """(N,) bool: the nearest support is of another class; a tie is no error. False where it is not known."""
        return self.known & (self.other > self.own)


def rivals(
    vectors: np.ndarray,
    labels: np.ndarray,
    kinds: np.ndarray,
    genuine: np.ndarray | None = None,
    metric: Metric = "cosine",
) -> Rivals:
    """Finds them, exactly.

    Args:
        vectors: (N, D) float32, of unit length for cosine.
        labels: (N,) objects (str), None where a row has no class: such a row is no support and is not judged.
        kinds: (N,) str, "image" or "text".
        genuine: (N,) bool: rows that are false (forgeries) are no supports and are not judged; all are true unless
            given.
        metric: "cosine" (the dot product) or "euclidean" (minus the distance).

    Examples:
        >>> vectors = np.array([[1, 0], [0.8, 0.6], [0.6, 0.8]], np.float32)
        >>> found = rivals(vectors, np.array(["a", "a", "b"]), np.array(["image"] * 3))
        >>> found.error.tolist(), found.known.tolist()
        ([False, True, False], [True, True, False])
    """
    count = len(vectors)
    own, other = np.full(count, -np.inf, np.float32), np.full(count, -np.inf, np.float32)
    judged = np.array([label is not None for label in labels], bool)
    if genuine is not None:
        judged &= genuine.astype(bool)
    shown = "image" if (judged & (kinds == "image")).any() else "text"
    supports = np.flatnonzero(judged & (kinds == shown))
    codes = np.unique(np.array([str(label) for label in labels]), return_inverse=True)[1]
    step = max(1, _CELLS // max(1, len(supports)))
    rows_judged = np.flatnonzero(judged)
    targets = np.ascontiguousarray(vectors[supports])
    halves = halved_squares(targets) if metric == "euclidean" else None
    for start in range(0, len(rows_judged) if len(supports) else 0, step):
        rows = rows_judged[start : start + step]
        scores = vectors[rows] @ targets.T
        if halves is not None:
            squares = 2.0 * (halves[None] + halved_squares(vectors[rows])[:, None] - scores)
            scores = -np.sqrt(np.maximum(squares, 0.0))
        same = codes[rows][:, None] == codes[supports][None]
        other[rows] = np.where(same, -np.inf, scores).max(axis=1)
        same[rows[:, None] == supports[None]] = False  # itself is left out
        own[rows] = np.where(same, scores, -np.inf).max(axis=1)
    for found in (own, other):
        found[np.isneginf(found)] = np.nan
    return Rivals(own, other)
