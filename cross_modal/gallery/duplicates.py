"""Near-duplicates: all pairs of a gallery above a threshold, without ever holding N × N scores; their groups; leakage.

The upper triangle is worked off in squares, on as many threads as NumPy's BLAS may use; only pairs that reach the
threshold leave a square, and those get exact scores. Pictures are compared with pictures and texts with texts. Asked
for pairs across splits, it compares items of different splits only: what is in the training split and in the test split
alike is leakage, and makes a test flatter the model.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cross_modal.errors import CrossModalError
from cross_modal.gallery.blas_threads import BLAS, shared_out
from cross_modal.gallery.exact_scores import ROUNDING, exact_scores, halved_squares, product_error

if TYPE_CHECKING:  # that module imports torch
    from cross_modal.fewshot.scoring import Metric

_SIDE = 2048  # rows of a square: its scores and two copies of rows are 20 MB a thread
LIMIT = 10_000_000  # pairs: 200 MB, and as much again while they are put in order


@dataclass(frozen=True)
class DuplicatePairs:
    """Pairs of rows that are alike, the most alike first, then by rows.

    Attributes:
        a: (P,) int64, the lower row.
        b: (P,) int64, the higher row.
        scores: (P,) float32: cosine, or minus the Euclidean distance.
        identical: (P,) bool: byte-equal content; all false where contents were not given.
    """

    a: np.ndarray
    b: np.ndarray
    scores: np.ndarray
    identical: np.ndarray

    def __len__(self) -> int:
        return len(self.a)

    def take(self, keep: np.ndarray) -> DuplicatePairs:
        """Some of them: (P,) bool or places."""
        return DuplicatePairs(self.a[keep], self.b[keep], self.scores[keep], self.identical[keep])


@dataclass(frozen=True)
class Leak:
    """What two splits share.

    Attributes:
        splits: The two, by name.
        pairs: Pairs with an item in either.
        items: How many items of the one and of the other have a partner across.
        identical: Pairs of byte-equal content among them.
    """

    splits: tuple[str, str]
    pairs: int
    items: tuple[int, int]
    identical: int


@dataclass(frozen=True)
class _Square:
    """Rows to compare: `left` with `right`; `diagonal` where both are the same rows."""

    left: np.ndarray
    right: np.ndarray
    diagonal: bool


def near_duplicates(
    vectors: np.ndarray,
    threshold: float,
    metric: Metric,
    *,
    kinds: Sequence[str] | np.ndarray | None = None,
    splits: Sequence[str | None] | np.ndarray | None = None,
    contents: Sequence[str] | np.ndarray | None = None,
    across_splits: bool = False,
    limit: int = LIMIT,
    progress: Callable[[int, int], None] | None = None,
) -> DuplicatePairs:
    """All pairs whose score reaches a threshold, and all of byte-equal content.

    Args:
        vectors: (N, D) float32, finite; of unit length for cosine.
        threshold: A cosine, or minus a distance.
        metric: "cosine" or "euclidean".
        kinds: (N,) what was embedded: only rows of one kind are compared; all with all unless given.
        splits: (N,) names; needed for `across_splits`.
        contents: (N,) hashes of what was embedded: equal ones are pairs whatever their score.
        across_splits: Only pairs of two different splits; a row without a split is in none.
        limit: How many pairs at most.
        progress: Told the comparisons done and those to do.

    Returns:
        The pairs.

    Raises:
        CrossModalError: More pairs than the limit, or sizes that do not fit.

    >>> rows = np.array([[1, 0], [0, 1], [1, 0]], np.float32)
    >>> pairs = near_duplicates(rows, 0.9, "cosine")
    >>> pairs.a.tolist(), pairs.b.tolist(), pairs.scores.tolist()
    ([0], [2], [1.0])
    """
    count = len(vectors)
    if np.isnan(threshold):
        raise CrossModalError("duplicates: expected a threshold, found NaN")
    if across_splits and splits is None:
        raise CrossModalError("duplicates across splits: expected splits, found none")
    kind, split, content = (_codes(column, count) for column in (kinds, splits, contents))
    parts = _parts(kind, split if across_splits else None, count)
    found = _Found(limit, threshold, sum(len(a) * (len(a) - 1) // 2 if a is b else len(a) * len(b) for a, b in parts))
    compare = _Comparison(vectors, threshold, metric)
    with BLAS.single() as threads:
        for square, hits in shared_out(lambda square: (square, compare(square)), _squares(parts), threads):
            found.add(hits)
            if progress is not None:
                found.done += _comparisons(square)
                progress(found.done, found.all)
    a, b, scores = found.joined()
    identical = np.zeros(len(a), bool)
    if contents is not None:
        identical = (content[a] == content[b]) & (content[a] >= 0)
        more_a, more_b = _equal_content(content, kind, split if across_splits else None, identical.sum(), found)
        known = a[identical].astype(np.int64) * count + b[identical]
        new = ~np.isin(more_a * count + more_b, known)
        more_a, more_b = more_a[new], more_b[new]
        a, b = np.concatenate([a, more_a]), np.concatenate([b, more_b])
        scores = np.concatenate([scores, exact_scores(vectors, vectors, more_a, more_b, metric)])
        identical = np.concatenate([identical, np.ones(len(more_a), bool)])
    order = np.lexsort((b, a, -scores))
    return DuplicatePairs(a[order].astype(np.int64), b[order].astype(np.int64), scores[order], identical[order])


def groups(pairs: DuplicatePairs, count: int) -> np.ndarray:
    """Connected components of the pairs: what is alike to something that is alike to it belongs together.

    Args:
        pairs: The pairs.
        count: How many rows there are.

    Returns:
        (count,) int64: numbers of groups, the largest is 0, then by first row; −1 for rows in no pair.

    >>> pairs = near_duplicates(np.array([[1, 0], [0, 1], [1, 0], [1, 0]], np.float32), 0.9, "cosine")
    >>> groups(pairs, 4).tolist()
    [0, -1, 0, 0]
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    edges = coo_array((np.ones(len(pairs), bool), (pairs.a, pairs.b)), shape=(count, count))
    _, component = connected_components(edges, directed=False)
    _, first, inverse, sizes = np.unique(component, return_index=True, return_inverse=True, return_counts=True)
    order = np.lexsort((first, -sizes))
    number = np.empty(len(order), np.int64)
    number[order] = np.arange(len(order))
    return np.where(sizes[inverse] > 1, number[inverse], -1)


def leaks(pairs: DuplicatePairs, splits: Sequence[str | None] | np.ndarray) -> list[Leak]:
    """What each two splits share, the most pairs first.

    Args:
        pairs: The pairs, from one split or across.
        splits: (N,) names of the rows' splits; pairs with a row that has none count for nothing.

    Returns:
        The splits that share something.

    >>> pairs = near_duplicates(np.array([[1, 0], [0, 1], [1, 0]], np.float32), 0.9, "cosine")
    >>> leaks(pairs, ["train", "train", "test"])
    [Leak(splits=('test', 'train'), pairs=1, items=(1, 1), identical=0)]
    """
    names = sorted({name for name in splits if name is not None})
    code = np.array([-1 if name is None else names.index(name) for name in splits], np.int64)
    left, right = code[pairs.a], code[pairs.b]
    first, second = np.where(left <= right, pairs.a, pairs.b), np.where(left <= right, pairs.b, pairs.a)
    both = np.minimum(left, right) * len(names) + np.maximum(left, right)
    both[(left < 0) | (right < 0) | (left == right)] = -1
    found = []
    for number in np.unique(both[both >= 0]):
        here = both == number
        items = len(np.unique(first[here])), len(np.unique(second[here]))
        one, other = divmod(int(number), len(names))
        found.append(Leak((names[one], names[other]), int(here.sum()), items, int(pairs.identical[here].sum())))
    return sorted(found, key=lambda leak: (-leak.pairs, leak.splits))


class _Comparison:
    """The pairs of a square that reach the threshold. Each thread has its own space for the scores."""

    def __init__(self, vectors: np.ndarray, threshold: float, metric: Metric) -> None:
        self.vectors, self.metric, self.threshold = vectors, metric, np.float32(threshold)
        self.halves = halved_squares(vectors) if metric == "euclidean" else None
        error = product_error(vectors.shape[1])
        if self.halves is None:  # what rounding may take from a product of vectors of nearly unit length
            self.least = np.float32(threshold - 1.003 * error)
        else:  # |x − y|² ≤ t²  ⇔  x·y − |x|²/2 − |y|²/2 ≥ −t²/2
            widest = 2.0 * float(self.halves.max(initial=0.0))
            reach = threshold * threshold * (1 + 4 * ROUNDING) / 2 if threshold <= 0 else -np.inf
            self.least = np.float32(-(reach + 4.0 * error * widest))
        self._space = threading.local()

    def __call__(self, square: _Square) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Rows a < b and their scores."""
        left, right = square.left, square.right
        scores = self._scores(square)
        mask = self._room("mask", _SIDE * _SIDE + 8, bool)[: -(-scores.size // 8) * 8]
        mask[scores.size :] = False
        np.greater_equal(scores, self.least, out=mask[: scores.size].reshape(scores.shape))
        eights = np.flatnonzero(mask.view(np.uint64))  # nearly all are zero: eight verdicts are looked at as one
        which, bit = np.nonzero(mask.reshape(-1, 8)[eights])
        row, column = np.divmod(eights[which] * 8 + bit, scores.shape[1])
        if square.diagonal:
            upper = row < column
            row, column = row[upper], column[upper]
        a, b = left[row], right[column]
        exact = exact_scores(self.vectors, self.vectors, a, b, self.metric)
        keep = exact >= self.threshold
        a, b = a[keep], b[keep]
        return np.minimum(a, b).astype(np.int32), np.maximum(a, b).astype(np.int32), exact[keep]

    def _scores(self, square: _Square) -> np.ndarray:
        left = self._sides("left", square.left)
        right = left if square.diagonal and self.halves is None else self._sides("right", square.right)
        if self.halves is not None:  # (x, −|x|²/2, 1) · (y, 1, −|y|²/2) = −|x − y|²/2: no further pass over the scores
            left[:, -2], left[:, -1] = -self.halves[square.left], 1.0
            right[:, -2], right[:, -1] = 1.0, -self.halves[square.right]
        scores = self._room("scores", _SIDE * _SIDE)[: len(left) * len(right)].reshape(len(left), len(right))
        return np.matmul(left, right.T, out=scores)

    def _sides(self, name: str, rows: np.ndarray) -> np.ndarray:
        dim = self.vectors.shape[1]
        wide = dim if self.halves is None else dim + 2
        room = self._room(name, _SIDE * wide)[: len(rows) * wide].reshape(-1, wide)
        if wide == dim:
            np.take(self.vectors, rows, axis=0, out=room, mode="clip")
        else:
            room[:, :dim] = self.vectors[rows]
        return room

    def _room(self, name: str, size: int, kind: type = np.float32) -> np.ndarray:
        if not hasattr(self._space, name):
            setattr(self._space, name, np.empty(size, kind))
        room: np.ndarray = getattr(self._space, name)
        return room


class _Found:
    """Pairs so far, and how far the comparison is; more than the limit are refused before memory is."""

    def __init__(self, limit: int, threshold: float, comparisons: int) -> None:
        self.limit, self.threshold = limit, threshold
        self.done, self.all, self.count = 0, comparisons, 0
        self._pieces: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []

    def add(self, piece: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
        """Takes pairs in."""
        self.count += len(piece[0])
        self.check(self.count)
        if len(piece[0]):
            self._pieces.append(piece)

    def check(self, count: int) -> None:
        """Refuses more than the limit."""
        if count > self.limit:
            raise CrossModalError(
                f"duplicates: expected at most {self.limit:,} pairs that reach {self.threshold:g}, found more; "
                f"ask for a higher threshold, for one kind, or for pairs across splits"
            )

    def joined(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Rows a, rows b, scores."""
        if not self._pieces:
            return np.zeros(0, np.int32), np.zeros(0, np.int32), np.zeros(0, np.float32)
        a, b, scores = (np.concatenate(column) for column in zip(*self._pieces, strict=True))
        self._pieces = []
        return a, b, scores


def _codes(column: Sequence[str | None] | np.ndarray | None, count: int) -> np.ndarray:
    """Numbers in place of names; −1 for none. Zeros where there is no column."""
    if column is None:
        return np.zeros(count, np.int64)
    if len(column) != count:
        raise CrossModalError(f"duplicates: expected {count} kinds, splits and contents, found {len(column)}")
    number: dict[str, int] = {}
    return np.array([-1 if name is None else number.setdefault(name, len(number)) for name in column], np.int64)


def _parts(kind: np.ndarray, split: np.ndarray | None, count: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Rows to compare with rows; the same array twice where they are compared among themselves."""
    rows = np.arange(count)
    alike = [rows[kind == number] for number in np.unique(kind)]
    if split is None:
        return [(some, some) for some in alike]
    by_split = [[some[split[some] == number] for number in np.unique(split[some]) if number >= 0] for some in alike]
    return [(a, b) for some in by_split for place, a in enumerate(some) for b in some[place + 1 :]]


def _squares(parts: list[tuple[np.ndarray, np.ndarray]]) -> Iterator[_Square]:
    for left, right in parts:
        for i in range(0, len(left), _SIDE):
            for j in range(i if left is right else 0, len(right), _SIDE):
                yield _Square(left[i : i + _SIDE], right[j : j + _SIDE], left is right and i == j)


def _comparisons(square: _Square) -> int:
    rows = len(square.left)
    return rows * (rows - 1) // 2 if square.diagonal else rows * len(square.right)


def _equal_content(
    content: np.ndarray, kind: np.ndarray, split: np.ndarray | None, known: int, found: _Found
) -> tuple[np.ndarray, np.ndarray]:
    """All pairs a < b of equal content (and kind, and of two splits)."""
    order = np.lexsort((content, kind))
    content, kind = content[order], kind[order]
    lefts, rights, pairs = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)], found.count - known
    distance, at = 1, np.arange(len(order) - 1)  # runs of equals: first neighbours, then those two apart, and so on
    while len(at):
        other = at + distance
        at = at[other < len(order)]
        other = at + distance
        at = at[(content[at] == content[other]) & (kind[at] == kind[other]) & (content[at] >= 0)]
        a, b = order[at], order[at + distance]
        if split is not None:
            across = (split[a] != split[b]) & (split[a] >= 0) & (split[b] >= 0)
            a, b = a[across], b[across]
        lefts.append(a)
        rights.append(b)
        pairs += len(a)
        found.check(pairs)
        distance += 1
    return np.concatenate(lefts), np.concatenate(rights)
