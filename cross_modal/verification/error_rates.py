"""How well scores tell same from different, in one number: equal error rate, area under the curve, accepts at a rate.

Source: Martin et al. 1997, "The DET curve in assessment of detection task performance".
"""

from __future__ import annotations

import numpy as np

from cross_modal.verification.operating_points import operating_points

FALSE_ACCEPTS = 0.01
RATES = ("eer", "auc", "true_accepts_at_1_percent")


def error_rates(scores: np.ndarray, same: np.ndarray, weights: np.ndarray | None = None) -> dict[str, np.ndarray]:
    """Equal error rate, area under the ROC curve, and the share of same pairs accepted at 1 % false accepts.

    The equal error rate lies where false accepts and false rejects cross, on the line between the two thresholds around
    the crossing.

    Args:
        scores: (M,) higher is more alike.
        same: (M,) bool, both kinds.
        weights: (R, M) how often each pair counts, R times over; None counts each once.

    Returns:
        Name → (R,) float64.

    >>> rates = error_rates(np.array([0.9, 0.8, 0.1]), np.array([True, True, False]))
    >>> rates["eer"].tolist(), rates["auc"].tolist()
    ([0.0], [1.0])
    """
    points = operating_points(scores, same, weights)
    accepted, right, missed = points.false_accepts, points.true_accepts, points.false_rejects
    first = (accepted >= missed).argmax(axis=1)[:, None]  # from 0 accepts and 1 misses to 1 and 0: there is a crossing
    before = np.maximum(first - 1, 0)
    at = [np.take_along_axis(values, places, axis=1) for values in (accepted, missed) for places in (before, first)]
    gap_before, gap_first = at[2] - at[0], at[1] - at[3]
    share = gap_before / np.where(gap_before + gap_first > 0, gap_before + gap_first, 1)
    return {
        "eer": (at[0] + share * (at[1] - at[0]))[:, 0],
        "auc": (np.diff(accepted, axis=1) * (right[:, 1:] + right[:, :-1]) / 2).sum(axis=1),
        "true_accepts_at_1_percent": np.where(accepted <= FALSE_ACCEPTS + 1e-12, right, 0.0).max(axis=1),
    }
