"""What every threshold would do: the shares of different and of same pairs that it accepts.

A pair is accepted as the same where its score is at least the threshold. Both shares are taken within their own kind,
so that a table of nine different pairs to one that is the same gives the same rates as a balanced one. Pairs with equal
scores are accepted together: no threshold parts them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cross_modal.errors import CrossModalError


@dataclass(frozen=True)
class OperatingPoints:
    """The rates of every threshold that changes anything, from the strictest to the most lenient.

    Attributes:
        lowest: (T,) float64 lowest score accepted, falling; +∞ in the first, which accepts nothing.
        false_accepts: (R, T) float64 share of the different pairs accepted, from 0 to 1.
        true_accepts: (R, T) float64 share of the same pairs accepted, from 0 to 1.
    """

    lowest: np.ndarray
    false_accepts: np.ndarray
    true_accepts: np.ndarray

    @property
    def false_rejects(self) -> np.ndarray:
        """(R, T) float64 share of the same pairs refused, from 1 to 0."""
        return 1 - self.true_accepts


def operating_points(scores: np.ndarray, same: np.ndarray, weights: np.ndarray | None = None) -> OperatingPoints:
    """The rates of every threshold.

    Args:
        scores: (M,) higher is more alike; finite.
        same: (M,) bool, both kinds.
        weights: (R, M) how often each pair counts, R times over; None counts each once (R = 1).

    Returns:
        One point more than there are distinct scores.

    >>> points = operating_points(np.array([0.9, 0.8, 0.8]), np.array([True, True, False]))
    >>> points.lowest.tolist(), points.false_accepts.tolist(), points.true_accepts.tolist()
    ([inf, 0.9, 0.8], [[0.0, 0.0, 1.0]], [[0.0, 0.5, 1.0]])
    """
    order = np.argsort(-scores, kind="stable")
    falling = scores[order]
    ends = np.flatnonzero(np.append(np.diff(falling) != 0, True))  # ties are accepted together
    counts = (np.ones((1, len(scores))) if weights is None else weights)[:, order]
    true, false = (_share(np.cumsum(counts * kind, axis=1)[:, ends]) for kind in (same[order], ~same[order]))
    return OperatingPoints(np.append(np.inf, falling[ends]).astype(np.float64), false, true)


def check_pairs(what: str, scores: np.ndarray, same: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Checks scored pairs with their verdicts.

    Args:
        what: What the message calls them.
        scores: (M,) numbers.
        same: (M,) bool, or integers that are 0 or 1.

    Returns:
        The scores as (M,) float64, the verdicts as (M,) bool.

    Raises:
        CrossModalError: Shapes that differ, verdicts other than 0 and 1, only one kind of pair, or a score that is not
            finite.

    >>> check_pairs("validation", np.array([0.5, 0.25]), np.array([1, 1]))
    Traceback (most recent call last):
    cross_modal.errors.CrossModalError: validation: expected pairs that are the same and others that are not, found 2 \
same and 0 different
    """
    scores, same = np.asarray(scores), np.asarray(same)
    if scores.ndim != 1 or scores.shape != same.shape or scores.dtype.kind not in "fiu":
        raise CrossModalError(
            f"{what}: expected a score and a verdict a pair, found {scores.dtype} {scores.shape} and {same.shape}"
        )
    if same.dtype.kind != "b":
        wrong = np.flatnonzero(~np.isin(same, (0, 1)))
        if len(wrong):
            raise CrossModalError(f"{what}: pair {wrong[0]}: expected a verdict of 0 or 1, found {same[wrong[0]]}")
        same = same.astype(bool)
    if not len(same) or same.all() or not same.any():
        kinds = f"{int(same.sum())} same and {int((~same).sum())} different"
        raise CrossModalError(f"{what}: expected pairs that are the same and others that are not, found {kinds}")
    finite = np.isfinite(scores)
    if not finite.all():
        raise CrossModalError(f"{what}: pair {int(finite.argmin())} has a score that is not finite")
    return scores.astype(np.float64), same


def _share(counts: np.ndarray) -> np.ndarray:
    """Running counts (R, T) as shares of their last, with the start at none: (R, T + 1)."""
    shares = counts / np.where(counts[:, -1:] > 0, counts[:, -1:], 1)
    return np.concatenate([np.zeros((len(shares), 1)), shares], axis=1)
