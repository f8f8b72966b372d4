"""A number's interval holds it; of what was never seen it says how often it may still be."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from cross_modal.errors import CrossModalError
from cross_modal.verification.estimate import Estimate, rate_estimate


@given(hits=st.integers(0, 50), count=st.integers(50, 200))
def test_without_resamples_it_is_the_exact_binomial_interval(hits: int, count: int) -> None:
    exact = binomtest(hits, count).proportion_ci(0.95, "exact")
    found = rate_estimate(hits / count, None, count)
    assert (found.low, found.high) == pytest.approx((exact.low, exact.high), abs=1e-9)


def test_what_no_resample_shows_is_not_impossible() -> None:
    assert rate_estimate(0.0, np.zeros(100), 20).high == pytest.approx(0.168, abs=0.001)
    assert rate_estimate(1.0, np.ones(100), 20).low == pytest.approx(0.832, abs=0.001)


def test_resamples_decide_where_there_were_errors_and_hold_the_rate() -> None:
    found = rate_estimate(0.2, np.linspace(0.1, 0.3, 1001), 5)
    assert (found.low, found.high) == pytest.approx((0.105, 0.295))
    assert rate_estimate(0.5, np.linspace(0.1, 0.3, 11), 5).high == 0.5


def test_errors_of_a_single_owner_have_an_interval_too() -> None:
    """Whoever is drawn, he or nobody: every resample shows the same rate."""
    found = rate_estimate(0.4, np.full(1000, 0.4), 1)
    assert found.low < 0.01
    assert found.high > 0.97


def test_the_complement_turns_the_interval_round() -> None:
    assert Estimate(0.25, 0.125, 0.5).complement() == Estimate(0.75, 0.5, 0.875)


@pytest.mark.parametrize("values", [[0.1, 0.2], "abc", None, [0.1, 0.0, float("nan")], [0.1, "x", 1]])
def test_only_three_finite_numbers_are_an_estimate(values: object) -> None:
    assert Estimate.from_list(json.loads(json.dumps(Estimate(0.1, 0.0, 0.5).to_list()))) == Estimate(0.1, 0.0, 0.5)
    with pytest.raises(CrossModalError, match="estimate: expected"):
        Estimate.from_list(values)  # type: ignore[arg-type]
