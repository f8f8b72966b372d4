"""How well scores follow graded verdicts: Spearman's and Pearson's correlation, with bootstrap intervals.

Spearman's is Pearson's of the ranks, ties at their middle; it asks for the right order only, and is what benchmarks of
sentence similarity report. Resamples are weights, so ranks are those that the resampled table would have.

Sources: Spearman 1904; Cer et al. 2017, "SemEval-2017 task 1: semantic textual similarity".
"""

from __future__ import annotations

import numpy as np

from cross_modal.errors import CrossModalError
from cross_modal.verification.bootstrap import half_width, resample


def measure_graded(
    scores: np.ndarray,
    graded: np.ndarray,
    owners: tuple[np.ndarray, np.ndarray],
    *,
    resamples: int = 1000,
    seed: int = 0,
) -> dict[str, float]:
    """Correlations of scores with graded verdicts.

    Args:
        scores: (M,) higher is more alike.
        graded: (M,) verdicts, higher is more alike.
        owners: (M,) and (M,) int64: what is independent, for either side of each pair.
        resamples: How many.
        seed: Their seed.

    Returns:
        `verification/spearman`, `verification/pearson` (with `…/ci95` where enough can be resampled), and
        `verification/pairs`.

    Raises:
        CrossModalError: Fewer than three pairs, numbers that are not finite, or all scores or all verdicts the same.

    >>> rows = np.arange(3)
    >>> measure_graded(np.array([0.1, 0.2, 0.9]), np.array([0, 0.5, 1]), (rows, rows))["verification/spearman"]
    1.0
    """
    scores, graded = (_checked(what, values) for what, values in (("scores", scores), ("verdicts", graded)))
    if len(scores) != len(graded):
        raise CrossModalError(f"graded pairs: expected a verdict for each score, found {len(graded)} for {len(scores)}")

    def measured(weights: np.ndarray) -> dict[str, np.ndarray]:
        ranks = weighted_ranks(scores, weights), weighted_ranks(graded, weights)
        return {
            "spearman": _correlation(*ranks, weights),
            "pearson": _correlation(scores[None], graded[None], weights),
        }

    drawn = resample(measured, None, owners, resamples=resamples, seed=seed)
    metrics = {"verification/pairs": float(len(scores))}
    for name, value in measured(np.ones((1, len(scores)))).items():
        metrics[f"verification/{name}"] = value.item()
        if name in drawn and np.isfinite(drawn[name]).mean() >= 0.5:
            metrics[f"verification/{name}/ci95"] = half_width(drawn[name])
    return metrics


def weighted_ranks(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Ranks of values that count several times each, or not at all.

    Args:
        values: (M,).
        weights: (R, M) at least 0.

    Returns:
        (R, M) float64: what stands below, and half of what ties (with the value itself).

    >>> weighted_ranks(np.array([3.0, 1.0, 3.0]), np.ones((1, 3))).tolist()
    [[2.0, 0.5, 2.0]]
    """
    places = np.unique(values, return_inverse=True)[1]
    order = np.argsort(places, kind="stable")
    starts = np.flatnonzero(np.append(True, np.diff(places[order]) != 0))
    tied = np.add.reduceat(weights[:, order], starts, axis=1)
    return (np.cumsum(tied, axis=1) - tied / 2)[:, places]


def _correlation(a: np.ndarray, b: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(R,) Pearson's correlation of (R, M) under weights (R, M); NaN where a resample holds one value only."""
    total = weights.sum(1, keepdims=True)
    a, b = (values - (weights * values).sum(1, keepdims=True) / total for values in (a, b))
    spread = np.sqrt((weights * a * a).sum(1) * (weights * b * b).sum(1))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.clip(np.where(spread > 0, (weights * a * b).sum(1) / spread, np.nan), -1, 1)


def _checked(what: str, values: np.ndarray) -> np.ndarray:
    """(M,) float64, finite, at least three and not all equal, scaled to 0–1 so that no square overflows."""
    values = np.asarray(values)
    if values.ndim != 1 or values.dtype.kind not in "fiub" or len(values) < 3:
        raise CrossModalError(f"graded pairs: {what}: expected three or more, found {values.dtype} {values.shape}")
    values = values.astype(np.float64)
    finite = np.isfinite(values)
    if not finite.all():
        raise CrossModalError(f"graded pairs: {what}: pair {int(finite.argmin())} is not finite")
    least, most = values.min(), values.max()
    if least == most:
        raise CrossModalError(f"graded pairs: {what}: expected at least two different ones, found {least:g} throughout")
    return (values - least) / (most - least)
