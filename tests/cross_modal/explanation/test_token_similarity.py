"""Tokens are compared as embeddings are, and linked where both choose each other."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from cross_modal.errors import CrossModalError
from cross_modal.explanation.token_similarity import mutual_links, token_similarity

GENERATOR = np.random.default_rng(0)


def test_cosines_and_distances() -> None:
    a, b = GENERATOR.normal(size=(3, 5)), GENERATOR.normal(size=(4, 5))
    np.testing.assert_allclose(token_similarity(a, b), a @ b.T, rtol=1e-5)
    expected = -np.linalg.norm(a[:, None] - b[None], axis=-1)
    np.testing.assert_allclose(token_similarity(a, b, normalised=False), expected, rtol=1e-5)


@given(hnp.arrays(np.float64, st.tuples(st.integers(1, 6), st.integers(1, 6)), elements=st.floats(-1, 1)))
def test_links_are_best_both_ways_and_each_token_has_one(similarities: np.ndarray) -> None:
    links = mutual_links(similarities, most=100)
    assert links  # the largest of all is always mutual
    assert links[0].similarity == similarities.max()
    assert len({link.a for link in links}) == len({link.b for link in links}) == len(links)
    for link in links:
        assert link.similarity == similarities[link.a].max() == similarities[:, link.b].max()
    assert [link.similarity for link in links] == sorted((link.similarity for link in links), reverse=True)


def test_no_more_links_than_asked() -> None:
    assert len(mutual_links(np.eye(5), most=3)) == 3
    assert mutual_links(np.zeros((0, 4))) == []


def test_sizes_must_agree() -> None:
    with pytest.raises(CrossModalError, match=r"^tokens: expected \(L, dim\) and \(M, dim\)"):
        token_similarity(np.zeros((2, 3)), np.zeros((2, 4)))
