"""What each threshold would do, and pairs that cannot be measured."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cross_modal.errors import CrossModalError
from cross_modal.verification.operating_points import check_pairs, operating_points


@given(seed=st.integers(0, 10**6), digits=st.integers(0, 3), count=st.integers(2, 40))
def test_every_point_says_what_its_threshold_really_accepts(seed: int, digits: int, count: int) -> None:
    generator = np.random.default_rng(seed)
    scores, same = np.round(generator.normal(size=count), digits), np.arange(count) % 3 == 0
    points = operating_points(scores, same)
    for lowest, false, true in zip(points.lowest, points.false_accepts[0], points.true_accepts[0], strict=True):
        assert false == pytest.approx((scores[~same] >= lowest).mean())
        assert true == pytest.approx((scores[same] >= lowest).mean())
    assert points.lowest[0] == np.inf
    assert (np.diff(points.lowest[1:]) < 0).all()


def test_nine_times_as_many_different_pairs_change_no_rate() -> None:
    scores, same = np.array([0.9, 0.3, 0.5, 0.1]), np.array([True, True, False, False])
    more = np.append(np.repeat(scores[~same], 9), scores[same]), np.append(np.zeros(18, bool), same[same])
    few, many = operating_points(scores, same), operating_points(*more)
    assert few.false_accepts.tolist() == many.false_accepts.tolist()
    assert few.false_rejects.tolist() == many.false_rejects.tolist()


def test_verdicts_may_be_numbers_but_only_two() -> None:
    assert check_pairs("x", np.array([0.5, 1]), np.array([0, 1]))[1].tolist() == [False, True]
    with pytest.raises(CrossModalError, match="x: pair 1: expected a verdict of 0 or 1, found 2"):
        check_pairs("x", np.array([0.5, 1]), np.array([0, 2]))


@pytest.mark.parametrize("scores", [np.zeros(3), np.zeros((2, 1)), np.array(["a", "b"])])
def test_scores_of_another_shape_or_kind_are_refused(scores: np.ndarray) -> None:
    with pytest.raises(CrossModalError, match="expected a score and a verdict a pair"):
        check_pairs("x", scores, np.array([True, False]))
