"""How alike queries and enrolled identities are: one score for each, however many references an identity has.

- ``mean``: the score with the identity's prototype, the mean of its references (at length one for cosine). One picture
  that is off matters little.
- ``best``: the score with the nearest of its references, for references that show different things (poses, seasons).

Source: Snell, Swersky, Zemel 2017, "Prototypical networks for few-shot learning" (the mean as prototype).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from cross_modal.errors import CrossModalError
from cross_modal.fewshot.scoring import Metric, check_embeddings, place

How = Literal["mean", "best"]
_CELLS = 1 << 24  # scores held at a time: 64 MB


@dataclass(frozen=True)
class Enrolment:
    """References, in the order of their identities.

    Attributes:
        identities: (I,) objects (str), names in order.
        references: (K, D) float32, those of one identity side by side; at length one for cosine.
        owners: (K,) int64, rising: the identity of each.
        rows: (K,) int64: where each reference stood in what was enrolled.
        metric: How they are compared.
    """

    identities: np.ndarray
    references: np.ndarray
    owners: np.ndarray
    rows: np.ndarray
    metric: Metric

    def __len__(self) -> int:
        return len(self.identities)

    @property
    def counts(self) -> np.ndarray:
        """(I,) int64: references of each identity, at least 1."""
        return np.bincount(self.owners, minlength=len(self.identities))

    @property
    def prototypes(self) -> np.ndarray:
        """(I, D) float32: the mean of each identity's references, at length one for cosine."""
        sums = np.add.reduceat(self.references.astype(np.float64), self._starts(), axis=0)
        return place((sums / self.counts[:, None]).astype(np.float32), self.metric)

    def scores(self, queries: np.ndarray, how: How = "mean") -> Iterator[tuple[slice, np.ndarray]]:
        """Scores of queries with all identities, some queries at a time.

        Args:
            queries: (Q, D) float.
            how: "mean" or "best".

        Yields:
            Which queries, and their (q, I) float32 scores: cosine, or minus the Euclidean distance.

        Raises:
            CrossModalError: Another size than the references have, embeddings that are not finite, or an unknown way.
        """
        if how not in get_args(How):
            raise CrossModalError(f"identify: how: expected one of {', '.join(get_args(How))}, found {how!r}")
        queries = place(check_embeddings("queries", queries), self.metric)
        if queries.shape[1] != self.references.shape[1]:
            raise CrossModalError(
                f"queries: expected size {self.references.shape[1]} as the references, found {queries.shape[1]}"
            )
        targets = self.prototypes if how == "mean" else self.references
        single = how == "mean" or len(self.references) == len(self.identities)
        step = max(_CELLS // max(len(targets), 1), 1)
        for start in range(0, len(queries), step):
            part = slice(start, min(start + step, len(queries)))
            table = _alike(queries[part], targets, self.metric)
            yield part, table if single else np.maximum.reduceat(table, self._starts(), axis=1)

    def best_two(self, queries: np.ndarray, how: How = "mean") -> tuple[np.ndarray, np.ndarray]:
        """The two identities that are most alike to each query.

        Args:
            queries: (Q, D) float.
            how: "mean" or "best".

        Returns:
            (Q, 2) int64 places in `identities`, the best first, ties by place; −1 where there is no second. (Q, 2)
            float32 scores, −inf there.
        """
        places = np.full((len(queries), 2), -1, np.int64)
        scores = np.full((len(queries), 2), -np.inf, np.float32)
        for part, table in self.scores(queries, how):
            rows = np.arange(len(table))
            for rank in range(min(2, len(self))):
                best = table.argmax(axis=1)
                places[part, rank], scores[part, rank] = best, table[rows, best]
                table[rows, best] = -np.inf
        return places, scores

    def left_out(self, how: How = "mean") -> LeftOut:
        """What each reference would score had it not been enrolled, with its own identity and with the others.

        Args:
            how: "mean" or "best".

        Returns:
            The scores; its own identity's are −inf where it is the only reference.
        """
        count, rows = len(self.references), np.arange(len(self.references))
        own, others = np.full(count, -np.inf, np.float32), np.full(count, -np.inf, np.float32)
        nearest = np.full(count, -1, np.int64)
        single = self.counts[self.owners] == 1
        if how == "mean" and not single.all():
            sums = np.add.reduceat(self.references.astype(np.float64), self._starts(), axis=0)[self.owners]
            fellows = (sums - self.references) / np.maximum(self.counts[self.owners, None] - 1, 1)
            own = np.where(
                single, own, _row_by_row(self.references, place(fellows.astype(np.float32), self.metric), self.metric)
            )
        for part, table in self.scores(self.references, how):
            table[rows[: len(table)], self.owners[part]] = -np.inf
            nearest[part] = table.argmax(axis=1)
            others[part] = table.max(axis=1)
        if how == "best":
            step = max(_CELLS // count, 1)
            for start in range(0, count, step):
                part = slice(start, min(start + step, count))
                table = _alike(self.references[part], self.references, self.metric)
                fellow = self.owners[part, None] == self.owners[None]
                fellow[np.arange(len(table)), rows[part]] = False
                own[part] = np.where(fellow, table, -np.inf).max(axis=1)
        return LeftOut(own, others, np.where(np.isfinite(others), nearest, -1))

    def _starts(self) -> np.ndarray:
        return np.searchsorted(self.owners, np.arange(len(self.identities)))


@dataclass(frozen=True)
class LeftOut:
    """References as if they were probes.

    Attributes:
        own: (K,) float32: the score with its own identity's other references, −inf without any.
        others: (K,) float32: the best score with another identity, −inf without any.
        nearest: (K,) int64: whose that is, −1 without any.
    """

    own: np.ndarray
    others: np.ndarray
    nearest: np.ndarray


def enrol(
    vectors: np.ndarray, labels: np.ndarray, metric: Metric = "cosine", keep: np.ndarray | None = None
) -> Enrolment:
    """Gathers references by identity.

    Args:
        vectors: (n, D) float embeddings.
        labels: (n,) str or None: rows without a label are nobody's reference.
        metric: How they are compared.
        keep: (n,) bool: which rows count (genuine ones, say); None takes all.

    Returns:
        The identities with their references.

    Raises:
        CrossModalError: No row has a label, embeddings are not finite, or there is not one label a row.

    >>> enrol(np.eye(3), np.array(["b", "a", "b"], object)).rows.tolist()
    [1, 0, 2]
    """
    labels = np.asarray(labels, object)
    if len(labels) != len(vectors):
        raise CrossModalError(
            f"identities: expected a label for each of {len(vectors)} references, found {len(labels)}"
        )
    named = np.array([label is not None for label in labels.tolist()], bool)
    rows = np.flatnonzero(named if keep is None else named & np.asarray(keep, bool))
    if not len(rows):
        raise CrossModalError("identities: expected references with a label, found none")
    identities, owners = np.unique(labels[rows].astype(str), return_inverse=True)
    order = np.argsort(owners, kind="stable")
    references = place(check_embeddings("references", np.asarray(vectors)[rows[order]]), metric)
    return Enrolment(identities.astype(object), references, owners[order].astype(np.int64), rows[order], metric)


def _alike(queries: np.ndarray, targets: np.ndarray, metric: Metric) -> np.ndarray:
    """(q, t) float32 scores."""
    if metric == "cosine":
        return queries @ targets.T
    a, b = queries.astype(np.float64), targets.astype(np.float64)
    squares = np.square(a).sum(1)[:, None] + np.square(b).sum(1) - 2 * (a @ b.T)
    return -np.sqrt(np.maximum(squares, 0)).astype(np.float32)


def _row_by_row(a: np.ndarray, b: np.ndarray, metric: Metric) -> np.ndarray:
    """(n,) float32 scores of rows side by side."""
    if metric == "cosine":
        return np.einsum("nd,nd->n", a, b)
    return -np.linalg.norm(a - b, axis=1)
