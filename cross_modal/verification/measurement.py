"""Scored pairs in, metrics out: the rates of verification with bootstrap intervals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cross_modal.verification.bootstrap import half_width, resample
from cross_modal.verification.calibration import Calibration
from cross_modal.verification.error_rates import error_rates
from cross_modal.verification.estimate import rate_estimate
from cross_modal.verification.operating_points import check_pairs
from cross_modal.verification.probability import probability_error
from cross_modal.verification.threshold import rates_at

DECIDED = ("accuracy", "balanced_accuracy", "false_accept_rate", "false_reject_rate")


@dataclass(frozen=True)
class VerificationResult:
    """What was measured.

    Attributes:
        metrics: `verification/…` → number, half-widths under `…/ci95`.
        scores: (M,) float64 score of each pair; higher is more alike.
        same: (M,) bool.
    """

    metrics: dict[str, float]
    scores: np.ndarray
    same: np.ndarray


def measure_verification(
    scores: np.ndarray,
    same: np.ndarray,
    owners: tuple[np.ndarray, np.ndarray],
    *,
    resamples: int = 1000,
    seed: int = 0,
    calibration: Calibration | None = None,
) -> VerificationResult:
    """Measures scored pairs, with bootstrap intervals.

    Args:
        scores: (M,) higher is more alike.
        same: (M,) bool.
        owners: (M,) and (M,) int64: what is independent, for either side of each pair.
        resamples: How many.
        seed: Their seed.
        calibration: Learned on other pairs: adds the accuracy (of the pairs as they are, and balanced), both error
            rates at its chosen threshold, and the calibration error of its probabilities.

    Raises:
        CrossModalError: Only one kind of pair, or a score that is not finite.
    """
    scores, same = check_pairs("verification", scores, same)

    def measured(weights: np.ndarray | None = None) -> dict[str, np.ndarray]:
        found = error_rates(scores, same, weights)
        return found if calibration is None else found | _decided(scores, same, calibration, weights)

    drawn = resample(measured, same, owners, resamples=resamples, seed=seed)
    independent = min(len(np.union1d(owners[0][kind], owners[1][kind])) for kind in (same, ~same))
    metrics = {"verification/pairs": float(len(same)), "verification/same_pairs": float(same.sum())}
    for name, value in measured().items():
        metrics[f"verification/{name}"] = value.item()
        if name in DECIDED:
            metrics[f"verification/{name}/ci95"] = rate_estimate(value.item(), drawn.get(name), independent).half_width
        elif name in drawn:
            metrics[f"verification/{name}/ci95"] = half_width(drawn[name])
    if calibration is not None:
        to_probability = calibration.probability
        error = probability_error(to_probability(scores), same, to_probability.prior)
        metrics |= {"verification/threshold": calibration.threshold, "verification/ece": error}
    return VerificationResult(metrics, scores, same)


def _decided(
    scores: np.ndarray, same: np.ndarray, calibration: Calibration, weights: np.ndarray | None
) -> dict[str, np.ndarray]:
    """Rates of decisions at the calibrated threshold, (R,) each."""
    counts = np.ones((1, len(scores))) if weights is None else weights
    false, missed = (rates[:, 0] for rates in rates_at(scores, same, np.array([calibration.threshold]), weights))
    share = counts[:, same].sum(1) / counts.sum(1)
    accuracy = 1 - share * missed - (1 - share) * false
    return dict(zip(DECIDED, (accuracy, 1 - (missed + false) / 2, false, missed), strict=True))
