"""Candidates ranked: what the gallery's exact search gives, and ranks counted by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cross_modal.gallery.exact_search import nearest
from cross_modal_dashboards.candidate_ranking import Metric, rank_candidates, ranks_of


def cloud(seed: int, count: int, dim: int = 6, *, unit: bool = True, coarse: bool = False) -> np.ndarray:
    random = np.random.default_rng(seed)
    vectors = random.integers(-1, 2, (count, dim)) + 0.0 if coarse else random.normal(size=(count, dim))
    vectors = vectors + (np.abs(vectors).sum(1, keepdims=True) == 0)
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True) if unit else vectors, np.float32)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("coarse", [False, True])
def test_the_best_are_those_of_the_exact_search_ties_included(metric: Metric, coarse: bool) -> None:
    unit = metric == "cosine"
    queries, candidates = cloud(0, 9, unit=unit, coarse=coarse), cloud(1, 200, unit=unit, coarse=coarse)
    none = np.full(9, -1)
    found = rank_candidates(queries, candidates, metric, none, np.zeros(200, np.int64), none, 7)
    rows, scores = nearest(candidates, queries, 7, metric)
    assert found.scores == pytest.approx(scores, abs=1e-6)
    if not coarse or metric == "cosine":
        assert found.top.tolist() == rows.tolist()
    assert found.first.tolist() == [0] * 9  # no class was asked for


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 30), st.booleans())
def test_the_first_hit_is_where_a_walk_down_the_whole_list_meets_it(seed: int, count: int, itself: bool) -> None:
    random = np.random.default_rng(seed)
    candidates = cloud(seed, count, coarse=True)
    classes = random.integers(-1, 4, count)
    queries = candidates[:5]
    of_query, own = classes[:5], np.arange(len(queries)) if itself else np.full(len(queries), -1)
    found = rank_candidates(queries, candidates, "cosine", of_query, classes, own, count)
    for row in range(len(queries)):
        walk = [place for place in found.top[row].tolist() if place >= 0]
        assert sorted(walk) == [place for place in range(count) if not (itself and place == row)]
        hits = [rank for rank, place in enumerate(walk, 1) if of_query[row] >= 0 and classes[place] == of_query[row]]
        assert found.first[row] == (hits[0] if hits else 0)


def test_more_are_asked_for_than_there_are() -> None:
    found = rank_candidates(cloud(0, 2), cloud(1, 3), "cosine", np.zeros(2), np.zeros(3), np.array([-1, 2]), 10)
    assert (found.top >= 0).sum(1).tolist() == [3, 2]
    assert np.isneginf(found.scores[1, 2])


def test_without_candidates_nothing_is_found() -> None:
    found = rank_candidates(cloud(0, 2), cloud(1, 3)[:0], "cosine", np.zeros(2), np.zeros(0), np.array([-1, -1]), 10)
    assert found.first.tolist() == [0, 0]
    assert found.top.shape == (2, 0)


def test_ranks_are_the_inverse_of_the_order() -> None:
    scores = np.array([0.2, 0.9, 0.2, 0.5])
    assert ranks_of(scores).tolist() == [3, 1, 4, 2]
