"""The most alike pairs of different classes: what a twin finds hardest, and where a label may be wrong.

"Hard" is the sense of Schroff, Kalenichenko, Philbin, "FaceNet" (CVPR 2015): a negative that is nearer than a positive.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cross_modal.audit.neighbourhood import Neighbourhood
from cross_modal.gallery.exact_scores import ROUNDING, exact_scores, halved_squares, product_error
from cross_modal.gallery.exact_search import nearest

if TYPE_CHECKING:  # that module imports torch
    from cross_modal.fewshot.scoring import Metric

MOST = 200
_SIDE = 2048  # rows of a square that is looked at at once: its products are 16 MB
NAMES = 5  # nearest names of a picture among which one of another class is looked for


@dataclass(frozen=True)
class HardestNegatives:
    """Pairs of different classes, the most alike first.

    Attributes:
        a: (P,) int64 rows of the gallery.
        b: (P,) int64 rows of the gallery.
        scores: (P,) float32: cosine, or minus the distance.
        own: (P,) float32: the score of `a` with the nearest other item of its own class, or with its own name; −inf
            where it has none.
    """

    a: np.ndarray
    b: np.ndarray
    scores: np.ndarray
    own: np.ndarray

    def __len__(self) -> int:
        return len(self.a)

    @property
    def is_hard(self) -> np.ndarray:
        """(P,) bool: the negative is nearer than the nearest positive."""
        return self.scores > self.own


def hardest_negatives(
    vectors: np.ndarray,
    found: Neighbourhood,
    metric: Metric,
    most: int = MOST,
    progress: Callable[[int, int], None] | None = None,
) -> HardestNegatives:
    """The most alike pairs of different classes, exactly and each once; equal scores by row.

    Neighbours alone would not do: in a class of many items all the nearest are of the class itself. They only say what
    a pair must reach at least, so that hardly any others get an exact score.

    Args:
        vectors: (N, D) float32, the gallery.
        found: Its neighbourhoods: the rows that take part and their classes.
        metric: "cosine" or "euclidean".
        most: Pairs at most.
        progress: Told the comparisons done and those to do.

    Example:
        >>> from cross_modal.audit.neighbourhood import neighbourhood
        >>> points = np.array([[1, 0], [0.8, 0.6], [0.6, 0.8]], np.float32)
        >>> around = neighbourhood(points, np.array(["a", "a", "b"], object), "cosine", k=1)
        >>> pairs = hardest_negatives(points, around, "cosine")
        >>> pairs.a.tolist(), pairs.b.tolist(), pairs.is_hard.tolist()
        ([1, 0], [2, 2], [True, False])
    """
    best = _Best(vectors, found, metric, most)
    count, done = len(found.rows), 0
    for left in range(0, count, _SIDE):
        for right in range(left, count, _SIDE):
            best.look_at(left, right)
            rows, columns = min(_SIDE, count - left), min(_SIDE, count - right)
            done += rows * (rows - 1) // 2 if left == right else rows * columns
            if progress is not None:
                progress(done, count * (count - 1) // 2)
    own = _own_items(vectors, found, best.a, metric)
    return HardestNegatives(found.rows[best.a], found.rows[best.b], best.scores, own)


class _Best:
    """The best pairs so far, as places in the neighbourhood's rows; squares of places are looked at one by one."""

    def __init__(self, vectors: np.ndarray, found: Neighbourhood, metric: Metric, most: int) -> None:
        self.vectors, self.found, self.metric, self.most = vectors, found, metric, most
        self.a, self.b = np.zeros(0, np.int64), np.zeros(0, np.int64)
        self.scores = np.zeros(0, np.float32)
        error = product_error(vectors.shape[1])
        self.halves = halved_squares(vectors) if metric == "euclidean" else None
        widest = 1.01 if self.halves is None else 8.0 * float(self.halves.max(initial=0.0))
        self.slack = error * widest  # the most by which a product may be off
        place, rank = np.nonzero(found.exists & (found.neighbour_labels != found.labels[:, None]))
        other = found.neighbours[place, rank]
        low, high = np.minimum(place, other), np.maximum(place, other)
        keys = np.unique(low * np.int64(max(len(found.rows), 1)) + high)
        strong = np.divmod(keys, max(len(found.rows), 1))
        self._least = self._reach(self._exact(*strong)) if len(keys) >= most else -np.inf

    def look_at(self, left: int, right: int) -> None:
        """Takes in what is best in one square, of which only what lies above the diagonal counts."""
        products = self._products(left, right)
        least = max(self._least, self._reach(self.scores) if len(self.scores) >= self.most else -np.inf)
        row, column = np.nonzero(products >= least) if least > -np.inf else self._strongest(products, left, right)
        a, b = row + left, column + right
        keep = (a < b) & (self.found.labels[a] != self.found.labels[b])
        a, b = a[keep], b[keep]
        scores = self._exact(a, b)
        a, b = np.concatenate([self.a, a]), np.concatenate([self.b, b])
        scores = np.concatenate([self.scores, scores])
        order = np.lexsort((b, a, -scores))[: self.most]
        self.a, self.b, self.scores = a[order], b[order], scores[order]

    def _products(self, left: int, right: int) -> np.ndarray:
        """Cosines, or minus half the squared distances; a little off."""
        rows, columns = self.found.rows[left : left + _SIDE], self.found.rows[right : right + _SIDE]
        products = self.vectors[rows] @ self.vectors[columns].T
        if self.halves is not None:
            products -= self.halves[rows][:, None]
            products -= self.halves[columns][None]
        return products

    def _strongest(self, products: np.ndarray, left: int, right: int) -> tuple[np.ndarray, np.ndarray]:
        """Where there is nothing to beat yet: what may be among the best of the square."""
        labels = self.found.labels
        rivals = labels[left : left + _SIDE][:, None] != labels[right : right + _SIDE][None]
        if left == right:
            rivals = np.triu(rivals, 1)
        values = products[rivals]
        if len(values) > self.most:
            rivals &= products >= np.partition(values, -self.most)[-self.most] - 2.0 * self.slack
        row, column = np.nonzero(rivals)
        return row, column

    def _reach(self, scores: np.ndarray) -> float:
        """The least product that a pair can have that is among the best."""
        worst = float(np.partition(scores, -self.most)[-self.most])
        return (worst if self.halves is None else -worst * worst * (1 + 4 * ROUNDING) / 2) - self.slack

    def _exact(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        rows = self.found.rows
        return exact_scores(self.vectors, self.vectors, rows[a], rows[b], self.metric)


def _own_items(vectors: np.ndarray, found: Neighbourhood, places: np.ndarray, metric: Metric) -> np.ndarray:
    """(P,) float32: the score of each place with the nearest other item of its class; −inf where it is alone."""
    asked, where = np.unique(places, return_inverse=True)
    own = np.full(len(asked), -np.inf, np.float32)
    order = np.argsort(found.labels, kind="stable")
    begins, ends = (np.searchsorted(found.labels[order], found.labels[asked], side) for side in ("left", "right"))
    for begin, end in sorted(set(zip(begins.tolist(), ends.tolist(), strict=True))):  # by class: a few, of any size
        here = np.flatnonzero(begins == begin)
        rows, mates = found.rows[asked[here]], found.rows[order[begin:end]]
        hits, scores = nearest(vectors, vectors[rows], 2, metric, mates)
        own[here] = np.where((hits != rows[:, None]) & (hits >= 0), scores, -np.inf).max(1)
    return own[where]


def hardest_names(
    vectors: np.ndarray,
    labels: np.ndarray,
    pictures: np.ndarray,
    names: np.ndarray,
    metric: Metric,
    most: int = MOST,
) -> HardestNegatives:
    """The pictures that are nearest to a name of another class, by how much nearer that is than their own name.

    Args:
        vectors: (N, D) float32, the gallery.
        labels: (N,) objects (str or None).
        pictures: (P,) int64 rows of pictures.
        names: (M,) int64 rows of texts.
        metric: "cosine" or "euclidean".
        most: Pairs at most.

    Returns:
        Pairs of a picture and a name, where the name of another class is nearer than any of its own; pictures whose
        class has no name are left out.
    """
    known = np.array([label is not None for label in labels] + [True], bool)[:-1]
    pictures, names = np.sort(pictures[known[pictures]]), np.sort(names[known[names]])
    _, codes = np.unique(labels[np.concatenate([pictures, names])].astype(str), return_inverse=True)
    of_picture, of_name = codes[: len(pictures)], codes[len(pictures) :]
    pictures, of_picture = pictures[(kept := np.isin(of_picture, of_name))], of_picture[kept]
    code_of = np.full(len(vectors) + 1, -1, np.int64)
    code_of[names] = of_name
    rows, scores = nearest(vectors, vectors[pictures], NAMES, metric, names)
    wrong = np.where((rows >= 0) & (code_of[rows] != of_picture[:, None]), scores, -np.inf)
    best = wrong.argmax(1) if len(pictures) else np.zeros(0, np.int64)
    every = np.arange(len(pictures))
    own = _own_names(vectors, pictures, of_picture, names, of_name, metric)
    strongest = wrong[every, best]
    hard = np.flatnonzero(strongest > own)
    order = hard[np.lexsort((hard, own[hard] - strongest[hard]))][:most]
    return HardestNegatives(pictures[order], rows[order, best[order]], strongest[order], own[order])


def _own_names(
    vectors: np.ndarray, pictures: np.ndarray, of_picture: np.ndarray, names: np.ndarray, of_name: np.ndarray,
    metric: Metric,
) -> np.ndarray:  # fmt: skip
    """(P,) float32: the score of each picture with the nearest name of its own class."""
    order = np.argsort(of_name, kind="stable")
    begins, ends = (np.searchsorted(of_name[order], of_picture, side) for side in ("left", "right"))
    own = np.full(len(pictures), -np.inf, np.float32)
    for place in range(int((ends - begins).max(initial=0))):  # as often as the class with the most names has some
        has = np.flatnonzero(begins + place < ends)
        scores = exact_scores(vectors, vectors, pictures[has], names[order[begins[has] + place]], metric)
        own[has] = np.maximum(own[has], scores)
    return own
