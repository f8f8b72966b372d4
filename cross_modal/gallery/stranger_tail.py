"""How often a stranger's best score reaches a level: counted where there is enough to count, fitted where there is not.

A threshold for one false identification in a hundred stands where few strangers ever come. Among 145 identities some
ten thousand pairs can be mistaken for each other, and the one or two that look most alike decide alone where one per
cent of the strangers lie. So the rate is counted only where thirty independent pairs of identities stand above the
threshold. Elsewhere it is continued from the level where there are thirty, by the law that distances follow near zero:
the expected number of identities within a distance r grows as a power of r,

    Λ(r) = −log(1 − FIR(r)) ≈ Λ(u) (r / u)^d,     1 / d = mean of log(u / r) over what lies within u

with d the dimension that the embeddings have for who counts neighbours (the Hill estimator, on distances). Λ is also
what grows in proportion to the size of a gallery, if identities are independent: FIR_N = 1 − (1 − FIR_n)^(N / n).

Where identities come in families, independence expects too many false identifications, so the threshold of a gallery
larger than the cohort is too strict rather than too lax.

Sources: Hill 1975, "A simple general approach to inference about the tail of a distribution"; Amsaleg et al. 2015,
"Estimating local intrinsic dimensionality"; Doddington et al. 2000 (thirty errors settle a rate within a third).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from cross_modal.fewshot.scoring import Metric
from cross_modal.verification.estimate import Estimate, rate_estimate

ENOUGH = 30.0  # independent pairs of identities that settle a rate
HIGHEST = 0.5  # false-identification rate down from which a tail is a tail
_STEP = 1.25
_CHANCES = 64  # draws of multinomial weights held at a time


@dataclass(frozen=True)
class StrangerScores:
    """Scores of strangers with identities that they may be mistaken for, each as often as it is the best one.

    Attributes:
        scores: (E,) float64, falling.
        shares: (E,) float64: the share of strangers whose best score it is; they add up to at most 1.
        strangers: (E,) int64: the identity that the stranger really is.
        taken_for: (E,) int64: the identity that it is most alike to.
        identities: How many identities there are.
    """

    scores: np.ndarray
    shares: np.ndarray
    strangers: np.ndarray
    taken_for: np.ndarray
    identities: int


@dataclass(frozen=True)
class StrangerTail:
    """Rates from scores, and scores from rates.

    Attributes:
        metric: Of the scores: what a distance is.
        counted: The scores and their shares, to the level where the fit begins (all of them where nothing is fitted).
        level: The false-identification rate where the fit begins; 0 where everything is counted.
        distance: u, the distance at that level.
        dimension: d.
        growth: Galleries are this many times as large as those that were played through.
        settled: Whether there were thirty independent pairs anywhere in the tail.
    """

    metric: Metric
    counted: StrangerScores
    level: float
    distance: float
    dimension: float
    growth: float = 1.0
    settled: bool = True

    @property
    def fitted(self) -> bool:
        """Whether anything is."""
        return self.level > 0

    def threshold(self, rate: float) -> float:
        """The lowest threshold that strangers reach at most this often.

        Args:
            rate: False-identification rate in a gallery of the full size, between 0 and 1.

        Returns:
            A threshold h; a score of at least h is accepted.
        """
        goal = _within(rate, self.growth)
        if self.fitted and goal < self.level:
            inner = self.distance * (np.log1p(-goal) / np.log1p(-self.level)) ** (1 / self.dimension)
            return float(_score(inner, self.metric))
        above = np.cumsum(self.counted.shares) <= goal * (1 + 1e-9)
        first = min(int(above.sum()), len(above) - 1)  # the highest score that must be refused
        return float(np.nextafter(self.counted.scores[first], np.inf))

    def rate(self, thresholds: np.ndarray) -> np.ndarray:
        """How often a stranger's best score reaches thresholds.

        Args:
            thresholds: Any shape.

        Returns:
            Float64 of that shape: rates in a gallery of the full size.
        """
        thresholds = np.asarray(thresholds, np.float64)
        cumulated = np.append(0.0, np.cumsum(self.counted.shares))
        rates = cumulated[np.searchsorted(-self.counted.scores, -thresholds, side="right")]
        if self.fitted:
            ratio = _distance(thresholds, self.metric) / self.distance
            deep = -np.expm1(np.log1p(-self.level) * np.clip(ratio, 0, 1) ** self.dimension)
            rates = np.where(ratio <= 1, deep, rates)
        return -np.expm1(np.log1p(-np.minimum(rates, 1 - 1e-12)) * self.growth)

    def estimate(self, threshold: float, *, resamples: int = 400, seed: int = 0) -> Estimate:
        """The rate at a threshold with the interval that other identities would have given, by bootstrap over them.

        A pair of identities counts as often as the one and the other were drawn, multiplied.
        """
        scores, count = self.counted, self.counted.identities
        value = float(self.rate(np.array(threshold)))
        inner = float(_distance(threshold, self.metric))
        fitted = self.fitted and inner < self.distance
        within = scores.scores > _score(self.distance, self.metric) if fitted else scores.scores >= threshold
        pairs = scores.strangers[within], scores.taken_for[within]
        shares = scores.shares[within]
        if not len(shares):
            return rate_estimate(value, None, count)
        number = csr_array((shares, pairs), shape=(count, count))
        logs = (
            np.log(self.distance / np.maximum(_distance(scores.scores[within], self.metric), 1e-9))
            if fitted
            else shares
        )
        length = csr_array((shares * logs, pairs), shape=(count, count))
        generator = np.random.default_rng(seed)
        drawn = []
        for start in range(0, resamples, _CHANCES):
            times = generator.multinomial(count, np.full(count, 1 / count), min(_CHANCES, resamples - start)).astype(
                float
            )
            possible = (times.sum(1) ** 2 - np.square(times).sum(1)) / (count * (count - 1))
            rates = ((times @ number) * times).sum(1) / possible
            usable = rates > 0
            rates = np.clip(rates, 0, 1 - 1e-9)
            if fitted:
                mean = ((times @ length) * times).sum(1)[usable] / possible[usable] / rates[usable]
                power = (inner / self.distance) ** (1 / np.maximum(mean, 1e-9))
                rates[usable] = -np.expm1(np.log1p(-rates[usable]) * power)
            drawn.append(-np.expm1(np.log1p(-rates) * self.growth))
        return rate_estimate(value, np.concatenate(drawn), count)


def stranger_tail(found: StrangerScores, rate: float, metric: Metric, growth: float = 1.0) -> StrangerTail:
    """Decides from where on the rates are fitted, and fits them.

    Args:
        found: What strangers scored, falling.
        rate: The rate that matters, in a gallery of the full size.
        metric: Of the scores.
        growth: How many times as large that gallery is as those of `found`.

    Returns:
        The tail.
    """
    cumulated = np.cumsum(found.shares)
    pairs = np.minimum(found.strangers, found.taken_for) * found.identities
    pairs = np.unique(pairs + np.maximum(found.strangers, found.taken_for), return_inverse=True)[1]
    goal = level = _within(rate, growth)
    settled = False
    while not settled:
        upto = min(int(np.searchsorted(cumulated, level * (1 + 1e-9), side="right")), len(cumulated) - 1)
        settled = bool(upto) and _independent(pairs[:upto], found.shares[:upto]) >= ENOUGH
        if settled or level >= HIGHEST:
            break
        level = min(level * _STEP, HIGHEST)
    everything = StrangerTail(metric, found, 0.0, 0.0, 0.0, growth, settled)
    edge = float(_distance(found.scores[upto], metric))
    if level <= goal or upto < 2 or edge <= 0:
        return everything
    inner = np.maximum(_distance(found.scores[:upto], metric), edge * 1e-6)
    hazard = -np.log1p(-np.minimum(cumulated[:upto], 1 - 1e-12))
    mean = float((np.diff(hazard, prepend=0.0) * np.log(edge / inner)).sum() / hazard[-1])
    if not mean > 0:  # all at one distance
        return everything
    return StrangerTail(metric, found, float(cumulated[upto - 1]), edge, 1 / mean, growth, settled)


def _within(rate: float, growth: float) -> float:
    """The rate in the smaller gallery that gives a rate in one that is `growth` times as large."""
    return float(-np.expm1(np.log1p(-rate) / growth))


def _independent(pairs: np.ndarray, shares: np.ndarray) -> float:
    """The effective number of pairs of identities: (Σ c)² / Σ c² (Kish)."""
    mass = np.bincount(pairs, shares)
    return float(mass.sum() ** 2 / np.square(mass).sum())


def _distance(scores: np.ndarray | float, metric: Metric) -> np.ndarray:
    """Cosine as the length of the chord, else what minus the score is."""
    scores = np.asarray(scores, np.float64)
    return np.sqrt(np.maximum(2 - 2 * scores, 0)) if metric == "cosine" else np.maximum(-scores, 0)


def _score(distances: np.ndarray | float, metric: Metric) -> np.ndarray:
    distances = np.asarray(distances, np.float64)
    return 1 - np.square(distances) / 2 if metric == "cosine" else -distances
