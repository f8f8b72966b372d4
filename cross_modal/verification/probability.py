"""From a score to the probability that a pair is the same, by Platt's sigmoid or by isotonic regression.

    Platt:     P(same | s) = 1 / (1 + exp(−(slope · s + intercept))),  slope ≥ 0
    isotonic:  the rising step function of least squares, joined by straight lines

Both are fitted to Platt's smoothed verdicts, (n₊ + 1) / (n₊ + 2) for n₊ same pairs and 1 / (n₋ + 2) for n₋ different
ones, instead of 1 and 0: n pairs show no more than that, so no probability is ever exactly 0 or 1, and scores that
part the kinds perfectly have a slope.

A probability depends on how often pairs are the same. Same and different pairs are weighed so that the first make up
the `prior` (a half unless said otherwise), whatever their share among the pairs given.

Isotonic regression follows any rising shape and needs many pairs for it, a thousand or so (Niculescu-Mizil, Caruana
2005, "Predicting good probabilities with supervised learning"); Platt's two numbers need few.

Sources: Platt 1999, "Probabilistic outputs for support vector machines"; Zadrozny, Elkan 2002 (isotonic); Naeini,
Cooper, Hauskrecht 2015 (calibration error of binary outcomes).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from scipy.special import expit, logit
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from cross_modal.errors import CrossModalError
from cross_modal.verification.operating_points import check_pairs
from cross_modal.verification.threshold import check_prior

Method = Literal["platt", "isotonic"]
METHODS: tuple[Method, ...] = ("platt", "isotonic")
FOLDS = 5
MANY = 1000  # pairs that isotonic regression wants


@dataclass(frozen=True)
class ProbabilityMap:
    """A rising map from scores to probabilities.

    Attributes:
        method: "platt" or "isotonic".
        prior: Share of same pairs that the probabilities assume.
        slope: Of Platt's sigmoid, at least 0; 0 where scores say nothing, or the wrong thing.
        intercept: Of Platt's sigmoid.
        scores: Rising knots of the isotonic function.
        probabilities: Its values there, rising.
    """

    method: Method
    prior: float = 0.5
    slope: float = 0.0
    intercept: float = 0.0
    scores: tuple[float, ...] = ()
    probabilities: tuple[float, ...] = ()

    def __call__(self, scores: np.ndarray) -> np.ndarray:
        """Probabilities that pairs are the same.

        Args:
            scores: Any shape; ±∞ allowed, NaN not.

        Returns:
            Float64 of the same shape, in [0, 1] and never NaN.

        Raises:
            CrossModalError: A score that is NaN.

        >>> ProbabilityMap("platt", slope=2.0, intercept=-1.0)(np.array([0.5, -np.inf])).tolist()
        [0.5, 0.0]
        """
        scores = np.asarray(scores, np.float64)
        if np.isnan(scores).any():
            raise CrossModalError(f"probability: score {int(np.isnan(scores).ravel().argmax())} is not a number")
        if self.method == "isotonic":
            return np.interp(scores, self.scores, self.probabilities)
        if self.slope == 0:
            return np.full(scores.shape, expit(self.intercept))
        with np.errstate(over="ignore"):  # a huge score is as sure as an infinite one
            return expit(self.slope * scores + self.intercept)

    def to_dict(self) -> dict[str, Any]:
        """As JSON-able primitives, for `from_dict`."""
        kept: dict[str, Any] = {"method": self.method, "prior": self.prior}
        if self.method == "platt":
            return kept | {"slope": self.slope, "intercept": self.intercept}
        return kept | {"scores": list(self.scores), "probabilities": list(self.probabilities)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ProbabilityMap:
        """Reads what `to_dict` wrote.

        Raises:
            CrossModalError: Something else, or a map that does not rise.
        """
        try:
            found = cls(
                values["method"],
                float(values["prior"]),
                float(values.get("slope", 0.0)),
                float(values.get("intercept", 0.0)),
                tuple(float(score) for score in values.get("scores", ())),
                tuple(float(probability) for probability in values.get("probabilities", ())),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise CrossModalError(f"probability map: expected what to_dict wrote, found {error!r}") from None
        knots, heights = np.array(found.scores), np.array(found.probabilities)
        finite = np.isfinite([found.slope, found.intercept, *knots, *heights]).all()
        shape = len(knots) == len(heights) and (found.method == "platt" or len(knots) > 0)
        if found.method not in METHODS or not finite or not shape or not 0 < found.prior < 1:
            raise CrossModalError(
                f"probability map: expected a finite map by one of {', '.join(METHODS)}, found another"
            )
        if found.slope < 0 or (np.diff(knots) < 0).any() or (np.diff(heights) < 0).any():
            raise CrossModalError("probability map: expected one that rises with the score, found one that falls")
        return found


def fit_probability(
    scores: np.ndarray, same: np.ndarray, method: Method = "platt", prior: float = 0.5
) -> ProbabilityMap:
    """Fits a map from scores to probabilities.

    Args:
        scores: (M,) higher is more alike.
        same: (M,) bool, both kinds.
        method: "platt" or "isotonic".
        prior: Share of same pairs where probabilities will be asked for, between 0 and 1.

    Returns:
        A map that never falls. Scores that run the wrong way, or are all equal, get the prior for every pair.

    Raises:
        CrossModalError: An unknown method, a prior out of range, or pairs that cannot be measured.

    >>> to_probability = fit_probability(np.array([0.9, 0.8, 0.2, 0.1]), np.array([True, True, False, False]))
    >>> to_probability(np.array([0.5])).round(3).tolist()
    [0.5]
    """
    check_prior("probability", prior)
    if method not in METHODS:
        raise CrossModalError(f"probability: expected one of {', '.join(METHODS)}, found {method!r}")
    scores, same = check_pairs("probability", scores, same)
    weights = pair_weights(same, prior)
    targets = np.where(same, (same.sum() + 1) / (same.sum() + 2), 1 / ((~same).sum() + 2))
    if method == "isotonic":
        fitted = IsotonicRegression(out_of_bounds="clip").fit(scores, targets, sample_weight=weights)
        knots, heights = fitted.X_thresholds_, np.maximum.accumulate(fitted.y_thresholds_)
        return ProbabilityMap(
            "isotonic",
            prior,
            scores=tuple(float(knot) for knot in knots),
            probabilities=tuple(float(height) for height in heights),
        )
    slope, intercept = _sigmoid(scores, targets, weights)
    if slope <= 0 or not np.isfinite([slope, intercept]).all():
        return ProbabilityMap("platt", prior, 0.0, float(logit(prior)))
    return ProbabilityMap("platt", prior, slope, intercept)


def pair_weights(same: np.ndarray, prior: float) -> np.ndarray:
    """(M,) float64 weights under which the same pairs make up the prior; their mean is 1.

    >>> pair_weights(np.array([True, False, False, False]), 0.5).round(3).tolist()
    [2.0, 0.667, 0.667, 0.667]
    """
    return len(same) * np.where(same, prior / same.sum(), (1 - prior) / (~same).sum())


def probability_error(probabilities: np.ndarray, same: np.ndarray, prior: float = 0.5, bins: int = 15) -> float:
    """Expected calibration error: how far probabilities lie from how often pairs really are the same.

    ECE = Σ_b |Σ_{i in b} w_i (same_i − p_i)| / Σ w, over bins of equal width, with weights that give the same pairs
    the share `prior`.

    Args:
        probabilities: (M,) floats in [0, 1].
        same: (M,) bool, both kinds.
        prior: Share of same pairs that the probabilities assume.
        bins: How many.

    Returns:
        A number in [0, 1].

    >>> probability_error(np.array([0.75, 0.75, 0.25, 0.25]), np.array([True, True, False, False]))
    0.25
    """
    bin_of = np.clip(np.ceil(probabilities * bins).astype(np.int64) - 1, 0, bins - 1)
    weights = pair_weights(same, prior)
    gaps = np.bincount(bin_of, weights=weights * (same - probabilities), minlength=bins)
    return float(np.abs(gaps).sum() / weights.sum())


def held_out_probabilities(
    scores: np.ndarray,
    same: np.ndarray,
    owners: tuple[np.ndarray, np.ndarray],
    method: Method = "platt",
    prior: float = 0.5,
    seed: int = 0,
) -> np.ndarray | None:
    """Probabilities of pairs from maps that were fitted without the owner of one of their items.

    The error of a map on the pairs that it was fitted to says little; isotonic regression's is nearly none by design.
    Whose item stands first does not matter: of a pair's two folds the lower one is held out.

    Args:
        scores: (M,) higher is more alike.
        same: (M,) bool, both kinds.
        owners: (M,) and (M,) int64: what is independent, for either side of each pair.
        method: "platt" or "isotonic".
        prior: Share of same pairs.
        seed: Of the owners' folds.

    Returns:
        (M,) float64; None where some fold leaves only one kind of pair.
    """
    numbers = np.unique(np.concatenate(owners), return_inverse=True)[1]
    fold = np.random.default_rng(seed).permutation(int(numbers.max()) + 1) % FOLDS
    first, second = fold[numbers[: len(scores)]], fold[numbers[len(scores) :]]
    out = np.minimum(first, second)
    found = np.full(len(scores), np.nan)
    for held in np.unique(out).tolist():
        rest = (first != held) & (second != held)
        if not same[rest].any() or same[rest].all():
            return None
        found[out == held] = fit_probability(scores[rest], same[rest], method, prior)(scores[out == held])
    return found


def _sigmoid(scores: np.ndarray, targets: np.ndarray, weights: np.ndarray) -> tuple[float, float]:
    """Slope and intercept of the likeliest sigmoid; a verdict t weighs t as a same pair, 1 − t as a different one."""
    centre, spread = float(np.average(scores, weights=weights)), float(scores.std())
    if not spread > 1e-12 * max(float(np.abs(scores).max()), 1e-300):
        return 0.0, 0.0
    table = np.tile((scores - centre) / spread, 2)[:, None]
    verdicts = np.repeat([1, 0], len(scores))
    fitted = LogisticRegression(C=np.inf, solver="newton-cholesky", tol=1e-10, max_iter=500).fit(
        table, verdicts, sample_weight=np.concatenate([weights * targets, weights * (1 - targets)])
    )
    slope = float(fitted.coef_[0, 0]) / spread
    return slope, float(fitted.intercept_[0]) - slope * centre
