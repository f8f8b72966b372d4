"""Probabilities that mean what they say: one temperature, the calibration error, and conformal sets of classes.

Few-shot scores rank well and exaggerate: cosines times a hundred claim 99 % for what is right in 80 % of cases. One
temperature, which changes no prediction, is as much as a few validation items a class can settle:

    p(c | x) = softmax_c(scores(x) / T),  T = argmin −Σ log p(y_i | x_i)

How far what is claimed lies from what happens is the expected calibration error; a conformal set goes without a model
of the error and promises that the true class is among those it names in 1 − α of the cases, if the items asked about
are exchangeable with those it was calibrated on.

Sources: Guo et al. 2017, "On calibration of modern neural networks" (temperature, ECE); Vovk et al. 2005, "Algorithmic
learning in a random world", in the split form of Sadinle et al. 2019 (conformal sets).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from scipy.optimize import brentq

from cross_modal.errors import CrossModalError

# Bounds of the inverse temperature, in units of the scores' own spread: beyond them all probabilities are 0, 1 or 1/C.
LEAST, MOST = 1e-4, 1e4


def fit_temperature(scores: np.ndarray, y: np.ndarray) -> float:
    """The temperature that makes the true classes likeliest (Guo et al. 2017, section 4.2).

    The likelihood has one maximum. Two cases have none at a finite, positive temperature, and get the nearest that the
    items can vouch for:

    - No item is wrong: colder is always likelier. n right answers show an accuracy of (n + 1) / (n + 2) (Laplace's rule
      of succession), so the temperature is the one at which the mean probability of the predicted class says just that.
    - The true classes score no better than the average class: hotter is always likelier. The temperature is so high
      that all classes become equally likely.

    Items whose true class scores −∞ (it has no text, say) are left out: no temperature explains them.

    Args:
        scores: (n, C) float logits of validation items; −∞ where a class cannot be scored.
        y: (n,) integer positions of the true classes.

    Returns:
        T > 0; 1 where the scores say nothing (one class, or all classes equal in every row).

    Raises:
        CrossModalError: No items, shapes that differ, positions out of range, or scores that are NaN or +∞.

    >>> from scipy.special import softmax
    >>> logits = np.log([[0.8, 0.2]] * 5)  # claims 80 %, and is right in four of five cases
    >>> round(fit_temperature(30 * logits, np.array([0, 0, 0, 0, 1])), 4)
    30.0
    """
    scores, y = checked_scores("temperature", scores, y)
    own = scores[np.arange(len(y)), y]
    explained = np.isfinite(own)
    shifted = scores[explained] - scores[explained].max(axis=1, keepdims=True)  # ≤ 0: exponentials cannot overflow
    # −∞ times a probability of 0 is NaN; a number this low has the same probability and multiplies to 0.
    finite = np.isfinite(shifted)
    spread = _spread(shifted, finite)
    if spread == 0.0:
        return 1.0
    shifted = np.where(finite, shifted / spread, -1e100)
    own = shifted[np.arange(len(shifted)), y[explained]]

    def excess(log_cold: float) -> float:
        """Derivative of the mean negative log-likelihood by 1/T: E_p[score] − score of the truth."""
        weights = np.exp(math.exp(log_cold) * shifted)
        return float(((weights * shifted).sum(1) / weights.sum(1) - own).mean())

    def boast(log_cold: float) -> float:
        """Mean probability of the predicted class, less what n right answers can show."""
        claimed = float((1 / np.exp(math.exp(log_cold) * shifted).sum(1)).mean())
        return claimed - (len(own) + 1) / (len(own) + 2)

    return spread / math.exp(_root(boast if (own == 0).all() else excess))


def _spread(values: np.ndarray, finite: np.ndarray) -> float:
    """Root mean square distance of the finite scores from their row's mean; 0 where none differ."""
    counts = finite.sum(axis=1, keepdims=True)
    known = np.where(finite, values, 0.0)
    away = np.where(finite, known - known.sum(axis=1, keepdims=True) / np.maximum(counts, 1), 0.0)
    spread = math.sqrt(float((away**2).sum()) / max(int(counts.sum()), 1))
    # A spread of rounding errors alone is none.
    return spread if spread > 1e-12 * max(float(np.abs(known).max(initial=0.0)), np.finfo(np.float64).tiny) else 0.0


def _root(rising: Callable[[float], float]) -> float:
    """Where a rising function of the logarithm of the inverse temperature is 0, or the bound nearest to it."""
    low, high = math.log(LEAST), math.log(MOST)
    if rising(low) >= 0:
        return low
    return high if rising(high) <= 0 else float(brentq(rising, low, high, xtol=1e-12))


def expected_calibration_error(probabilities: np.ndarray, y: np.ndarray, bins: int = 15) -> float:
    """Mean distance between confidence and accuracy, over bins of equal width (Guo et al. 2017, equation 3).

    ECE = Σ_b |B_b| / n · |accuracy(B_b) − confidence(B_b)|, where bin b holds the items whose highest probability lies
    in ((b − 1) / bins, b / bins]. With n items a bin of few moves by chance alone: below some hundred items the number
    is coarse, and too high rather than too low.

    Args:
        probabilities: (n, C) floats, rows that sum to one.
        y: (n,) integer positions of the true classes.
        bins: How many.

    Returns:
        A number in [0, 1].

    Raises:
        CrossModalError: No items, shapes that differ, positions out of range, or probabilities outside [0, 1].

    >>> round(expected_calibration_error(np.array([[0.9, 0.1], [0.9, 0.1]]), np.array([0, 1])), 3)
    0.4
    """
    if bins < 1:
        raise CrossModalError(f"calibration error: expected at least 1 bin, found {bins}")
    probabilities, y = _checked_probabilities("calibration error", probabilities, y)
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == y
    bin_of = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)
    gaps = np.bincount(bin_of, weights=right - confidence, minlength=bins)
    return float(np.abs(gaps).sum() / len(y))


def conformal_quantile(probabilities: np.ndarray, y: np.ndarray, alpha: float) -> float:
    """The quantile q of 1 − p(true class) that makes `conformal_sets` cover the truth in 1 − α of the cases.

    It is the ⌈(n + 1)(1 − α)⌉-th smallest of the n values (split conformal prediction). Where that is past the n-th, n
    items are too few to promise 1 − α, and only the set of all classes keeps the promise: q = 1.

    Args:
        probabilities: (n, C) floats of held-out items.
        y: (n,) integer positions of their true classes.
        alpha: The share of cases that may be missed, between 0 and 1.

    Returns:
        q in [0, 1].

    Raises:
        CrossModalError: α out of range, no items, shapes that differ, or probabilities outside [0, 1].

    >>> conformal_quantile(np.array([[0.75, 0.25], [0.5, 0.5], [0.25, 0.75]]), np.array([0, 0, 0]), alpha=0.5)
    0.5
    """
    if not 0 < alpha < 1:
        raise CrossModalError(f"conformal sets: expected alpha between 0 and 1, found {alpha}")
    probabilities, y = _checked_probabilities("conformal sets", probabilities, y)
    misfit = np.sort(1 - probabilities[np.arange(len(y)), y])
    rank = math.ceil((len(y) + 1) * (1 - alpha) - 1e-9)  # 10 · 0.7 is 7, not the 8 that rounding would make of it
    return 1.0 if rank > len(y) else float(misfit[rank - 1])


def conformal_sets(probabilities: np.ndarray, quantile: float) -> np.ndarray:
    """The classes that cannot be ruled out: those with 1 − p ≤ q.

    Args:
        probabilities: (Q, C) floats.
        quantile: q of `conformal_quantile`.

    Returns:
        (Q, C) bool. A row may be empty: no class is likely enough, which is itself a sign of a stranger.

    Raises:
        CrossModalError: Not a table of probabilities, or a quantile outside [0, 1].

    >>> conformal_sets(np.array([[0.7, 0.2, 0.1], [0.4, 0.35, 0.25]]), quantile=0.7)
    array([[ True, False, False],
           [ True,  True, False]])
    """
    if not 0 <= quantile <= 1:
        raise CrossModalError(f"conformal sets: expected a quantile in [0, 1], found {quantile}")
    probabilities, _ = _checked_probabilities("conformal sets", probabilities, None)
    return 1 - probabilities <= quantile


def checked_scores(what: str, scores: np.ndarray, y: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Checks a table of scores with the positions of its true classes.

    Args:
        what: What the message calls it.
        scores: (n, C) floats with C of at least 1; −∞ is allowed, NaN and +∞ are not.
        y: (n,) integer positions, n of at least 1; None where there are none to check, and n may be 0.

    Returns:
        The scores as float64, and the positions as int64 (none where y is None).

    Raises:
        CrossModalError: One line that says which of this does not hold.
    """
    scores = np.asarray(scores)
    if scores.ndim != 2 or not scores.shape[1] or scores.dtype.kind != "f":
        raise CrossModalError(f"{what}: expected floats (n, C), found {scores.dtype} of shape {scores.shape}")
    wrong = np.flatnonzero(np.isnan(scores).any(axis=1) | np.isposinf(scores).any(axis=1))
    if len(wrong):
        raise CrossModalError(f"{what}: row {wrong[0]} holds NaN or +inf ({len(wrong)} such rows)")
    scores = scores.astype(np.float64, copy=False)
    if y is None:
        return scores, np.zeros(0, np.int64)
    y = np.asarray(y)
    if y.shape != (len(scores),) or (len(y) and y.dtype.kind not in "iu"):
        raise CrossModalError(
            f"{what}: expected {len(scores)} integer positions of classes, found {y.dtype} of shape {y.shape}"
        )
    if not len(y):
        raise CrossModalError(f"{what}: expected at least 1 item, found none")
    outside = np.flatnonzero((y < 0) | (y >= scores.shape[1]))
    if len(outside):
        row = outside[0]
        raise CrossModalError(f"{what}: row {row}: expected a class below {scores.shape[1]}, found {y[row]}")
    return scores, y.astype(np.int64)


def _checked_probabilities(what: str, probabilities: np.ndarray, y: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """As `checked_scores`, of probabilities: in [0, 1], rounding allowed for."""
    probabilities, y = checked_scores(what, probabilities, y)
    outside = np.flatnonzero(((probabilities < -1e-6) | (probabilities > 1 + 1e-6)).any(axis=1))
    if len(outside):
        raise CrossModalError(f"{what}: row {outside[0]}: expected probabilities in [0, 1], found others")
    return np.clip(probabilities, 0.0, 1.0), y
