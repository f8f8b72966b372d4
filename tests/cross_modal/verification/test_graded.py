"""Correlations agree with SciPy, ties and resamples included."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.stats import pearsonr, rankdata, spearmanr

from cross_modal.errors import CrossModalError
from cross_modal.verification.graded import measure_graded, weighted_ranks


@given(seed=st.integers(0, 10**6), count=st.integers(3, 60), digits=st.integers(0, 5))
def test_correlations_are_those_of_scipy(seed: int, count: int, digits: int) -> None:
    generator = np.random.default_rng(seed)
    scores = np.round(generator.normal(size=count), digits)
    graded = np.round(scores + generator.normal(size=count), digits)
    assume(np.ptp(scores) > 0 and np.ptp(graded) > 0)
    rows = np.arange(count)
    found = measure_graded(scores, graded, (rows, rows), resamples=1)
    assert found["verification/spearman"] == pytest.approx(spearmanr(scores, graded).statistic, abs=1e-9)
    assert found["verification/pearson"] == pytest.approx(pearsonr(scores, graded).statistic, abs=1e-9)


@given(seed=st.integers(0, 10**6))
def test_ranks_of_weighted_values_are_those_of_the_table_written_out(seed: int) -> None:
    generator = np.random.default_rng(seed)
    values, times = generator.integers(0, 5, 20), generator.integers(0, 4, 20)
    weighted = weighted_ranks(values, times[None].astype(float))[0]
    assert np.repeat(weighted, times) == pytest.approx(rankdata(np.repeat(values, times)) - 0.5)


def test_the_interval_is_as_wide_as_results_really_vary() -> None:
    def drawn(seed: int) -> tuple[np.ndarray, np.ndarray]:
        generator = np.random.default_rng(seed)
        truth = generator.random(300)
        return truth + generator.normal(0, 0.3, 300), truth

    rows = np.arange(300)
    found = measure_graded(*drawn(0), (rows, rows))
    results = [spearmanr(*drawn(seed)).statistic for seed in range(1, 200)]
    assert found["verification/spearman/ci95"] == pytest.approx(1.96 * np.std(results), rel=0.25)


def test_any_rising_scale_has_the_same_order() -> None:
    graded, rows = np.linspace(0, 1, 20), np.arange(20)
    found = measure_graded(np.exp(20 * graded), graded, (rows, rows), resamples=10)
    assert found["verification/spearman"] == pytest.approx(1)
    assert found["verification/pearson"] < 0.8
    assert measure_graded(-graded * 1e200, graded, (rows, rows), resamples=10)["verification/pearson"] == pytest.approx(
        -1
    )


def test_what_has_no_correlation_is_named() -> None:
    rows, rising = np.arange(4), np.arange(4.0)
    owners = (rows, rows)
    with pytest.raises(CrossModalError, match="scores: expected at least two different ones, found 1 throughout"):
        measure_graded(np.ones(4), rising, owners)
    with pytest.raises(CrossModalError, match="verdicts: pair 2 is not finite"):
        measure_graded(rising, np.array([0, 1, np.nan, 0]), owners)
    with pytest.raises(CrossModalError, match="expected three or more"):
        measure_graded(rising[:2], rising[:2], (rows[:2], rows[:2]))
    with pytest.raises(CrossModalError, match="expected a verdict for each score, found 3 for 4"):
        measure_graded(rising, rising[:3], owners)
