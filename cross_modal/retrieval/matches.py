"""Example matches for a report: some queries, right and wrong ones, with their nearest candidates and the scores."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from cross_modal.fewshot.scoring import Metric, check_embeddings, place
from cross_modal.retrieval.ranking import label_codes, rank


@dataclass(frozen=True)
class ExampleMatches:
    """A few queries with their best candidates.

    Attributes:
        queries: (m,) int64 rows of the queries.
        candidates: (m, top) int64 rows of the candidates, best first.
        scores: (m, top) float32, cosine or minus the Euclidean distance.
        right: (m, top) bool, the candidate matches the query.
        first: (m,) int64 rank of the first match.
    """

    queries: np.ndarray
    candidates: np.ndarray
    scores: np.ndarray
    right: np.ndarray
    first: np.ndarray


def example_matches(
    queries: np.ndarray,
    query_labels: np.ndarray,
    candidates: np.ndarray,
    candidate_labels: np.ndarray,
    *,
    count: int = 16,
    top: int = 5,
    seed: int = 0,
    metric: Metric = "cosine",
    exclude_self: bool = False,
) -> ExampleMatches:
    """Draws queries that have a match, half of them (where there are so many) with a wrong nearest candidate.

    Args:
        queries: (Q, dim) embeddings.
        query_labels: (Q,) integers or strings.
        candidates: (M, dim) embeddings.
        candidate_labels: (M,) of the same kind.
        count: How many queries at most.
        top: How many candidates of each at most.
        seed: Seed of the draw.
        metric: "cosine" or "euclidean".
        exclude_self: The two tables are one: a query is no candidate of its own.

    Returns:
        The examples, wrong ones first.

    Raises:
        CrossModalError: As `rank`.
    """
    ranking = rank(queries, query_labels, candidates, candidate_labels, metric=metric, exclude_self=exclude_self)
    generator = np.random.default_rng(seed)
    wrong = generator.permutation(np.flatnonzero(ranking.first > 1))
    right = generator.permutation(np.flatnonzero(ranking.first == 1))
    wrongs = min(len(wrong), max(count // 2, count - len(right)))
    chosen = np.concatenate([wrong[:wrongs], right[: count - wrongs]])

    rows = ranking.queries[chosen]
    asked = torch.from_numpy(place(check_embeddings("queries", queries)[rows], metric))
    answers = torch.from_numpy(place(check_embeddings("candidates", candidates), metric))
    scores = asked @ answers.T if metric == "cosine" else -torch.cdist(asked, answers)
    if exclude_self:
        scores.scatter_(1, torch.from_numpy(rows)[:, None], -torch.inf)
    best = torch.topk(scores, min(top, len(answers) - exclude_self), dim=1)
    found = best.indices.numpy()
    of_query, of_candidate = label_codes(query_labels, candidate_labels)
    matched = of_query[rows, None] == of_candidate[found]
    return ExampleMatches(rows, found, best.values.numpy(), matched, ranking.first[chosen])
