"""Confidence intervals of a mean: Student's t, the same for episodes, runs, seeds and queries."""

from __future__ import annotations

import math

import numpy as np
from scipy.special import stdtrit

from cross_modal.errors import CrossModalError


def mean_and_interval(values: np.ndarray, confidence: float = 0.95) -> tuple[float, float]:
    """The mean of independent values and the half-width of its interval, t · s / √n.

    Args:
        values: (n,) numbers, one an episode, run or query.
        confidence: Between 0 and 1.

    Returns:
        The mean and the half-width; the half-width of one value is NaN, since nothing tells how it varies.

    Raises:
        CrossModalError: No values, a value that is not finite, or a confidence out of range.

    >>> mean, half = mean_and_interval(np.array([0.9, 0.8, 1.0]))
    >>> round(mean, 4), round(half, 4)  # t of 2 degrees of freedom is 4.303
    (0.9, 0.2484)
    """
    values = np.asarray(values, np.float64)
    if not 0 < confidence < 1:
        raise CrossModalError(f"confidence: expected a number between 0 and 1, found {confidence}")
    if values.ndim != 1 or not len(values):
        raise CrossModalError(f"interval: expected values (n,) with n of at least 1, found shape {values.shape}")
    if not np.isfinite(values).all():
        raise CrossModalError(f"interval: value {int(np.flatnonzero(~np.isfinite(values))[0])} is not finite")
    count = len(values)
    if count == 1:
        return float(values[0]), math.nan
    quantile = float(stdtrit(count - 1, 0.5 + confidence / 2))
    return float(values.mean()), quantile * float(values.std(ddof=1)) / math.sqrt(count)
