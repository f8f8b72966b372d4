"""Metrics of scored pairs, with intervals that hold what they promise."""

import numpy as np
import pytest
from toys.scored_pairs import noisy_pairs

from cross_modal.errors import CrossModalError
from cross_modal.verification.error_rates import error_rates
from cross_modal.verification.measurement import measure_verification


def test_the_interval_is_as_wide_as_results_really_vary() -> None:
    scores, same = noisy_pairs(600, 2)
    rows = np.arange(600)
    half = measure_verification(scores, same, (rows, rows)).metrics["verification/auc/ci95"]
    results = [error_rates(*noisy_pairs(600, seed))["auc"].item() for seed in range(10, 210)]
    assert half == pytest.approx(1.96 * np.std(results), rel=0.25)


def test_pairs_that_share_an_owner_tell_less() -> None:
    scores, same = (np.tile(cells, 6) for cells in noisy_pairs(100, 3))
    alone, shared = (
        measure_verification(scores, same, (owner, owner)).metrics["verification/auc/ci95"]
        for owner in (np.arange(600), np.tile(np.arange(100), 6))
    )
    assert shared == pytest.approx(np.sqrt(6) * alone, rel=0.15)


def test_the_seed_decides_the_interval_and_nothing_else() -> None:
    scores, same = noisy_pairs(100, 4)
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
