"""Late interaction is what its formula says, sees no padding, and prefers neither side nor length."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cross_modal.errors import CrossModalError
from cross_modal.gallery.late_interaction import late_interaction, rerank

METRICS = ("cosine", "euclidean")


def similarity(a: np.ndarray, b: np.ndarray, metric: str) -> float:
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b) if metric == "cosine" else -np.linalg.norm(a - b))


def restated(a: np.ndarray, b: np.ndarray, metric: str) -> float:
    """The formula, a token at a time."""
    forth = [max(similarity(x, y, metric) for y in b) for x in a]
    back = [max(similarity(x, y, metric) for x in a) for y in b]
    return (sum(forth) / len(forth) + sum(back) / len(back)) / 2


@given(st.integers(0, 10_000), st.sampled_from(METRICS))
def test_it_is_the_formula_over_real_tokens_only(seed: int, metric: str) -> None:
    generator = np.random.default_rng(seed)
    query, candidates = generator.normal(size=(5, 3)), generator.normal(size=(4, 6, 3))
    query_mask, masks = generator.random(5) < 0.6, generator.random((4, 6)) < 0.6
    query_mask[0] = masks[:, 2] = True
    found = late_interaction(query, candidates, query_mask=query_mask, candidate_masks=masks, metric=metric)  # type: ignore[arg-type]
    expected = [restated(query[query_mask], each[mask], metric) for each, mask in zip(candidates, masks, strict=True)]
    assert found.dtype == np.float32
    assert found == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("metric", METRICS)
def test_either_item_may_be_the_query(metric: str) -> None:
    generator = np.random.default_rng(1)
    a, b = generator.normal(size=(4, 8)), generator.normal(size=(7, 8))
    there = late_interaction(a, b[None], metric=metric)  # type: ignore[arg-type]
    assert there == pytest.approx(late_interaction(b, a[None], metric=metric), abs=1e-5)  # type: ignore[arg-type]


@pytest.mark.parametrize("metric", METRICS)
def test_what_stands_in_the_padding_does_not_matter(metric: str) -> None:
    generator = np.random.default_rng(2)
    query, real = generator.normal(size=(3, 4)), generator.normal(size=(2, 5, 4))
    mask = np.arange(8) < 5
    padded = [np.concatenate([real, np.full((2, 3, 4), fill)], 1) for fill in (0.0, 1e4)]
    scores = [late_interaction(query, each, candidate_masks=np.tile(mask, (2, 1)), metric=metric) for each in padded]  # type: ignore[arg-type]
    assert scores[0] == pytest.approx(scores[1])
    assert scores[0] == pytest.approx(late_interaction(query, real, metric=metric))  # type: ignore[arg-type]


def test_repeating_every_token_changes_nothing() -> None:
    generator = np.random.default_rng(3)
    query, candidate = generator.normal(size=(3, 4)), generator.normal(size=(1, 5, 4))
    once, thrice = late_interaction(query, candidate), late_interaction(query, np.tile(candidate, (1, 3, 1)))
    assert once == pytest.approx(thrice, abs=1e-6)


def test_one_striking_part_does_not_win_alone() -> None:
    red, shoe, wet, old = np.eye(4, dtype=np.float32)
    whole, part = np.stack([red, shoe, red]), np.stack([red, wet, old])
    scores = late_interaction(np.stack([red, shoe]), np.stack([whole, part]))
    assert scores[0] == 1.0
    assert scores[1] < 0.5


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(4)
    query, candidates = generator.normal(size=(3, 4)), generator.normal(size=(9, 5, 4))
    at_once = late_interaction(query, candidates)
    monkeypatch.setattr("cross_modal.gallery.late_interaction._CELLS", 31)
    assert late_interaction(query, candidates) == pytest.approx(at_once, abs=1e-6)


def test_no_candidates_have_no_scores() -> None:
    assert late_interaction(np.ones((2, 3)), np.zeros((0, 4, 3))).tolist() == []


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"query": np.ones(3)}, r"expected \(L, D\) and \(K, M, D\)"),
        ({"query": np.ones((2, 4))}, r"expected \(L, D\) and \(K, M, D\)"),
        ({"query_mask": np.zeros(2, bool)}, "a real token in the query"),
        ({"candidate_masks": np.array([[True], [False]])}, "a real token in a candidate"),
        ({"candidate_masks": np.ones((1, 1), bool)}, r"a mask \(2, 1\) of a candidate"),
    ],
)
def test_what_does_not_fit_is_refused(arguments: dict[str, np.ndarray], says: str) -> None:
    with pytest.raises(CrossModalError, match=says):
        late_interaction(**({"query": np.ones((2, 3)), "candidates": np.ones((2, 1, 3))} | arguments))


@given(st.lists(st.tuples(st.floats(-1, 1), st.floats(-1, 1)), max_size=12), st.floats(0, 1))
def test_reranking_only_reorders(scores: list[tuple[float, float]], weight: float) -> None:
    first, tokens = np.array(scores).reshape(-1, 2).T
    order, mixture = rerank(first, tokens, weight)
    assert sorted(order.tolist()) == list(range(len(scores)))
    assert (np.diff(mixture[order]) <= 0).all()


def test_the_ends_of_the_mixture_are_the_two_orders() -> None:
    generator = np.random.default_rng(5)
    first, tokens = generator.normal(size=(2, 20))
    assert rerank(first, tokens, 0.0)[0].tolist() == np.argsort(-first).tolist()
    assert rerank(first, tokens, 1.0)[0].tolist() == np.argsort(-tokens).tolist()
    shifted = rerank(first, 100 + 0.001 * tokens, 0.5)[0]
    assert shifted.tolist() == rerank(first, tokens, 0.5)[0].tolist()


def test_scores_that_do_not_differ_decide_nothing() -> None:
    assert rerank(np.array([3.0, 2.0, 1.0]), np.full(3, 0.1), 0.9)[0].tolist() == [0, 1, 2]


def test_a_candidate_without_tokens_is_neither_raised_nor_lowered_by_them() -> None:
    first, tokens = np.array([3.0, 2.0, 1.0]), np.array([0.1, np.nan, 0.3])
    mixture = rerank(first, tokens, 0.5)[1]
    assert mixture == pytest.approx([0.5 * (1.5**0.5 - 1), 0, 0.5 * (1 - 1.5**0.5)], abs=1e-6)
    assert rerank(first, np.full(3, np.nan), 0.5)[0].tolist() == [0, 1, 2]


def test_what_cannot_be_mixed_is_refused() -> None:
    with pytest.raises(CrossModalError, match=r"weight in \[0, 1\], found 2"):
        rerank(np.ones(2), np.ones(2), 2)
    with pytest.raises(CrossModalError, match="found \\(2,\\) and \\(3,\\)"):
        rerank(np.ones(2), np.ones(3))
