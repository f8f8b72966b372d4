"""One temperature by likelihood, the calibration error by its definition, and sets that keep their promise."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import log_softmax, softmax

from cross_modal.errors import CrossModalError
from cross_modal.fewshot.calibration import (
    conformal_quantile,
    conformal_sets,
    expected_calibration_error,
    fit_temperature,
)


def drawn(items: int, classes: int, scale: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Logits, and labels drawn from their softmax at temperature `scale`: the truth that a fit should find."""
    generator = np.random.default_rng(seed)
    scores = scale * generator.normal(size=(items, classes)) * 2
    chances = softmax(scores / scale, axis=1).cumsum(axis=1)
    return scores, (generator.random((items, 1)) > chances[:, :-1]).sum(axis=1)


def loss(scores: np.ndarray, y: np.ndarray, temperature: float) -> float:
    """Mean negative log-likelihood in float64."""
    return -log_softmax(scores / temperature, axis=1)[np.arange(len(y)), y].mean()


# Temperature.


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 12), st.floats(-3, 3))
def test_no_other_temperature_is_likelier(seed, classes, power):
    scores, y = drawn(60, classes, 10**power, seed)
    best = fit_temperature(scores, y)
    if (scores.argmax(1) == y).all():
        return
    others = best * np.geomspace(1e-2, 1e2, 401)
    assert loss(scores, y, best) <= min(loss(scores, y, other) for other in others) + 1e-9


@pytest.mark.parametrize("scale", [0.02, 1.0, 100.0])
def test_finds_the_temperature_that_the_labels_were_drawn_with(scale):
    assert fit_temperature(*drawn(20_000, 5, scale)) == pytest.approx(scale, rel=0.03)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.floats(1e-3, 1e3))
def test_follows_the_scale_of_the_scores_and_no_shift_of_a_row(seed, factor):
    scores, y = drawn(40, 4, 1.0, seed)
    shift = np.random.default_rng(seed).normal(size=(40, 1)) * 10
    assert fit_temperature(factor * (scores + shift), y) == pytest.approx(factor * fit_temperature(scores, y), rel=1e-6)


@pytest.mark.parametrize("items", [1, 4, 200])
def test_without_an_error_it_claims_no_more_than_so_many_right_answers_show(items):
    scores = np.random.default_rng(0).normal(size=(items, 6))
    y = scores.argmax(1)
    claimed = softmax(scores / fit_temperature(scores, y), axis=1).max(axis=1).mean()
    assert claimed == pytest.approx((items + 1) / (items + 2), abs=1e-6)


def test_scores_worse_than_chance_become_equal_probabilities():
    scores = np.random.default_rng(0).normal(size=(50, 4))
    temperature = fit_temperature(scores, scores.argmin(1))
    assert softmax(scores / temperature, axis=1) == pytest.approx(0.25, abs=1e-3)


@pytest.mark.parametrize("scores", [np.zeros((5, 3)), np.full((5, 3), 7.3), np.arange(5.0)[:, None]])
def test_scores_that_say_nothing_stay_as_they_are(scores):
    assert fit_temperature(scores, np.zeros(5, int)) == 1.0


def test_a_class_that_cannot_be_scored_changes_nothing_and_its_items_are_left_out():
    scores, y = drawn(80, 4, 3.0)
    expected = fit_temperature(scores, y)
    wider = np.concatenate([scores, np.full((80, 1), -np.inf)], axis=1)
    assert fit_temperature(wider, y) == pytest.approx(expected)
    more = np.concatenate([wider, np.append(scores[0], -np.inf)[None]])
    assert fit_temperature(more, np.append(y, 4)) == pytest.approx(expected)


def test_float32_scores_of_any_size_are_welcome():
    scores, y = drawn(60, 5, 1e6)
    assert fit_temperature(scores.astype(np.float32), y) == pytest.approx(fit_temperature(scores, y), rel=1e-4)


# Calibration error.


def slow_error(probabilities, y, bins):
    """Bin after bin, as the paper writes it."""
    confidence, right = probabilities.max(1), probabilities.argmax(1) == y
    error = 0.0
    for b in range(bins):
        inside = (confidence > b / bins) & (confidence <= (b + 1) / bins)
        if inside.any():
            error += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
    return error


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 100), st.integers(2, 6), st.integers(1, 20))
def test_calibration_error_is_the_definition(seed, items, classes, bins):
    generator = np.random.default_rng(seed)
    probabilities = generator.dirichlet(np.ones(classes), size=items)
    y = generator.integers(0, classes, items)
    assert expected_calibration_error(probabilities, y, bins) == pytest.approx(slow_error(probabilities, y, bins))


def test_temperature_mends_the_calibration_of_other_items():
    scores, y = drawn(4000, 5, 1.0)
    loud = 5 * scores
    temperature = fit_temperature(loud[:2000], y[:2000])
    before = expected_calibration_error(softmax(loud[2000:], axis=1), y[2000:])
    after = expected_calibration_error(softmax(loud[2000:] / temperature, axis=1), y[2000:])
    assert before > 0.1
    assert after < 0.03


def test_certainty_lies_in_the_last_bin_and_right_certainty_errs_not():
    certain = np.eye(3)
    assert expected_calibration_error(certain, np.arange(3)) == 0
    assert expected_calibration_error(certain, np.array([1, 2, 0])) == 1


# Conformal sets.


@pytest.mark.parametrize("alpha", [0.05, 0.2, 0.5])
@pytest.mark.parametrize("items", [39, 500])
def test_sets_cover_the_truth_as_often_as_promised(alpha, items):
    covered = []
    for seed in range(200):
        scores, y = drawn(items + 100, 6, 1.0, seed)
        probabilities = softmax(3 * scores, axis=1)  # badly calibrated: the promise needs no calibration
        quantile = conformal_quantile(probabilities[:items], y[:items], alpha)
        sets = conformal_sets(probabilities[items:], quantile)
        covered.append(sets[np.arange(100), y[items:]].mean())
    assert 1 - alpha - 0.01 <= np.mean(covered) <= 1 - alpha + 1 / (items + 1) + 0.01


def test_quantile_is_the_rank_that_the_promise_needs():
    probabilities = np.column_stack([np.arange(1, 10) / 10, 1 - np.arange(1, 10) / 10])
    misfit = np.sort(1 - probabilities[:, 0])
    y = np.zeros(9, int)
    assert conformal_quantile(probabilities, y, 0.3) == misfit[6]  # ⌈10 · 0.7⌉ = 7
    assert conformal_quantile(probabilities, y, 0.25) == misfit[7]  # ⌈7.5⌉ = 8
    assert conformal_quantile(probabilities, y, 0.1) == misfit[8]


def test_too_few_items_for_the_promise_name_every_class():
    probabilities = np.array([[0.9, 0.1]] * 8, np.float32)
    quantile = conformal_quantile(probabilities, np.zeros(8, int), 0.1)
    assert quantile == 1
    assert conformal_sets(np.array([[1.0, 0.0]]), quantile).all()


def test_the_item_that_set_the_quantile_is_covered_in_float32_too():
    probabilities = softmax(np.random.default_rng(0).normal(size=(19, 7)), axis=1).astype(np.float32)
    y = np.random.default_rng(1).integers(0, 7, 19)
    sets = conformal_sets(probabilities, conformal_quantile(probabilities, y, 0.05))
    assert sets[np.arange(19), y].all()


# Bad input.


@pytest.mark.parametrize(
    ("scores", "y", "words"),
    [
        (np.zeros((0, 3)), np.zeros(0, int), "at least 1 item"),
        (np.zeros((2, 3)), np.zeros(3, int), r"2 integer positions"),
        (np.zeros((2, 3)), np.array([0, 3]), "row 1: expected a class below 3, found 3"),
        (np.zeros((2, 3)), np.array([0, -1]), "found -1"),
        (np.zeros((2, 3)), np.array([0.0, 1.0]), "integer positions"),
        (np.array([[0, np.nan], [0, 1]]), np.array([0, 1]), "row 0 holds NaN"),
        (np.array([[0, 1], [np.inf, 1]]), np.array([0, 1]), "row 1 holds NaN or"),
        (np.zeros(3), np.zeros(3, int), "floats"),
        (np.zeros((3, 2), int), np.zeros(3, int), "floats"),
    ],
)
@pytest.mark.parametrize("function", [fit_temperature, expected_calibration_error])
def test_bad_tables_are_one_line(function, scores, y, words):
    with pytest.raises(CrossModalError, match=words) as caught:
        function(scores, y)
    assert "\n" not in str(caught.value)


def test_bad_numbers_are_one_line():
    fair = np.full((4, 2), 0.5)
    y = np.zeros(4, int)
    with pytest.raises(CrossModalError, match="at least 1 bin"):
        expected_calibration_error(fair, y, bins=0)
    with pytest.raises(CrossModalError, match=r"row 0: expected probabilities in \[0, 1\]"):
        expected_calibration_error(3 * fair, y)
    with pytest.raises(CrossModalError, match="alpha between 0 and 1, found 1"):
        conformal_quantile(fair, y, 1)
    with pytest.raises(CrossModalError, match="quantile"):
        conformal_sets(fair, 1.5)
