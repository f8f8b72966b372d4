"""A pair's score: cosine or minus the distance, whichever side comes first."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cross_modal.fewshot.scoring import Metric
from cross_modal.verification.pair_scores import pair_scores


def test_scores_are_cosine_or_minus_the_distance() -> None:
    a, b = np.array([[3.0, 0], [1, 0]], np.float32), np.array([[0, 4.0], [2, 0]], np.float32)
    assert pair_scores(a, b, "cosine").tolist() == [0, 1]
    assert pair_scores(a, b, "euclidean").tolist() == [-5, -1]
    assert np.isnan(pair_scores(a, np.full((2, 2), np.nan, np.float32), "cosine")).all()


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@given(seed=st.integers(0, 2**32 - 1), dim=st.integers(1, 40))
def test_the_order_of_a_pair_changes_not_one_bit(metric: Metric, seed: int, dim: int) -> None:
    a, b = np.random.default_rng(seed).normal(size=(2, 5, dim)).astype(np.float32)
    assert pair_scores(a, b, metric).tobytes() == pair_scores(b, a, metric).tobytes()
