"""The most alike pairs of different classes: what a twin finds hardest, and where a label may be wrong.

"Hard" is the sense of Schroff, Kalenichenko, Philbin, "FaceNet" (CVPR 2015): a negative that is nearer than a positive.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cross_modal.audit.neighbourhood import Neighbourhood
from cross_modal.gallery.exact_search import nearest

if TYPE_CHECKING:  # that module imports torch
    from cross_modal.fewshot.scoring import Metric

MOST = 200
NAMES = 5  # nearest names of a picture among which one of another class is looked for


@dataclass(frozen=True)
class HardestNegatives:
    """Pairs of different classes, the most alike first.

    Attributes:
        a: (P,) int64 rows of the gallery.
        b: (P,) int64 rows of the gallery.
        scores: (P,) float32: cosine, or minus the distance.
        own: (P,) float32: the score of `a` with the nearest item of its own class among its neighbours, or with its own
            name; −inf where none is that near.
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


def hardest_negatives(found: Neighbourhood, most: int = MOST) -> HardestNegatives:
    """The most alike pairs of different classes among neighbours; each pair once.

    Args:
        found: The neighbourhoods.
        most: Pairs at most.

    Example:
        >>> from cross_modal.audit.neighbourhood import neighbourhood
        >>> points = np.array([[1, 0], [0.8, 0.6], [0.6, 0.8]], np.float32)
        >>> pairs = hardest_negatives(neighbourhood(points, np.array(["a", "a", "b"], object), "cosine", k=2))
        >>> pairs.a.tolist(), pairs.b.tolist(), pairs.is_hard.tolist()
        ([1, 0], [2, 2], [True, False])
    """
    classes = found.neighbour_labels
    same = found.exists & (classes == found.labels[:, None])
    own = np.where(same, found.scores, -np.inf).max(1, initial=-np.inf)
    place, rank = np.nonzero(found.exists & ~same)
    other, scores = found.neighbours[place, rank], found.scores[place, rank]
    low, high = np.minimum(place, other), np.maximum(place, other)
    order = np.lexsort((high, low, -scores))
    _, first = np.unique(low[order] * np.int64(len(found.rows) + 1) + high[order], return_index=True)
    chosen = order[np.sort(first)][:most]
    a, b = low[chosen], high[chosen]
    return HardestNegatives(found.rows[a], found.rows[b], scores[chosen], own[a].astype(np.float32))


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
    from cross_modal.gallery.exact_scores import exact_scores

    order = np.argsort(of_name, kind="stable")
    begins, ends = (np.searchsorted(of_name[order], of_picture, side) for side in ("left", "right"))
    own = np.full(len(pictures), -np.inf, np.float32)
    for place in range(int((ends - begins).max(initial=0))):  # as often as the class with the most names has some
        has = np.flatnonzero(begins + place < ends)
        scores = exact_scores(vectors, vectors, pictures[has], names[order[begins[has] + place]], metric)
        own[has] = np.maximum(own[has], scores)
    return own
