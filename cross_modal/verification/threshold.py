"""Where the line between same and different runs: at a false-accept rate, where errors are equal, or for given costs.

A pair is accepted where its score is at least the threshold. Between two neighbouring scores every threshold decides
alike; the middle is taken, so that a score which moves by a rounding error decides nothing.

Sources: Martin et al. 1997 (equal error rate, DET); Duda, Hart, Stork 2001, "Pattern classification", section 2.2, and
NIST's detection cost function (costs with a prior).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cross_modal.errors import CrossModalError
from cross_modal.verification.operating_points import OperatingPoints, check_pairs, operating_points

_SLACK = 1e-12  # shares are sums of floats


@dataclass(frozen=True)
class Costs:
    """What errors cost, and how often pairs are the same where decisions are made.

    Attributes:
        false_accept: Cost of taking a different pair for the same.
        false_reject: Cost of taking a same pair for different.
        prior: Share of pairs that are the same where decisions are made, between 0 and 1; that of the validation pairs
            says nothing about it.

    Raises:
        CrossModalError: A cost that is not positive, or a prior outside (0, 1).

    >>> Costs(false_accept=10).expected(0.01, 0.25)
    0.175
    """

    false_accept: float = 1.0
    false_reject: float = 1.0
    prior: float = 0.5

    def __post_init__(self) -> None:
        for name in ("false_accept", "false_reject"):
            cost = getattr(self, name)
            if not 0 < cost < np.inf:
                raise CrossModalError(f"costs: {name}: expected a number above 0, found {cost}")
        check_prior("costs", self.prior)

    def expected(self, false_accepts: float, false_rejects: float) -> float:
        """Cost of one decision at these error rates."""
        return self.false_reject * self.prior * false_rejects + self.false_accept * (1 - self.prior) * false_accepts


def check_prior(what: str, prior: float) -> float:
    """The share of pairs that are the same, as it came.

    Raises:
        CrossModalError: It is not between 0 and 1.
    """
    if not 0 < prior < 1:
        raise CrossModalError(f"{what}: expected a prior between 0 and 1, found {prior}")
    return prior


def check_rate(rate: float) -> float:
    """A false-accept rate, as it came.

    Raises:
        CrossModalError: It is not between 0 and 1.
    """
    if not 0 < rate < 1:
        raise CrossModalError(f"threshold: expected a false-accept rate between 0 and 1, found {rate}")
    return rate


def threshold_at_false_accept_rate(scores: np.ndarray, same: np.ndarray, rate: float) -> float:
    """The lowest threshold at which at most this share of the different pairs is accepted.

    Where n different pairs are fewer than 1 / rate, none of them is accepted: they are too few to show more.

    Args:
        scores: (M,) higher is more alike.
        same: (M,) bool, both kinds.
        rate: Between 0 and 1.

    Raises:
        CrossModalError: A rate out of range, or pairs that cannot be measured.

    >>> threshold_at_false_accept_rate(np.array([0.9, 0.5, 0.3]), np.array([True, False, False]), 0.5)
    0.4
    """
    check_rate(rate)
    points = _points(scores, same)
    return _between(points, int(np.flatnonzero(points.false_accepts[0] <= rate + _SLACK)[-1]))


def threshold_at_equal_error(scores: np.ndarray, same: np.ndarray) -> float:
    """The threshold at which false accepts and false rejects are nearest to each other.

    Args:
        scores: (M,) higher is more alike.
        same: (M,) bool, both kinds.

    Raises:
        CrossModalError: Pairs that cannot be measured.

    >>> threshold_at_equal_error(np.array([0.75, 0.25]), np.array([True, False]))
    0.5
    """
    points = _points(scores, same)
    false, missed = points.false_accepts[0], points.false_rejects[0]
    return _between(points, _best(points, np.abs(false - missed) + 1e-6 * (false + missed)))


def threshold_for_costs(scores: np.ndarray, same: np.ndarray, costs: Costs) -> float:
    """The threshold whose decisions cost least, if errors cost what they are said to cost.

    expected cost = C_fr · P(same) · FRR + C_fa · (1 − P(same)) · FAR

    Args:
        scores: (M,) higher is more alike.
        same: (M,) bool, both kinds.
        costs: Of the two errors, with the share of same pairs.

    Raises:
        CrossModalError: Pairs that cannot be measured.

    >>> scores, same = np.array([0.9, 0.6, 0.4, 0.1]), np.array([True, False, True, False])
    >>> threshold_for_costs(scores, same, Costs(false_accept=10)), threshold_for_costs(scores, same, Costs(1, 10))
    (0.75, 0.25)
    """
    points = _points(scores, same)
    refused = costs.false_reject * costs.prior * points.false_rejects[0]
    return _between(points, _best(points, refused + costs.false_accept * (1 - costs.prior) * points.false_accepts[0]))


def rates_at(
    scores: np.ndarray, same: np.ndarray, thresholds: np.ndarray, weights: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Error rates of given thresholds.

    Args:
        scores: (M,) higher is more alike.
        same: (M,) bool, both kinds.
        thresholds: (P,).
        weights: (R, M) how often each pair counts, R times over; None counts each once (R = 1).

    Returns:
        (R, P) float64 false-accept rates and (R, P) float64 false-reject rates, each within its own kind.

    >>> rates_at(np.array([0.9, 0.4, 0.6]), np.array([True, True, False]), np.array([0.5]))
    (array([[1.]]), array([[0.5]]))
    """
    accepted = (scores[:, None] >= thresholds[None, :]).astype(np.float64)
    counts = np.ones((1, len(scores))) if weights is None else weights
    false, missed = (
        counts[:, kind] @ outcome[kind] / counts[:, kind].sum(1, keepdims=True)
        for kind, outcome in ((~same, accepted), (same, 1 - accepted))
    )
    return false, missed


def _points(scores: np.ndarray, same: np.ndarray) -> OperatingPoints:
    return operating_points(*check_pairs("threshold", scores, same))


def _best(points: OperatingPoints, cost: np.ndarray) -> int:
    """The cheapest point; of several the one with the widest gap below it."""
    gaps = np.append(np.append(0.0, -np.diff(points.lowest[1:])), 0.0)  # nothing accepted, and everything: no gap
    tied = np.flatnonzero(cost <= cost.min() + _SLACK)
    return int(tied[gaps[tied].argmax()])


def _between(points: OperatingPoints, at: int) -> float:
    """The middle of the thresholds that accept what point `at` accepts; past the last score, half the last gap away."""
    scores = points.lowest[1:]
    if 0 < at < len(scores):
        middle = float(scores[at] + (scores[at - 1] - scores[at]) / 2)
        return middle if middle > scores[at] else float(scores[at - 1])  # neighbouring floats have no middle
    edge, inner = (scores[0], scores[1:2]) if at == 0 else (scores[-1], scores[-2:-1])
    gap = float(np.abs(edge - inner[0])) / 2 if len(inner) else 0.0
    if at:
        return float(edge - gap)
    return max(float(edge + gap), float(np.nextafter(edge, np.inf)))
