"""How well scores tell same from different: equal error rate, area under the curve, accepts at a false-accept rate.

Intervals are bootstrapped over what is independent, which pairs are not: a person with a bad picture spoils every pair
that the picture is in. So owners are resampled (classes, items, or groups of connected pairs), and a pair counts as
often as its owner was drawn, or as the product of its two owners.

Source: Martin et al. 1997, "The DET curve in assessment of detection task performance"; the bootstrap: Poh, Martin,
Bengio 2007, "Performance generalization in biometric authentication using joint user-specific and sample bootstraps".
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cross_modal.data.components import connected_components
from cross_modal.errors import CrossModalError
from cross_modal.fewshot.scoring import Metric, place

ENOUGH, LARGEST = 20, 0.2  # groups of connected pairs that can be resampled, and the share that one may have of all
FALSE_ACCEPTS = 0.01
_CELLS = 1 << 22  # weights held at a time
RATES = ("eer", "auc", "true_accepts_at_1_percent")


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


def error_rates(scores: np.ndarray, same: np.ndarray, weights: np.ndarray | None = None) -> dict[str, np.ndarray]:
    """Equal error rate, area under the ROC curve, and the share of same pairs accepted at 1 % false accepts.

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
    order = np.argsort(-scores, kind="stable")
    ends = np.flatnonzero(np.append(np.diff(scores[order]) != 0, True))  # ties are accepted together
    counts = (np.ones((1, len(scores))) if weights is None else weights)[:, order]
    right, accepted = (_share(np.cumsum(counts * kind, axis=1)[:, ends]) for kind in (same[order], ~same[order]))
    missed = 1 - right
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


def measure_verification(
    scores: np.ndarray,
    same: np.ndarray,
    owners: tuple[np.ndarray, np.ndarray],
    *,
    resamples: int = 1000,
    seed: int = 0,
) -> VerificationResult:
    """Measures scored pairs, with bootstrap intervals.

    Args:
        scores: (M,) higher is more alike.
        same: (M,) bool.
        owners: (M,) and (M,) int64: what is independent, for either side of each pair.
        resamples: How many.
        seed: Their seed.

    Raises:
        CrossModalError: Only one kind of pair, or a score that is not finite.
    """
    if not len(same) or same.all() or not same.any():
        kinds = f"{int(same.sum())} same and {int((~same).sum())} different"
        raise CrossModalError(f"verification: expected pairs that are the same and others that are not, found {kinds}")
    if not np.isfinite(scores).all():
        raise CrossModalError(f"verification: pair {int(np.isfinite(scores).argmin())} has a score that is not finite")
    halves = _half_widths(scores, same, owners, resamples, seed)
    metrics = {"verification/pairs": float(len(same)), "verification/same_pairs": float(same.sum())}
    for name, value in error_rates(scores, same).items():
        metrics[f"verification/{name}"] = value.item()
        if name in halves:
            metrics[f"verification/{name}/ci95"] = halves[name]
    return VerificationResult(metrics, scores, same)


def pair_scores(a: np.ndarray, b: np.ndarray, metric: Metric) -> np.ndarray:
    """(M,) float64: cosine, or minus the Euclidean distance, row by row of (M, dim); NaN where one is missing."""
    if metric == "cosine":
        return (place(a, metric) * place(b, metric)).sum(1, dtype=np.float64)
    return -np.linalg.norm((a - b).astype(np.float64), axis=1)


def owners_of(a: list[str], b: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """What is independent among pairs of items that nothing else is known of.

    Args:
        a: (M,) what each pair's first item is called.
        b: (M,) its second.

    Returns:
        Groups of connected pairs, where there are enough and none holds most of them; else the items themselves.

    >>> owners_of(["a", "b"], ["b", "c"])[1].tolist()
    [1, 2]
    """
    groups = np.unique(connected_components(a, b), return_inverse=True)[1]
    sizes = np.bincount(groups)
    if len(sizes) >= ENOUGH and sizes.max() <= LARGEST * len(a):
        return groups, groups
    items = np.unique([*a, *b], return_inverse=True)[1]
    return items[: len(a)], items[len(a) :]


def _share(counts: np.ndarray) -> np.ndarray:
    """Running counts (R, T) as shares of their last, with the start at none: (R, T + 1)."""
    shares = counts / np.where(counts[:, -1:] > 0, counts[:, -1:], 1)
    return np.concatenate([np.zeros((len(shares), 1)), shares], axis=1)


def _half_widths(
    scores: np.ndarray, same: np.ndarray, owners: tuple[np.ndarray, np.ndarray], resamples: int, seed: int
) -> dict[str, float]:
    """Half of what holds the central 95 % of the resampled rates; resamples without both kinds are left out."""
    generator = np.random.default_rng(seed)
    count = int(max(owner.max() for owner in owners)) + 1
    drawn: dict[str, list[np.ndarray]] = {name: [] for name in RATES}
    left = resamples
    while left:
        taken = min(left, max(_CELLS // len(same), 1))
        left -= taken
        # as often as each owner is drawn when as many are drawn as there are
        times = generator.multinomial(count, np.full(count, 1 / count), taken)
        a, b = (times[:, owner] for owner in owners)
        weights = np.where(owners[0] == owners[1], a, a * b).astype(np.float64)
        usable = (weights[:, same].sum(1) > 0) & (weights[:, ~same].sum(1) > 0)
        for name, rates in error_rates(scores, same, weights[usable]).items():
            drawn[name].append(rates)
    found = {name: np.concatenate(rates) for name, rates in drawn.items()}
    return {
        name: float(np.subtract(*np.percentile(rates, [97.5, 2.5]))) / 2
        for name, rates in found.items()
        if len(rates) >= resamples / 2
    }
