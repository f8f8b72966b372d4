"""Equal error rate, area under the curve, accepts at a rate; and intervals that hold what they promise."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score, roc_curve

from cross_modal.errors import CrossModalError
from cross_modal_mlflow.verification_scores import error_rates, measure_verification, owners_of, pair_scores


def _noisy(count: int, seed: int, digits: int = 9) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    same = generator.random(count) < 0.5
    return np.round(generator.normal(size=count) + 2 * same, digits), same


def _rate(name: str, scores: np.ndarray, same: np.ndarray) -> float:
    return error_rates(scores, same)[name].item()


@pytest.mark.parametrize("digits", [9, 1, 0])
def test_rates_agree_with_scikit_learn_ties_or_not(digits: int) -> None:
    scores, same = _noisy(500, 0, digits)
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
    scores, same = _noisy(60, 1)
    times = np.random.default_rng(0).integers(0, 3, 60)
    twice = error_rates(np.repeat(scores, times), np.repeat(same, times))
    weighted = error_rates(scores, same, times[None].astype(float))
    for name, rate in twice.items():
        assert weighted[name] == pytest.approx(rate, abs=1e-12)


def test_the_interval_is_as_wide_as_results_really_vary() -> None:
    scores, same = _noisy(600, 2)
    rows = np.arange(600)
    half = measure_verification(scores, same, (rows, rows)).metrics["verification/auc/ci95"]
    results = [_rate("auc", *_noisy(600, seed)) for seed in range(10, 210)]
    assert half == pytest.approx(1.96 * np.std(results), rel=0.25)


def test_pairs_that_share_an_owner_tell_less() -> None:
    scores, same = (np.tile(cells, 6) for cells in _noisy(100, 3))
    alone, shared = (
        measure_verification(scores, same, (owner, owner)).metrics["verification/auc/ci95"]
        for owner in (np.arange(600), np.tile(np.arange(100), 6))
    )
    assert shared == pytest.approx(np.sqrt(6) * alone, rel=0.15)


def test_the_seed_decides_the_interval_and_nothing_else() -> None:
    scores, same = _noisy(100, 4)
    rows = np.arange(100)
    first, again, other = (measure_verification(scores, same, (rows, rows), seed=seed).metrics for seed in (0, 0, 1))
    assert first == again
    assert first["verification/eer"] == other["verification/eer"]
    assert first["verification/eer/ci95"] != other["verification/eer/ci95"]


def test_both_kinds_of_pairs_are_needed() -> None:
    rows = np.arange(3)
    with pytest.raises(CrossModalError, match="found 3 same and 0 different"):
        measure_verification(np.zeros(3), np.ones(3, bool), (rows, rows))
    with pytest.raises(CrossModalError, match="pair 1 has a score that is not finite"):
        measure_verification(np.array([0, np.nan, 1]), np.array([True, False, True]), (rows, rows))


def test_pairs_without_labels_are_owned_by_connected_groups_where_there_are_enough() -> None:
    names = [f"a{number}" for number in range(40)]
    left, right = owners_of(names, [f"b{number}" for number in range(40)])
    assert (left == right).all()
    assert len(set(left)) == 40
    left, right = owners_of(names, ["hub"] * 40)
    assert len({*left, *right}) == 41


def test_scores_are_cosine_or_minus_the_distance() -> None:
    a, b = np.array([[3.0, 0], [1, 0]], np.float32), np.array([[0, 4.0], [2, 0]], np.float32)
    assert pair_scores(a, b, "cosine").tolist() == [0, 1]
    assert pair_scores(a, b, "euclidean").tolist() == [-5, -1]
    assert np.isnan(pair_scores(a, np.full((2, 2), np.nan, np.float32), "cosine")).all()
