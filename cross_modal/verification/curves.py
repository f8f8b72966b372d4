"""The two curves of verification: ROC and DET, as points to draw or to keep.

The DET curve shows both errors on the scale of normal deviates Φ⁻¹(rate): where the scores of either kind are normal it
is a straight line, and rates of 0.1 % are as well seen as those of 10 %.

Source: Martin et al. 1997, "The DET curve in assessment of detection task performance".
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from cross_modal.errors import CrossModalError
from cross_modal.verification.operating_points import check_pairs, operating_points

MOST = 1000  # points that a drawing can show


@dataclass(frozen=True)
class RocCurve:
    """True accepts against false accepts.

    Attributes:
        false_accepts: (T,) float64, rising from 0 to 1.
        true_accepts: (T,) float64, rising from 0 to 1.
        thresholds: (T,) float64, falling; the lowest score accepted, +∞ in the first.
    """

    false_accepts: np.ndarray
    true_accepts: np.ndarray
    thresholds: np.ndarray


@dataclass(frozen=True)
class DetCurve:
    """False rejects against false accepts, as rates and as normal deviates.

    Attributes:
        false_accepts: (T,) float64, rising.
        false_rejects: (T,) float64, falling.
        thresholds: (T,) float64, falling; the lowest score accepted.
        x: (T,) float64 Φ⁻¹(false accepts), finite.
        y: (T,) float64 Φ⁻¹(false rejects), finite.
        least: The smallest rates that the pairs can show, half a pair of either kind: rates are drawn no nearer to 0
            or 1 than that.
    """

    false_accepts: np.ndarray
    false_rejects: np.ndarray
    thresholds: np.ndarray
    x: np.ndarray
    y: np.ndarray
    least: tuple[float, float]


def roc_curve(scores: np.ndarray, same: np.ndarray, most: int = MOST) -> RocCurve:
    """The ROC curve.

    Args:
        scores: (M,) higher is more alike.
        same: (M,) bool, both kinds.
        most: Points kept, at least 2, evenly along the curve.

    Raises:
        CrossModalError: Pairs that cannot be measured, or too few points asked for.

    >>> roc_curve(np.array([0.9, 0.8, 0.1]), np.array([True, False, False])).true_accepts.tolist()
    [0.0, 1.0, 1.0]
    """
    thresholds, false, true = _corners(scores, same)
    keep = _thinned(false, true, most)
    return RocCurve(false[keep], true[keep], thresholds[keep])


def det_curve(scores: np.ndarray, same: np.ndarray, most: int = MOST) -> DetCurve:
    """The DET curve.

    Args:
        scores: (M,) higher is more alike.
        same: (M,) bool, both kinds.
        most: Points kept, at least 2, evenly along the curve as it is drawn.

    Raises:
        CrossModalError: Pairs that cannot be measured, or too few points asked for.

    >>> curve = det_curve(np.array([0.9, 0.4, 0.6, 0.1]), np.array([True, True, False, False]))
    >>> curve.x.round(2).tolist(), curve.y.round(2).tolist()
    ([-0.67, -0.67, 0.0, 0.0, 0.67], [0.67, 0.0, 0.0, -0.67, -0.67])
    """
    scores, same = check_pairs("DET curve", scores, same)
    thresholds, false, true = _corners(scores, same)
    least = 0.5 / int((~same).sum()), 0.5 / int(same.sum())
    x, y = (ndtri(np.clip(rates, small, 1 - small)) for rates, small in zip((false, 1 - true), least, strict=True))
    keep = _thinned(x, y, most)
    return DetCurve(false[keep], 1 - true[keep], thresholds[keep], x[keep], y[keep], least)


def _corners(scores: np.ndarray, same: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Thresholds, false and true accepts, without the points that a straight line passes through anyway."""
    points = operating_points(*check_pairs("ROC curve", scores, same))
    false, true = points.false_accepts[0], points.true_accepts[0]
    kind = np.where(
        np.diff(true) == 0, 0, np.where(np.diff(false) == 0, 1, 2)
    )  # along one axis, the other, or slanting
    keep = np.concatenate([[True], (kind[1:] != kind[:-1]) | (kind[1:] == 2), [True]])
    return points.lowest[keep], false[keep], true[keep]


def _thinned(x: np.ndarray, y: np.ndarray, most: int) -> np.ndarray:
    """Places of at most so many points, evenly along the curve, with both ends."""
    if most < 2:
        raise CrossModalError(f"curve: expected at least 2 points, found {most}")
    if len(x) <= most:
        return np.arange(len(x))
    along = np.append(0.0, np.cumsum(np.abs(np.diff(x)) + np.abs(np.diff(y))))
    places = np.searchsorted(along, np.linspace(0, along[-1], most))
    return np.unique(np.append(places[:-1], len(x) - 1))
