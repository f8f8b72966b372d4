"""Student's t intervals against the textbook table and against SciPy."""

import numpy as np
import pytest
from scipy import stats

from cross_modal.errors import CrossModalError
from cross_modal.fewshot.intervals import mean_and_interval


@pytest.mark.parametrize(("count", "quantile"), [(3, 4.303), (10, 2.262), (600, 1.964)])
def test_half_width_is_t_times_the_standard_error(count, quantile):
    values = np.random.default_rng(count).normal(size=count)
    mean, half = mean_and_interval(values)
    assert mean == pytest.approx(values.mean())
    assert half == pytest.approx(quantile * values.std(ddof=1) / np.sqrt(count), rel=1e-3)


def test_agrees_with_scipy_at_other_confidences():
    values = np.random.default_rng(0).normal(size=17)
    mean, half = mean_and_interval(values, 0.8)
    low, high = stats.t.interval(0.8, 16, loc=mean, scale=stats.sem(values))
    assert (mean - half, mean + half) == pytest.approx((low, high))


def test_the_interval_covers_the_mean_as_often_as_it_says():
    draws = np.random.default_rng(1).normal(size=(2000, 5))
    covered = [abs(mean) <= half for mean, half in map(mean_and_interval, draws)]
    assert 0.93 < np.mean(covered) < 0.97


def test_one_value_has_no_interval():
    mean, half = mean_and_interval(np.array([0.5]))
    assert mean == 0.5
    assert np.isnan(half)


@pytest.mark.parametrize("values", [np.zeros(0), np.zeros((2, 2)), np.array([1.0, np.nan])])
def test_bad_values_are_named(values):
    with pytest.raises(CrossModalError, match=r"interval: "):
        mean_and_interval(values)


def test_bad_confidence_is_named():
    with pytest.raises(CrossModalError, match=r"between 0 and 1, found 95"):
        mean_and_interval(np.ones(3), 95)
