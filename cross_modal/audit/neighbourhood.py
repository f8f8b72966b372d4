"""The nearest rows of every row: what all questions about labels are answered from, found once and exactly."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cross_modal.errors import CrossModalError
from cross_modal.gallery.exact_search import nearest

if TYPE_CHECKING:  # that module imports torch
    from cross_modal.fewshot.scoring import Metric

_AT_ONCE = 4096  # rows between two words to `progress`


@dataclass(frozen=True)
class Neighbourhood:
    """Rows with their nearest other rows.

    Attributes:
        rows: (R,) int64, ascending: the rows that are asked about, and that are neighbours.
        labels: (R,) int64: the class of each; equal numbers are equal labels.
        neighbours: (R, K) int64: places in `rows`, nearest first; −1 where there are fewer.
        scores: (R, K) float32: cosine, or minus the distance; −inf where there are fewer.
        names: The labels, by number.
    """

    rows: np.ndarray
    labels: np.ndarray
    neighbours: np.ndarray
    scores: np.ndarray
    names: np.ndarray

    @property
    def exists(self) -> np.ndarray:
        """(R, K) bool: there is such a neighbour."""
        return self.neighbours >= 0

    @property
    def neighbour_labels(self) -> np.ndarray:
        """(R, K) int64: the neighbours' classes; −1 where there is none."""
        return np.where(self.exists, self.labels[self.neighbours], -1)


def neighbourhood(
    vectors: np.ndarray,
    labels: np.ndarray,
    metric: Metric,
    *,
    k: int = 10,
    rows: np.ndarray | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Neighbourhood:
    """Finds the k nearest other rows of every row.

    Args:
        vectors: (N, D) float32, of unit length for cosine.
        labels: (N,) objects (str); rows with None take no part.
        metric: "cosine" or "euclidean".
        k: Neighbours of each.
        rows: (n,) int64, distinct: only these take part; all unless given.
        progress: Told the rows done and those to do.

    Raises:
        CrossModalError: k below 1, or as many labels as there are not vectors.

    Example:
        >>> points = np.array([[1, 0], [0.8, 0.6], [0, 1]], np.float32)
        >>> found = neighbourhood(points, np.array(["a", "a", "b"], object), "cosine", k=1)
        >>> found.neighbours[:, 0].tolist()
        [1, 0, 1]
    """
    if k < 1:
        raise CrossModalError(f"neighbourhood: expected k of at least 1, found {k}")
    if len(labels) != len(vectors):
        raise CrossModalError(f"neighbourhood: expected {len(vectors)} labels, found {len(labels)}")
    asked = np.arange(len(vectors)) if rows is None else np.sort(rows)
    taken = asked[np.fromiter((label is not None for label in labels[asked]), bool, len(asked))]
    names, codes = np.unique(labels[taken].astype(str), return_inverse=True)
    places = np.full(len(vectors), -1, np.int64)
    places[taken] = np.arange(len(taken))
    neighbours = np.full((len(taken), k), -1, np.int64)
    scores = np.full((len(taken), k), -np.inf, np.float32)
    for start in range(0, len(taken), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        hits, values = nearest(vectors, vectors[taken[part]], k + 1, metric, taken)
        neighbours[part], scores[part] = _others(hits, values, taken[part], places)
        if progress is not None:
            progress(min(start + _AT_ONCE, len(taken)), len(taken))
    return Neighbourhood(taken, codes.astype(np.int64), neighbours, scores, names)


def _others(
    hits: np.ndarray, scores: np.ndarray, asked: np.ndarray, places: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The hits without the row itself: (n, k) places and scores from (n, k + 1).

    Where equal pictures crowd the row itself out, the last hit goes.
    """
    itself = hits == asked[:, None]
    itself[~itself.any(1), -1] = True
    count, width = hits.shape
    kept = hits[~itself].reshape(count, width - 1), scores[~itself].reshape(count, width - 1)
    return np.where(kept[0] >= 0, places[kept[0]], -1), kept[1]
