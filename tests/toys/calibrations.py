"""Calibrations whose thresholds are known."""

from collections.abc import Mapping

import numpy as np

from cross_modal.fewshot.scoring import Metric
from cross_modal.verification.bootstrap import Owners
from cross_modal.verification.saved_calibration import CalibrationPairs, SavedCalibration


def pairs_around(threshold: float, people: int = 30) -> CalibrationPairs:
    """As many same pairs as different ones, the nearest 0.05 above and below the threshold."""
    away = 0.05 + 0.2 * np.arange(people) / people
    owners = np.arange(people)
    return CalibrationPairs(
        np.concatenate([threshold + away, threshold - away]),
        np.repeat([True, False], people),
        Owners(np.tile(owners, 2), np.concatenate([owners, (owners + 1) % people])),
    )


def calibrated(thresholds: Mapping[str, float], metric: Metric = "cosine") -> SavedCalibration:
    """Comparison → the threshold that is learned on it."""
    pairs = {name: pairs_around(threshold) for name, threshold in thresholds.items()}
    return SavedCalibration.of_comparisons(pairs, metric, {"data": "toys"})
