"""Pairs of classes that the twin holds for much the same: how alike their prototypes are, and who is next to whom.

A prototype is the mean of a class's embeddings (Snell, Swersky, Zemel, "Prototypical Networks for Few-shot Learning",
NeurIPS 2017). How often an item of the one class has its nearest item in the other says what the likeness costs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cross_modal.audit.neighbourhood import Neighbourhood
from cross_modal.gallery.exact_search import nearest

if TYPE_CHECKING:  # that module imports torch
    from cross_modal.fewshot.scoring import Metric

PARTNERS = 10  # classes nearest to each class that are looked at


@dataclass(frozen=True)
class ConfusableClasses:
    """Pairs of classes, the most confused first, then the most alike.

    Attributes:
        a: (P,) labels; the lower by name.
        b: (P,) labels.
        confusions: (P,) int64: items of either class whose nearest item is of the other.
        items: (P,) int64: items of both.
        score: (P,) float32: the prototypes' cosine, or minus their distance.
        row_a: (P,) int64: a row of a, of the two that are nearest across where there are any, else its first.
        row_b: (P,) int64: likewise of b.
    """

    a: np.ndarray
    b: np.ndarray
    confusions: np.ndarray
    items: np.ndarray
    score: np.ndarray
    row_a: np.ndarray
    row_b: np.ndarray

    def __len__(self) -> int:
        return len(self.a)

    @property
    def rate(self) -> np.ndarray:
        """(P,) float64 in [0, 1]: confusions by items."""
        return self.confusions / np.maximum(self.items, 1)


def confusable_classes(vectors: np.ndarray, found: Neighbourhood, metric: Metric) -> ConfusableClasses:
    """The pairs of classes that are confused, and those whose prototypes are nearest.

    Args:
        vectors: (N, D) float32, the gallery.
        found: Its neighbourhoods.
        metric: "cosine" or "euclidean".

    Example:
        >>> from cross_modal.audit.neighbourhood import neighbourhood
        >>> points = np.array([[1, 0], [0.8, 0.6], [0.6, 0.8], [0, 1]], np.float32)
        >>> labels = np.array(["a", "a", "b", "b"], object)
        >>> pairs = confusable_classes(points, neighbourhood(points, labels, "cosine", k=1), "cosine")
        >>> pairs.a.tolist(), pairs.b.tolist(), pairs.confusions.tolist(), pairs.items.tolist()
        (['a'], ['b'], [2], [4])
    """
    count = len(found.names)
    prototypes = _prototypes(vectors, found, metric)
    partners, _ = nearest(prototypes, prototypes, min(PARTNERS + 1, max(count, 1)), metric)
    left, right = np.repeat(np.arange(count), partners.shape[1]), partners.reshape(-1)
    first = found.neighbour_labels[:, 0] if found.neighbours.shape[1] else np.full(len(found.rows), -1)
    crossing = np.flatnonzero((first >= 0) & (first != found.labels))
    left = np.concatenate([left, found.labels[crossing]])
    right = np.concatenate([right, first[crossing]])
    keys = np.minimum(left, right) * count + np.maximum(left, right)
    keys = np.unique(keys[(left != right) & (right >= 0)])
    a, b = np.divmod(keys, max(count, 1))
    of_crossing = np.minimum(found.labels[crossing], first[crossing]) * count + np.maximum(
        found.labels[crossing], first[crossing]
    )
    confusions = np.bincount(np.searchsorted(keys, of_crossing), minlength=len(keys))
    row_a, row_b = _examples(found, keys, a, b, crossing, of_crossing)
    sizes = np.bincount(found.labels, minlength=count)
    scores = _scores(prototypes, a, b, metric)
    order = np.lexsort((b, a, -scores, -confusions))
    a, b = a[order], b[order]
    return ConfusableClasses(
        found.names[a], found.names[b], confusions[order], sizes[a] + sizes[b], scores[order],
        row_a[order], row_b[order],
    )  # fmt: skip


def _prototypes(vectors: np.ndarray, found: Neighbourhood, metric: Metric) -> np.ndarray:
    """(C, D) float32: the means of the classes, of unit length for cosine; summed without a copy of all vectors."""
    order = np.argsort(found.labels, kind="stable")
    sums = np.zeros((len(found.names), vectors.shape[1]), np.float64)
    for start in range(0, len(order), 65_536):
        part = order[start : start + 65_536]
        labels = found.labels[part]
        begins = np.flatnonzero(np.r_[True, labels[1:] != labels[:-1]])
        sums[labels[begins]] += np.add.reduceat(vectors[found.rows[part]], begins, axis=0, dtype=np.float64)
    if metric == "cosine":
        sums /= np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-12)
    else:
        sums /= np.maximum(np.bincount(found.labels, minlength=len(found.names)), 1)[:, None]
    return sums.astype(np.float32)


def _scores(prototypes: np.ndarray, a: np.ndarray, b: np.ndarray, metric: Metric) -> np.ndarray:
    from cross_modal.gallery.exact_scores import exact_scores

    return exact_scores(prototypes, prototypes, a, b, metric)


def _examples(
    found: Neighbourhood, keys: np.ndarray, a: np.ndarray, b: np.ndarray, crossing: np.ndarray, of_crossing: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """A row of either class to look at: the two nearest of those that are confused."""
    first_of = np.full(len(found.names), -1, np.int64)
    first_of[found.labels[::-1]] = found.rows[::-1]
    row_a, row_b = first_of[a], first_of[b]
    if len(crossing):
        strongest = crossing[np.argsort(found.scores[crossing, 0], kind="stable")]  # the last written is the nearest
        place = np.searchsorted(keys, of_crossing[np.argsort(found.scores[crossing, 0], kind="stable")])
        neighbour = found.neighbours[strongest, 0]
        own_is_a = found.labels[strongest] == a[place]
        row_a[place] = found.rows[np.where(own_is_a, strongest, neighbour)]
        row_b[place] = found.rows[np.where(own_is_a, neighbour, strongest)]
    return row_a, row_b
