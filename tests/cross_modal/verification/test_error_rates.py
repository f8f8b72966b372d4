"""Equal error rate, area under the curve, accepts at a rate."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score, roc_curve
from toys.scored_pairs import noisy_pairs

from cross_modal.verification.error_rates import error_rates


def _rate(name: str, scores: np.ndarray, same: np.ndarray) -> float:
    return error_rates(scores, same)[name].item()


@pytest.mark.parametrize("digits", [9, 1, 0])
def test_rates_agree_with_scikit_learn_ties_or_not(digits: int) -> None:
    scores, same = noisy_pairs(500, 0, digits)
    accepted, right, _ = roc_curve(same, scores, drop_intermediate=False)
    assert _rate("auc", scores, same) == pytest.approx(roc_auc_score(same, scores), abs=1e-12)
    assert _rate("true_accepts_at_1_percent", scores, same) == pytest.approx(right[accepted <= 0.01].max())
    eer, missed = _rate("eer", scores, same), 1 - right
    assert np.minimum(accepted, missed).max() - 1e-12 <= eer <= np.maximum(accepted, missed).min() + 1e-12


def test_the_limits_are_what_they_should_be() -> None:
    same = np.array([True] * 5 + [False] * 5)
    assert _rate("eer", np.arange(10)[::-1].astype(float), same) == 0
    assert _rate("eer", np.arange(10).astype(float), same) == 1
    assert _rate("eer", np.zeros(10), same) == 0.5
    assert _rate("auc", np.zeros(10), same) == 0.5


def test_a_weight_of_two_is_the_pair_twice() -> None:
    scores, same = noisy_pairs(60, 1)
    times = np.random.default_rng(0).integers(0, 3, 60)
    twice = error_rates(np.repeat(scores, times), np.repeat(same, times))
    weighted = error_rates(scores, same, times[None].astype(float))
    for name, rate in twice.items():
        assert weighted[name] == pytest.approx(rate, abs=1e-12)
