"""Rates of strangers: counted, fitted, extrapolated."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cross_modal.fewshot.scoring import Metric
from cross_modal.gallery.stranger_tail import StrangerScores, stranger_tail


def scored(scores: np.ndarray, identities: int, seed: int = 0) -> StrangerScores:
    """Strangers of equal weight, each its own pair as far as there are pairs."""
    generator = np.random.default_rng(seed)
    a = generator.integers(0, identities, len(scores))
    b = (a + generator.integers(1, identities, len(scores))) % identities
    return StrangerScores(-np.sort(-scores.astype(np.float64)), np.full(len(scores), 1 / len(scores)), a, b, identities)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 999), rate=st.floats(0.02, 0.5), tied=st.booleans())
def test_where_there_is_enough_to_count_the_rate_is_kept_and_not_undercut(seed: int, rate: float, tied: bool) -> None:
    scores = np.random.default_rng(seed).uniform(-1, 1, 4000)
    found = scored(np.round(scores, 2) if tied else scores, 300, seed)
    tail = stranger_tail(found, rate, "cosine")
    threshold = tail.threshold(rate)
    share = (found.scores >= threshold).mean()
    assert not tail.fitted
    assert share <= rate + 1e-9
    assert share >= rate - (1.0 if tied else 0.0) * 0.02 - 2 / 4000
    assert tail.rate(np.array(threshold)) == pytest.approx(share)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_few_strangers_are_continued_by_the_power_law_that_they_follow(metric: Metric) -> None:
    dimension, generator = 6.0, np.random.default_rng(1)
    ratios = []
    for _ in range(20):  # 200 strangers, one in a thousand asked
        distances = 1.2 * generator.uniform(size=200) ** (1 / dimension)
        scores = 1 - distances**2 / 2 if metric == "cosine" else -distances
        tail = stranger_tail(scored(scores, 60), 0.001, metric)
        assert tail.fitted
        threshold = tail.threshold(0.001)
        distance = np.sqrt(2 - 2 * threshold) if metric == "cosine" else -threshold
        ratios.append((distance / 1.2) ** dimension / 0.001)
        assert tail.rate(np.array(threshold)) == pytest.approx(0.001, rel=1e-3)
    assert 0.5 < np.median(ratios) < 2


def test_larger_galleries_need_a_higher_threshold() -> None:
    found = scored(np.random.default_rng(0).uniform(-1, 1, 500), 50)
    thresholds = [stranger_tail(found, 0.01, "cosine", growth).threshold(0.01) for growth in (1.0, 3.0, 30.0)]
    assert thresholds == sorted(set(thresholds))


def test_rates_grow_with_galleries_as_if_identities_were_independent() -> None:
    found = scored(np.random.default_rng(0).uniform(-1, 1, 4000), 300)
    once, thrice = (stranger_tail(found, 0.1, "cosine", growth) for growth in (1.0, 3.0))
    level = np.array(0.95)
    assert thrice.rate(level) == pytest.approx(1 - (1 - once.rate(level)) ** 3, rel=0.05)


def test_rates_fall_as_scores_rise() -> None:
    tail = stranger_tail(scored(np.random.default_rng(0).normal(0, 0.3, 200).clip(-1, 0.9), 40), 0.01, "cosine")
    rates = tail.rate(np.linspace(-1, 1, 200))
    assert (np.diff(rates) <= 1e-12).all()
    assert rates[-1] == 0


@pytest.mark.parametrize("rate", [0.001, 0.2])
def test_the_interval_holds_the_rate_and_is_wider_for_fewer_identities(rate: float) -> None:
    widths = []
    for identities in (30, 300):
        scores = 1 - (1.2 * np.random.default_rng(3).uniform(size=4 * identities) ** (1 / 6)) ** 2 / 2
        tail = stranger_tail(scored(scores, identities), rate, "cosine")
        estimate = tail.estimate(tail.threshold(rate))
        assert estimate.low <= estimate.value <= estimate.high
        widths.append(estimate.high - estimate.low)
    assert widths[0] > widths[1]


def test_collapsed_embeddings_let_nobody_in() -> None:
    tail = stranger_tail(scored(np.ones(50), 10), 0.01, "cosine")
    assert tail.threshold(0.01) > 1
