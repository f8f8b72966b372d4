"""Thresholds keep what they promise, and no rounding error crosses them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from toys.scored_pairs import noisy_pairs

from cross_modal.errors import CrossModalError
from cross_modal.verification.error_rates import error_rates
from cross_modal.verification.threshold import (
    Costs,
    rates_at,
    threshold_at_equal_error,
    threshold_at_false_accept_rate,
    threshold_for_costs,
)

PAIRS = st.tuples(st.integers(0, 10**6), st.integers(0, 9)).map(lambda drawn: noisy_pairs(60, drawn[0], drawn[1]))


@given(pairs=PAIRS, rate=st.floats(0.001, 0.999))
def test_no_more_false_accepts_than_asked_for_and_no_lower_threshold_would_do(
    pairs: tuple[np.ndarray, np.ndarray], rate: float
) -> None:
    scores, same = pairs
    threshold = threshold_at_false_accept_rate(scores, same, rate)
    assert (scores[~same] >= threshold).mean() <= rate + 1e-12
    below = scores[scores < threshold]
    if len(below):
        assert (scores[~same] >= below.max()).mean() > rate


@given(pairs=PAIRS, false_accept=st.floats(0.01, 100), prior=st.floats(0.01, 0.99))
def test_no_other_threshold_costs_less(pairs: tuple[np.ndarray, np.ndarray], false_accept: float, prior: float) -> None:
    scores, same = pairs
    costs = Costs(false_accept, 1, prior)
    rates = rates_at(scores, same, np.append(threshold_for_costs(scores, same, costs), [*scores, np.inf]))
    asked, *others = [costs.expected(false, missed) for false, missed in zip(rates[0][0], rates[1][0], strict=True)]
    assert asked <= min(others) + 1e-9


@given(pairs=PAIRS)
def test_at_equal_error_the_errors_lie_around_the_equal_error_rate(pairs: tuple[np.ndarray, np.ndarray]) -> None:
    scores, same = pairs
    false, missed = (rate.item() for rate in rates_at(scores, same, np.array([threshold_at_equal_error(scores, same)])))
    eer = error_rates(scores, same)["eer"].item()
    assert min(false, missed) - 1e-9 <= eer <= max(false, missed) + 1e-9


@given(pairs=PAIRS, rate=st.floats(0.01, 0.9))
def test_scores_that_differ_by_rounding_errors_are_decided_alike(
    pairs: tuple[np.ndarray, np.ndarray], rate: float
) -> None:
    scores, same = pairs
    scores = np.round(scores, 3)
    threshold = threshold_at_false_accept_rate(scores, same, rate)
    moved = scores + np.random.default_rng(0).normal(size=len(scores)) * 1e-6
    assert ((moved >= threshold) == (scores >= threshold)).all()


def test_too_few_different_pairs_accept_none_of_them() -> None:
    scores, same = np.array([0.9, 0.8, 0.4]), np.array([False, True, True])
    threshold = threshold_at_false_accept_rate(scores, same, 0.01)
    assert 0.9 < threshold < 1
    assert threshold_at_false_accept_rate(np.zeros(2), np.array([True, False]), 0.01) > 0


def test_dear_false_accepts_raise_the_threshold_and_rare_same_pairs_too() -> None:
    scores, same = noisy_pairs(2000, 0)
    even = threshold_for_costs(scores, same, Costs())
    assert even == pytest.approx(1, abs=0.25)  # between two normals of equal width
    assert threshold_for_costs(scores, same, Costs(false_accept=10)) > even
    assert threshold_for_costs(scores, same, Costs(false_reject=10)) < even
    assert threshold_for_costs(scores, same, Costs(prior=0.01)) > even


def test_the_middle_of_the_widest_gap_parts_scores_that_can_be_parted() -> None:
    scores, same = np.array([0.9, 0.8, 0.2, 0.1]), np.array([True, True, False, False])
    assert threshold_at_equal_error(scores, same) == pytest.approx(0.5)
    assert threshold_for_costs(scores, same, Costs()) == pytest.approx(0.5)


def test_imbalance_moves_no_threshold() -> None:
    scores, same = noisy_pairs(300, 1)
    many = (
        np.append(np.repeat(scores[~same], 9), scores[same]),
        np.append(np.zeros(9 * (~same).sum(), bool), same[same]),
    )
    for threshold in (threshold_at_equal_error, lambda *pairs: threshold_for_costs(*pairs, Costs())):
        assert threshold(*many) == threshold(scores, same)


def test_weighted_rates_are_those_of_the_table_written_out() -> None:
    scores, same = noisy_pairs(50, 2)
    times = np.random.default_rng(0).integers(0, 3, 50)
    lines = np.array([0.0, 1.0])
    weighted = rates_at(scores, same, lines, times[None].astype(float))
    written = rates_at(np.repeat(scores, times), np.repeat(same, times), lines)
    assert np.allclose(weighted, written)


@pytest.mark.parametrize("rate", [0, 1, -0.1, float("nan")])
def test_rates_out_of_range_are_named(rate: float) -> None:
    with pytest.raises(CrossModalError, match=f"false-accept rate between 0 and 1, found {rate}"):
        threshold_at_false_accept_rate(np.array([0.0, 1]), np.array([False, True]), rate)


def test_costs_out_of_range_are_named() -> None:
    with pytest.raises(CrossModalError, match="costs: false_accept: expected a number above 0, found 0"):
        Costs(false_accept=0)
    with pytest.raises(CrossModalError, match="costs: expected a prior between 0 and 1, found 1"):
        Costs(prior=1)
