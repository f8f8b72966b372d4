"""Exact ranking metrics: recall at k, mean average precision at R, mean reciprocal rank.

Every query is ranked against every candidate, in chunks; nothing is approximated and no label becomes a float. What
is decided here:

- **Ties count against**: a wrong candidate with the same score stands before a right one. Collapsed embeddings so
  score as if every match came last, never first by the order of the rows.
- **Queries without a match** cannot be ranked: they are counted (`without_match`) and left out of the means.
- Labels are integers of any width or strings; the two are compared exactly, through integer codes.

Source: average precision at R as in Musgrave, Belongie, Lim 2020, "A metric learning reality check": R is the number of
matches of the query, AP@R = 1/R Σ_{i ≤ R} P(i)·[i-th is a match].
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from cross_modal.errors import CrossModalError
from cross_modal.fewshot.intervals import mean_and_interval
from cross_modal.fewshot.scoring import Metric, check_embeddings, compare, place

CHUNK_CELLS = 1 << 23  # scores held at a time: 64 MB in float64


@dataclass(frozen=True)
class Ranking:
    """Per-query results; the rows are the queries that have a match.

    Attributes:
        queries: (q,) int64 rows of the queries that have a match.
        first: (q,) int64 rank of the first match, from 1.
        average_precision: (q,) float64 average precision at R.
        without_match: Labelled queries that no candidate matches.
        candidates: How many candidates there are.
    """

    queries: np.ndarray
    first: np.ndarray
    average_precision: np.ndarray
    without_match: int
    candidates: int

    def recall_at(self, k: int) -> np.ndarray:
        """(q,) float64: 1 where a match is among the first k."""
        return (self.first <= k).astype(np.float64)

    @property
    def reciprocal_rank(self) -> np.ndarray:
        """(q,) float64: one over the rank of the first match."""
        return 1.0 / self.first

    def metrics(self, prefix: str, ks: Sequence[int] = (1, 5, 10)) -> dict[str, float]:
        """The means with the half-widths of their 95 % intervals over queries.

        Args:
            prefix: Goes before every name, e.g. "retrieval/image_to_text".
            ks: The depths of recall.

        Returns:
            Name → number: recall_at_k, map_at_r, mrr, each with `/ci95` (left out for a single query), and
            `queries_without_match`. Without any query that has a match, the last one alone.
        """
        found = {f"{prefix}/queries_without_match": float(self.without_match)}
        if not len(self.queries):
            return found
        values = {f"recall_at_{k}": self.recall_at(k) for k in ks}
        values |= {"map_at_r": self.average_precision, "mrr": self.reciprocal_rank}
        for name, rows in values.items():
            mean, half = mean_and_interval(rows)
            found[f"{prefix}/{name}"] = mean
            if np.isfinite(half):
                found[f"{prefix}/{name}/ci95"] = half
        return found


def label_codes(queries: np.ndarray, candidates: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Turns two columns of labels into integer codes that are equal where the labels are.

    Args:
        queries: (Q,) integers or strings; None is no label.
        candidates: (M,) of the same kind.

    Returns:
        (Q,) and (M,) int64; −1 for None, which matches nothing.

    Raises:
        CrossModalError: Labels are floats, or integers on one side and strings on the other.

    >>> label_codes(np.array([2**24, 2**24 + 1]), np.array([2**24 + 1]))
    (array([0, 1]), array([1]))
    """
    columns, kinds = [], set()
    for name, labels in (("query", queries), ("candidate", candidates)):
        # Python's own integers and strings: numpy would turn a mix of signed and unsigned into floats.
        cells = [cell.item() if isinstance(cell, np.generic) else cell for cell in np.asarray(labels, object).tolist()]
        found = {type(cell).__name__ for cell in cells if cell is not None}
        if found - {"int", "str"}:
            wrong = ", ".join(sorted(found - {"int", "str"}))
            raise CrossModalError(f"{name} labels: expected integers or strings, found {wrong}")
        columns.append(cells)
        kinds |= found
    if len(kinds) > 1:
        raise CrossModalError("labels: expected integers or strings throughout, found both: they would never match")
    code: dict[int | str, int] = {}
    coded = [
        np.array([-1 if cell is None else code.setdefault(cell, len(code)) for cell in cells], np.int64)
        for cells in columns
    ]
    return coded[0], coded[1]


def rank(
    queries: np.ndarray,
    query_labels: np.ndarray,
    candidates: np.ndarray,
    candidate_labels: np.ndarray,
    *,
    metric: Metric = "cosine",
    exclude_self: bool = False,
) -> Ranking:
    """Ranks all candidates for every query.

    Args:
        queries: (Q, dim) embeddings.
        query_labels: (Q,) integers or strings; a row whose label is None asks nothing.
        candidates: (M, dim) embeddings.
        candidate_labels: (M,) of the same kind; None is a distractor, which matches nothing.
        metric: "cosine" or "euclidean".
        exclude_self: The two tables are one: leave the query's own row out of its candidates.

    Returns:
        The per-query results.

    Raises:
        CrossModalError: Sizes differ, values are not finite, or labels cannot be compared.
    """
    queries, candidates = check_embeddings("queries", queries), check_embeddings("candidates", candidates)
    if queries.shape[1] != candidates.shape[1]:
        raise CrossModalError(
            f"retrieval: queries have {queries.shape[1]} dimensions, candidates {candidates.shape[1]}"
        )
    for name, rows, labels in (("queries", queries, query_labels), ("candidates", candidates, candidate_labels)):
        if len(rows) != len(labels):
            raise CrossModalError(f"retrieval: {len(rows)} {name} but {len(labels)} labels of them")
    if exclude_self and len(queries) != len(candidates):
        raise CrossModalError("retrieval: exclude_self needs queries and candidates to be the same rows")
    of_query, of_candidate = label_codes(query_labels, candidate_labels)

    known = np.unique(of_candidate[of_candidate >= 0], return_counts=True)
    counts = np.zeros(max(of_query.max(initial=-1), of_candidate.max(initial=-1)) + 2, np.int64)
    counts[known[0]] = known[1]  # the last cell stays 0: it is what label −1 reads
    matches = counts[of_query] - (exclude_self & (of_query >= 0))
    rows = np.flatnonzero(matches > 0)
    # Queries with as many matches stand together, so that a chunk sorts no deeper than it needs.
    rows = rows[np.argsort(matches[rows], kind="stable")]
    asked = torch.from_numpy(place(queries, metric)[rows])
    answers = torch.from_numpy(place(candidates, metric))
    first, precision = np.empty(len(rows), np.int64), np.empty(len(rows))
    step = max(1, CHUNK_CELLS // max(1, len(candidates)))
    for start in range(0, len(rows), step):
        part = slice(start, start + step)
        hits = torch.from_numpy(of_query[rows[part], None] == of_candidate[None, :])
        scores = compare(asked[part], answers, metric).double()
        if exclude_self:
            own = torch.from_numpy(rows[part, None])
            hits.scatter_(1, own, False)
            scores.scatter_(1, own, -torch.inf)
        first[part], precision[part] = _rank_chunk(scores, hits, torch.from_numpy(matches[rows[part]]))
    order = np.argsort(rows, kind="stable")
    without = int((of_query >= 0).sum()) - len(rows)
    return Ranking(rows[order], first[order], precision[order], without, len(candidates))


def recall_at_1(
    queries: np.ndarray,
    query_labels: np.ndarray,
    candidates: np.ndarray,
    candidate_labels: np.ndarray,
    *,
    metric: Metric = "cosine",
) -> float:
    """Share of the queries that have a match whose nearest candidate is one; NaN if none has.

    Args:
        queries: As in `rank`.
        query_labels: As in `rank`.
        candidates: As in `rank`.
        candidate_labels: As in `rank`.
        metric: "cosine" or "euclidean".
    """
    found = rank(queries, query_labels, candidates, candidate_labels, metric=metric)
    return float(found.recall_at(1).mean()) if len(found.queries) else float("nan")


def _rank_chunk(scores: torch.Tensor, hits: torch.Tensor, matches: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Rank of the first match and average precision at R.

    Args:
        scores: (q, M) float64 that were float32.
        hits: (q, M) bool, at least one a row.
        matches: (q,) int64 number of hits.

    Returns:
        (q,) int64 and (q,) float64.
    """
    best = scores.masked_fill(~hits, -torch.inf).amax(1, keepdim=True)
    first = 1 + ((scores >= best) & ~hits).sum(1)
    # One float64 step down is less than any difference of float32 scores: it only settles ties, against the match.
    lowered = torch.where(hits, torch.nextafter(scores, torch.full_like(scores, -torch.inf)), scores)
    depth = int(matches.max())
    top = torch.topk(lowered, depth, dim=1).indices
    right = hits.gather(1, top)
    place_of = torch.arange(1, depth + 1)
    right &= place_of <= matches[:, None]
    precision = (right.cumsum(1) / place_of * right).sum(1, dtype=torch.float64) / matches
    return first.numpy(), precision.numpy()
