"""Exact nearest neighbours in memory: recall 1, filtered or not, ties by row, the same answer alone and in a batch.

A product gives approximate scores; a threshold that at least k of them reach is found cheaply, from maxima of tiles
(one query) or of the rows seen so far (a batch); what comes within the product's rounding error of it is a candidate,
and candidates get exact scores (`exact_scores`). A batch is shared out over as many threads as NumPy's BLAS may use, a
small search runs on one. No part ever holds Q × N scores.
"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cross_modal.errors import CrossModalError
from cross_modal.gallery.blas_threads import BLAS, shared_out
from cross_modal.gallery.exact_scores import ROUNDING, exact_scores, halved_squares, product_error

if TYPE_CHECKING:  # that module imports torch
    from cross_modal.fewshot.scoring import Metric

_TILE = 64  # scores of which the best is looked at
_BLOCK = 4096  # rows of the gallery at a time in a batch
_TOGETHER = 256  # queries of one thread's product
_GATHER = 1024  # rows of a slice copied at a time: they stay in the cache until they are scored
_SHARE = 8192  # of them that a thread scores at a time: one that has to wait holds up little
_LARGE = 4_000_000  # numbers of a gallery from which a product for one query may use the BLAS's threads
_ALONE = 3  # up to so many queries, one by one is faster
_DENSE = 0.6  # share of the gallery from which one query scores all rows, since copying a slice costs more
_CROWD = 1_000_000  # candidates of one product from which its queries are answered one by one (masses of ties)


@dataclass(frozen=True)
class _Slice:
    """The rows that are searched.

    Attributes:
        vectors: (N, D) float32, the gallery or a run of its rows.
        metric: Cosine or Euclidean.
        rows: (n,) int64, the rows of `vectors` that are searched; None for all.
        halves: (N,) float32: half of each squared length, for Euclidean distances; None for cosine.
        first: The gallery's row that is the first of `vectors`.
    """

    vectors: np.ndarray
    metric: Metric
    rows: np.ndarray | None
    halves: np.ndarray | None
    first: int = 0

    @classmethod
    def of(cls, vectors: np.ndarray, metric: Metric, rows: np.ndarray | None, halves: np.ndarray | None) -> _Slice:
        """A run of rows is a view; so a label's rows cost no copy where ids are sorted by label."""
        first, last = 0, len(vectors)
        if rows is not None and len(rows) and rows[-1] - rows[0] == len(rows) - 1 and (np.diff(rows) == 1).all():
            first, last, rows = int(rows[0]), int(rows[-1]) + 1, None
        vectors = vectors[first:last]
        if metric == "cosine":
            return cls(vectors, metric, rows, None, first)
        return cls(vectors, metric, rows, halved_squares(vectors) if halves is None else halves[first:last], first)

    def __len__(self) -> int:
        return len(self.vectors) if self.rows is None else len(self.rows)

    def at(self, places: np.ndarray) -> np.ndarray:
        """Rows of `vectors` at places of the slice."""
        return places if self.rows is None else self.rows[places]

    def copy(self, rows: np.ndarray, space: np.ndarray) -> np.ndarray:
        """Vectors of some rows, in the first of `space`."""
        copied = space[: len(rows)]
        np.take(self.vectors, rows, axis=0, out=copied, mode="clip")  # "raise" would copy once more
        return copied

    def every(self, step: int, first: int, space: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """Vectors of every `step`-th place from `first` on, and their halves; copied to `space` where need be."""
        if self.rows is None:
            part = slice(first, None, step)
            return self.vectors[part], None if self.halves is None else self.halves[part]
        rows = self.rows[first::step]
        return self.copy(rows, space), None if self.halves is None else self.halves[rows]

    def slack(self, queries: np.ndarray) -> np.ndarray:
        """(Q,) float32: by how much the approximate scores of two rows can differ where the exact ones do not."""
        lengths, error = np.linalg.norm(queries.astype(np.float64), axis=1), product_error(queries.shape[1])
        if self.halves is None:
            return (2.0 * error * 1.001 * lengths).astype(np.float32)
        longest = np.sqrt(2.0 * float(self.halves.max()))
        equal = ROUNDING * (lengths + longest) ** 2  # distances this near each other may round to the same float32
        return (2.0 * error * (lengths + longest) * longest + equal).astype(np.float32)


def nearest(
    vectors: np.ndarray,
    queries: np.ndarray,
    k: int,
    metric: Metric,
    rows: np.ndarray | None = None,
    halves: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """The k rows nearest to each query.

    Args:
        vectors: (N, D) float32, finite; of unit length for cosine.
        queries: (Q, D) float32, finite; of unit length for cosine.
        k: How many, at least 1.
        metric: "cosine" (the dot product) or "euclidean" (minus the distance).
        rows: (n,) distinct rows to search among; all unless given.
        halves: (N,) float32 from `halved_squares`, where it is at hand: saves a Euclidean search one pass.

    Returns:
        Rows (Q, k) int64 and scores (Q, k) float32, best first, equal scores by row; −1 and −inf where n < k.

    Raises:
        CrossModalError: k below 1, or queries of another size.

    >>> rows, scores = nearest(np.eye(3, dtype=np.float32), np.eye(3, dtype=np.float32)[1:2], 2, "cosine")
    >>> rows.tolist(), scores.tolist()
    ([[1, 0]], [[1.0, 0.0]])
    """
    queries = np.ascontiguousarray(queries, np.float32)
    if k < 1:
        raise CrossModalError(f"exact search: expected k of at least 1, found {k}")
    if queries.ndim != 2 or queries.shape[1] != vectors.shape[1]:
        raise CrossModalError(f"exact search: expected queries (Q, {vectors.shape[1]}), found {queries.shape}")
    found = np.full((len(queries), k), -1, np.int64), np.full((len(queries), k), -np.inf, np.float32)
    if not len(queries) or not (len(vectors) if rows is None else len(rows)):
        return found
    where = _Slice.of(vectors, metric, rows, halves)
    if len(queries) <= _ALONE:
        for number in range(len(queries)):
            part = slice(number, number + 1)
            _best(where, queries[part], _alone(where, queries[part], k), (found[0][part], found[1][part]))
        return found
    with BLAS.single() as threads:
        size = min(_TOGETHER, -(-len(queries) // threads))

        def answer(start: int) -> None:
            part = slice(start, start + size)
            _best(where, queries[part], _together(where, queries[part], k), (found[0][part], found[1][part]))

        for _ in shared_out(answer, range(0, len(queries), size), threads):
            pass
    return found


def _alone(where: _Slice, query: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Candidates of one query (1, D): which query (zeros), and which rows of `where.vectors`."""
    scores = _all_scores(where, query[0])
    slack = where.slack(query)[0]
    if len(scores) > k:
        whole = len(scores) // _TILE * _TILE
        tiles = scores[:whole].reshape(-1, _TILE)
        if len(tiles) >= 2 * k:  # k tiles reach this, so at least k rows do
            least = _kth_best(tiles.max(axis=1), k)
            places = np.flatnonzero(scores >= least - slack)
            places = places[scores[places] >= _kth_best(scores[places], k) - slack]
        else:
            places = np.flatnonzero(scores >= _kth_best(scores, k) - slack)
    else:
        places = np.arange(len(scores))
    return np.zeros(len(places), np.int64), where.at(places)


def _all_scores(where: _Slice, query: np.ndarray) -> np.ndarray:
    """Approximate scores (n,) of a slice.

    One product reads all rows: on one thread where they nearly fit the cache, since there BLAS threads that wait for
    each other cost more than they bring; else on as many as the BLAS has. A slice that is not most of the gallery is
    copied bit by bit, on our own threads.
    """
    rows = where.rows
    if rows is None or len(rows) >= _DENSE * len(where.vectors):
        with nullcontext() if where.vectors.size >= _LARGE else BLAS.single():
            scores: np.ndarray = where.vectors @ query
        if where.halves is not None:
            scores -= where.halves
        return scores if rows is None else scores[rows]
    scores = np.empty(len(rows), np.float32)

    def fill(begin: int) -> None:
        end = min(begin + _SHARE, len(rows))
        copied = np.empty((_GATHER, len(query)), np.float32)
        for first in range(begin, end, _GATHER):
            part = slice(first, min(first + _GATHER, end))
            np.dot(where.copy(rows[part], copied), query, out=scores[part])

    with BLAS.single() as threads:
        for _ in shared_out(fill, range(0, len(rows), _SHARE), threads):
            pass
    if where.halves is not None:
        scores -= where.halves[rows]
    return scores


def _together(where: _Slice, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Candidates of some queries: which query, and which rows of `where.vectors`.

    Blocks take every so-manieth row, so that already the first is a fair sample, however the gallery is ordered; the
    k-th best so far is a threshold that later blocks seldom reach.
    """
    count = max(len(where) // max(_BLOCK, 2 * k), 1)
    size = -(-len(where) // count)
    products, reached = np.empty(len(queries) * size, np.float32), np.empty(len(queries) * size + 8, bool)
    space = np.empty((0 if where.rows is None else size, queries.shape[1]), np.float32)
    slack, crowd = where.slack(queries), max(_CROWD, 4 * k * len(queries))
    best = np.full((len(queries), k), -np.inf, np.float32)
    pieces: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []  # query, place, approximate score
    held = 0
    for block in range(count):
        part, halves = where.every(count, block, space)
        scores = products[: len(queries) * len(part)].reshape(len(queries), len(part))
        np.matmul(queries, part.T, out=scores)
        if halves is not None:
            scores -= halves
        first = block == 0 and len(part) > k
        if first:
            best = np.partition(scores, len(part) - k, axis=1)[:, -k:].copy()
        query, column = _reaching(scores, best.min(axis=1) - slack, reached)
        hits = scores[query, column]
        if not first:
            best = _merged(best, query, hits)
        pieces.append((query, column * count + block, hits))
        held += len(query)
        if held > crowd:
            pieces = [_still_reaching(pieces, best.min(axis=1) - slack)]
            held = len(pieces[0][0])
            if held > crowd:  # masses of ties
                return _one_by_one(where, queries, k)
    query, places, _ = _still_reaching(pieces, best.min(axis=1) - slack)
    order = np.argsort(query, kind="stable")
    return query[order], where.at(places[order])


def _one_by_one(where: _Slice, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """As `_together` for queries with more ties than fit: each is settled before the next is looked at."""
    rows, scores = np.full((len(queries), k), -1, np.int64), np.empty((len(queries), k), np.float32)
    for number in range(len(queries)):
        asked = queries[number : number + 1]
        _best(where, asked, _alone(where, asked, k), (rows[number : number + 1], scores[number : number + 1]))
    query, _ = np.nonzero(rows >= 0)
    return query, rows[rows >= 0] - where.first


def _reaching(scores: np.ndarray, least: np.ndarray, space: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of the scores that reach their row's threshold.

    Eight verdicts are looked at as one number: nearly all are zero, and NumPy finds the others in numbers as fast as in
    booleans.
    """
    flat = space[: scores.size]
    np.greater_equal(scores, least[:, None], out=flat.reshape(scores.shape))
    padded = -(-scores.size // 8) * 8
    space[scores.size : padded] = False
    eights = np.flatnonzero(space[:padded].view(np.uint64))
    which, bit = np.nonzero(space[:padded].reshape(-1, 8)[eights])
    row, column = np.divmod(eights[which] * 8 + bit, scores.shape[1])
    return row, column


def _merged(best: np.ndarray, query: np.ndarray, hits: np.ndarray) -> np.ndarray:
    """The k best of each query (Q, k) with further hits (by query, ascending) taken in."""
    if not len(query):
        return best
    counts = np.bincount(query, minlength=len(best))
    starts = np.cumsum(counts) - counts
    wide = np.full((len(best), best.shape[1] + counts.max()), -np.inf, np.float32)
    wide[:, : best.shape[1]] = best
    wide[query, best.shape[1] + np.arange(len(query)) - starts[query]] = hits
    return np.partition(wide, wide.shape[1] - best.shape[1], axis=1)[:, -best.shape[1] :]


def _still_reaching(
    pieces: list[tuple[np.ndarray, np.ndarray, np.ndarray]], least: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    query, places, hits = (np.concatenate(column) for column in zip(*pieces, strict=True))
    keep = hits >= least[query]
    return query[keep], places[keep], hits[keep]


def _kth_best(scores: np.ndarray, k: int) -> float:
    return float(np.partition(scores, len(scores) - k)[len(scores) - k])


def _best(
    where: _Slice, queries: np.ndarray, candidates: tuple[np.ndarray, np.ndarray], out: tuple[np.ndarray, np.ndarray]
) -> None:
    """Exact scores of candidates (by query, ascending); the best k of each query are written out."""
    query, rows = candidates
    scores = exact_scores(queries, where.vectors, query, rows, where.metric)
    order = np.lexsort((rows, -scores, query))
    query, rows, scores = query[order], rows[order], scores[order]
    counts = np.bincount(query, minlength=len(queries))
    rank = np.arange(len(query)) - (np.cumsum(counts) - counts)[query]
    keep = rank < out[0].shape[1]
    out[0][query[keep], rank[keep]] = rows[keep] + where.first
    out[1][query[keep], rank[keep]] = scores[keep]
