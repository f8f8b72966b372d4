"""Probabilities rise with the score, are never NaN, and mean what they say."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit
from toys.scored_pairs import noisy_pairs, pairs_of_people

from cross_modal.errors import CrossModalError
from cross_modal.verification.probability import (
    METHODS,
    Method,
    ProbabilityMap,
    fit_probability,
    held_out_probabilities,
    probability_error,
)

SCORES = st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=40)


@pytest.mark.parametrize("method", METHODS)
@given(scores=SCORES, prior=st.floats(0.01, 0.99), seed=st.integers(0, 99))
def test_any_scores_give_a_rising_map_without_nan(method: Method, scores: list[float], prior: float, seed: int) -> None:
    same = np.random.default_rng(seed).permutation(len(scores)) % 2 == 0
    to_probability = fit_probability(np.array(scores), same, method, prior)
    asked = np.sort([*scores, -np.inf, np.inf, -1e308, 1e308, 0.0])
    found = to_probability(asked)
    assert ((found >= 0) & (found <= 1)).all()
    assert (np.diff(found) >= 0).all()
    within = to_probability(np.array(scores))
    assert ((within > 0) & (within < 1)).all()


@pytest.mark.parametrize("method", METHODS)
def test_probabilities_of_normal_scores_are_those_of_the_formula(method: Method) -> None:
    scores, same = noisy_pairs(20_000, 0)
    asked = np.array([0.0, 1.0, 2.0])
    # N(2, 1) against N(0, 1): log odds 2 s − 2
    assert fit_probability(scores, same, method)(asked) == pytest.approx(expit(2 * asked - 2), abs=0.03)


@pytest.mark.parametrize("method", METHODS)
def test_the_prior_decides_and_not_the_share_among_the_pairs(method: Method) -> None:
    scores, same = noisy_pairs(20_000, 1, share=0.1)
    asked = np.array([0.0, 1.0, 2.0])
    assert fit_probability(scores, same, method)(asked) == pytest.approx(expit(2 * asked - 2), abs=0.04)
    rare = fit_probability(scores, same, method, prior=0.1)(asked)
    assert rare == pytest.approx(expit(2 * asked - 2 + np.log(1 / 9)), abs=0.04)


def test_scores_that_part_the_kinds_claim_no_more_than_so_many_pairs_show() -> None:
    scores, same = np.append(np.zeros(10), np.ones(10)), np.arange(20) >= 10
    for method in METHODS:  # Laplace: (n + 1) / (n + 2)
        assert fit_probability(scores, same, method)(np.array([0, 1])) == pytest.approx([1 / 12, 11 / 12], abs=1e-6)


@pytest.mark.parametrize("scores", [np.zeros(10), np.arange(10.0)[::-1]])
def test_scores_that_say_nothing_or_the_wrong_thing_give_the_prior(scores: np.ndarray) -> None:
    to_probability = fit_probability(scores, np.arange(10) >= 5, prior=0.3)
    assert to_probability(np.array([-np.inf, 0, 1e300])) == pytest.approx(0.3)
    flat = fit_probability(scores, np.arange(10) >= 5, "isotonic", prior=0.3)(np.array([-9.0, 0, 9]))
    assert np.ptp(flat) == pytest.approx(0, abs=1e-12)


def test_probabilities_of_right_size_have_no_error_and_boasts_have_theirs() -> None:
    generator = np.random.default_rng(0)
    honest = generator.random(50_000)
    same = generator.random(50_000) < honest
    assert probability_error(honest, same, prior=same.mean()) < 0.01
    assert probability_error(np.where(honest > 0.5, 1.0, 0.0), same, prior=same.mean()) == pytest.approx(0.25, abs=0.01)
    assert probability_error(np.array([0.0, 1.0]), np.array([False, True])) == 0


def test_the_error_on_held_out_people_is_larger_than_on_those_fitted_to() -> None:
    scores, same, owners = pairs_of_people(12, 8, 0)
    held_out = held_out_probabilities(scores, same, (owners.a, owners.b), "isotonic")
    fitted = fit_probability(scores, same, "isotonic")(scores)
    assert held_out is not None
    assert np.isfinite(held_out).all()
    assert probability_error(held_out, same) > 2 * probability_error(fitted, same)


def test_one_owner_of_all_same_pairs_cannot_be_held_out() -> None:
    scores, same = np.arange(10.0), np.arange(10) >= 5
    owners = np.where(same, 0, np.arange(10))
    assert held_out_probabilities(scores, same, (owners, owners)) is None


@pytest.mark.parametrize("method", METHODS)
def test_a_map_survives_json(method: Method) -> None:
    to_probability = fit_probability(*noisy_pairs(100, 2), method)
    assert ProbabilityMap.from_dict(json.loads(json.dumps(to_probability.to_dict()))) == to_probability


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"slope": -1.0}, "expected one that rises"),
        ({"slope": float("nan")}, "expected a finite map"),
        ({"method": "spline"}, "expected a finite map by one of platt, isotonic"),
        ({"method": "isotonic"}, "expected a finite map"),
        ({"method": "isotonic", "scores": [0, 1], "probabilities": [0.9, 0.1]}, "expected one that rises"),
        ({"prior": None}, "expected what to_dict wrote"),
    ],
)
def test_a_damaged_map_is_refused(change: dict[str, object], message: str) -> None:
    values = ProbabilityMap("platt", slope=1.0).to_dict() | change
    with pytest.raises(CrossModalError, match=message):
        ProbabilityMap.from_dict(values)


def test_bad_input_is_named() -> None:
    scores, same = noisy_pairs(10, 0)
    with pytest.raises(CrossModalError, match="expected one of platt, isotonic, found 'beta'"):
        fit_probability(scores, same, "beta")  # type: ignore[arg-type]
    with pytest.raises(CrossModalError, match="expected a prior between 0 and 1, found 0"):
        fit_probability(scores, same, prior=0)
    with pytest.raises(CrossModalError, match="probability: score 1 is not a number"):
        fit_probability(scores, same)(np.array([0, np.nan]))
