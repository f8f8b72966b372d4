"""Candidates ranked for queries in plain numpy: the rank of the first right one, and the best. No Streamlit here.

Scores are added up in float64 and rounded as the gallery's exact search rounds them, and equal ones stand by their
place, so that a rank said here is the place at which the gallery shows the item.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

Metric = Literal["cosine", "euclidean"]
NONE: Final = -1  # a place in the top that nothing fills
_BLOCK = 4096  # candidates whose scores are added up at a time
_CELLS = 1 << 23  # scores held at a time


@dataclass(frozen=True)
class Ranked:
    """What one run answered.

    Attributes:
        first: (Q,) int64: rank of the first candidate of the query's class, from 1; 0 where no class is asked for.
        top: (Q, k) int64: the best candidates, as places among the candidates, best first; −1 where there are fewer.
        scores: (Q, k) float32; −inf where there are fewer.
    """

    first: np.ndarray
    top: np.ndarray
    scores: np.ndarray


def rank_candidates(
    queries: np.ndarray,
    candidates: np.ndarray,
    metric: Metric,
    classes: np.ndarray,
    candidate_classes: np.ndarray,
    own: np.ndarray,
    top: int,
) -> Ranked:
    """Ranks candidates: higher scores first, equal ones by their place.

    Args:
        queries: (Q, dim) float32.
        candidates: (M, dim) float32.
        metric: "cosine" (unit length) or "euclidean".
        classes: (Q,) int64 class of each query; −1 asks for none.
        candidate_classes: (M,) int64; −1 for none.
        own: (Q,) int64: where the query itself stands among the candidates; −1 nowhere.
        top: How many of the best are kept.

    >>> eye = np.eye(3, dtype=np.float32)
    >>> found = rank_candidates(eye[:1], eye, "cosine", np.array([1]), np.array([1, 0, 1]), np.array([0]), 2)
    >>> found.first.tolist(), found.top.tolist()
    ([2], [[1, 2]])
    """
    kept = min(top, len(candidates))
    first = np.zeros(len(queries), np.int64)
    best = np.full((len(queries), kept), NONE, np.int64)
    scores = np.full((len(queries), kept), -np.inf, np.float32)
    step = max(1, _CELLS // max(1, len(candidates)))
    for begin in range(0, len(queries), step):
        part = slice(begin, begin + step)
        found = score_candidates(queries[part], candidates, metric)
        found[np.flatnonzero(own[part] >= 0), own[part][own[part] >= 0]] = -np.inf
        first[part] = _first_hits(found, classes[part, None] == candidate_classes, classes[part])
        best[part], scores[part] = _best(found, kept)
    return Ranked(first, best, scores)


def score_candidates(queries: np.ndarray, candidates: np.ndarray, metric: Metric) -> np.ndarray:
    """(Q, M) float32: the dot product or minus the distance, added up in float64 as the gallery's exact search does."""
    asked = queries.astype(np.float64)
    found = np.empty((len(queries), len(candidates)), np.float32)
    for begin in range(0, len(candidates), _BLOCK):
        part = candidates[begin : begin + _BLOCK].astype(np.float64)
        products = asked @ part.T
        if metric == "euclidean":
            squares = np.square(asked).sum(1)[:, None] + np.square(part).sum(1) - 2 * products
            products = -np.sqrt(np.maximum(squares, 0))
        found[:, begin : begin + _BLOCK] = products
    return found


def ranks_of(scores: np.ndarray) -> np.ndarray:
    """(M,) int64: the rank, from 1, of each candidate of one query; equal scores by place.

    >>> ranks_of(np.array([0.1, 0.9, 0.9])).tolist()
    [3, 1, 2]
    """
    ranks = np.empty(len(scores), np.int64)
    ranks[np.argsort(-scores, kind="stable")] = np.arange(1, len(scores) + 1)
    return ranks


def _first_hits(scores: np.ndarray, right: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """(Q,) int64: the rank of each query's first right candidate; 0 where it has none."""
    right = right & np.isfinite(scores) & (classes[:, None] >= 0)
    if not scores.shape[1]:
        return np.zeros(len(scores), np.int64)
    of_right = np.where(right, scores, -np.inf)
    place = of_right.argmax(1)[:, None]  # the first of equals
    best = np.take_along_axis(of_right, place, 1)
    before = np.arange(scores.shape[1]) < place
    ahead = ((scores > best) | ((scores == best) & before)).sum(1)
    return np.where(right.any(1), ahead + 1, 0)


def _best(scores: np.ndarray, kept: int) -> tuple[np.ndarray, np.ndarray]:
    """The best of each row, equal ones by their place: places and scores (Q, kept)."""
    if not kept:
        return np.zeros((len(scores), 0), np.int64), np.zeros((len(scores), 0), np.float32)
    least = np.partition(scores, scores.shape[1] - kept, axis=1)[:, -kept:].min(1)
    query, place = np.nonzero(scores >= least[:, None])
    values = scores[query, place]
    order = np.lexsort((place, -values, query))
    query, place, values = query[order], place[order], values[order]
    counts = np.bincount(query, minlength=len(scores))
    at = np.arange(len(query)) - (np.cumsum(counts) - counts)[query]
    keep = at < kept
    places = np.full((len(scores), kept), NONE, np.int64)
    found = np.full((len(scores), kept), -np.inf, np.float32)
    places[query[keep], at[keep]] = np.where(np.isfinite(values[keep]), place[keep], NONE)
    found[query[keep], at[keep]] = values[keep]
    return places, found
