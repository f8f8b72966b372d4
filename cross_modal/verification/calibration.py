"""What a model needs to answer "same or not" later: thresholds, probabilities, and the error rates to expect of them.

A calibration is learned once, on validation pairs whose items the model was not trained on, and kept with the model. It
is plain numbers: what `to_dict` gives is JSON.

Rates are taken within each kind of pair, so that nine different pairs to one that is the same move no threshold; the
imbalance is reported. Intervals are bootstrapped over identities (see `bootstrap`), at the threshold as it is.

Sources: ISO/IEC 19795-1 (rates of verification); Doddington et al. 2000, "The NIST speaker recognition evaluation"
(thirty errors settle a rate within a third, with 90 % confidence).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np

from cross_modal.errors import CrossModalError
from cross_modal.fewshot.scoring import Metric
from cross_modal.verification.estimate import Estimate
from cross_modal.verification.identity_spread import IdentitySpread
from cross_modal.verification.probability import ProbabilityMap

FORMAT = 1
CHOSEN = "chosen"


@dataclass(frozen=True)
class DecisionPoint:
    """A threshold and what to expect of it.

    Attributes:
        threshold: Pairs with at least this score are the same.
        false_accept: Share of different pairs taken for the same.
        false_reject: Share of same pairs taken for different.
        accuracy: Share of right decisions where both kinds are equally frequent.
    """

    threshold: float
    false_accept: Estimate
    false_reject: Estimate
    accuracy: Estimate


@dataclass(frozen=True)
class Decision:
    """Answers.

    Attributes:
        same: Bool, one a score.
        probability: Float64, one a score: that the pair is the same.
        threshold: What decided.
        false_accept: Error rate to expect: different pairs taken for the same.
        false_reject: Error rate to expect: same pairs taken for different.
    """

    same: np.ndarray
    probability: np.ndarray
    threshold: float
    false_accept: Estimate
    false_reject: Estimate


@dataclass(frozen=True)
class Calibration:
    """Everything that a decision needs.

    Attributes:
        metric: How embeddings are scored: "cosine", or "euclidean" for minus the distance.
        points: Thresholds with their error rates: "chosen", "equal_error", and "false_accept_rate_0.1", "…_0.01",
            "…_0.001" where there are pairs enough to show such a rate.
        chosen_by: What "chosen" was chosen by: "false accepts of at most 1 %".
        probability: From score to probability.
        eer: Equal error rate.
        auc: Area under the ROC curve.
        ece: Expected calibration error of the probabilities, on identities held out where that was possible.
        same_pairs: How many.
        different_pairs: How many.
        identities: How many owners were resampled.
        identity_kind: What they are: "label", "group", "component" or "item".
        spread: How identities differ, for thresholds of their own; None where that could not be measured.
        notes: What limits these numbers, a sentence each.
    """

    metric: Metric
    points: Mapping[str, DecisionPoint]
    chosen_by: str
    probability: ProbabilityMap
    eer: Estimate
    auc: Estimate
    ece: float
    same_pairs: int
    different_pairs: int
    identities: int
    identity_kind: str
    spread: IdentitySpread | None = None
    notes: tuple[str, ...] = ()

    @property
    def threshold(self) -> float:
        """The chosen threshold."""
        return self.points[CHOSEN].threshold

    @property
    def thresholds(self) -> dict[str, float]:
        """All of them, by name."""
        return {name: point.threshold for name, point in self.points.items()}

    def point(self, at: str = CHOSEN) -> DecisionPoint:
        """A threshold by name.

        Raises:
            CrossModalError: There is none of that name.
        """
        if at not in self.points:
            raise CrossModalError(f"calibration: threshold {at!r}: expected one of {', '.join(self.points)}")
        return self.points[at]

    def decide(self, scores: np.ndarray, at: str = CHOSEN) -> Decision:
        """Answers for scored pairs.

        Args:
            scores: Any shape; higher is more alike.
            at: Which threshold.

        Returns:
            The answers.

        Raises:
            CrossModalError: A score that is not a number, or a threshold of no such name.
        """
        point = self.point(at)
        scores = np.asarray(scores, np.float64)
        probability = self.probability(scores)
        return Decision(scores >= point.threshold, probability, point.threshold, point.false_accept, point.false_reject)

    def metrics(self, prefix: str = "calibration") -> dict[str, float]:
        """Name → number, half-widths under `…/ci95`."""
        chosen = self.points[CHOSEN]
        estimates = {
            "eer": self.eer,
            "auc": self.auc,
            "accuracy": chosen.accuracy,
            "false_accept_rate": chosen.false_accept,
            "false_reject_rate": chosen.false_reject,
        }
        found = {"threshold": self.threshold, "ece": self.ece}
        for name, estimate in estimates.items():
            found |= {name: estimate.value, f"{name}/ci95": estimate.half_width}
        counts = {"same_pairs": self.same_pairs, "different_pairs": self.different_pairs, "identities": self.identities}
        found |= {name: float(count) for name, count in counts.items()}
        return {f"{prefix}/{name}": value for name, value in found.items()}

    def to_dict(self) -> dict[str, Any]:
        """As JSON-able primitives, for `from_dict`."""
        rates = ("false_accept", "false_reject", "accuracy")
        return {
            "format": FORMAT,
            "metric": self.metric,
            "points": {
                name: {"threshold": point.threshold} | {rate: getattr(point, rate).to_list() for rate in rates}
                for name, point in self.points.items()
            },
            "chosen_by": self.chosen_by,
            "probability": self.probability.to_dict(),
            "eer": self.eer.to_list(),
            "auc": self.auc.to_list(),
            "ece": self.ece,
            "same_pairs": self.same_pairs,
            "different_pairs": self.different_pairs,
            "identities": self.identities,
            "identity_kind": self.identity_kind,
            "spread": None if self.spread is None else self.spread.to_dict(),
            "notes": list(self.notes),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Calibration:
        """Reads what `to_dict` wrote.

        Raises:
            CrossModalError: Something else, of a later version, or damaged.
        """
        if not isinstance(values, Mapping) or values.get("format") != FORMAT:
            found = values.get("format") if isinstance(values, Mapping) else type(values).__name__
            raise CrossModalError(f"calibration: expected format {FORMAT}, found {found!r}")
        try:
            return cls(
                metric=_metric(values["metric"]),
                points=_points(values["points"]),
                chosen_by=str(values["chosen_by"]),
                probability=ProbabilityMap.from_dict(values["probability"]),
                eer=Estimate.from_list(values["eer"]),
                auc=Estimate.from_list(values["auc"]),
                ece=_finite("ece", values["ece"]),
                same_pairs=int(values["same_pairs"]),
                different_pairs=int(values["different_pairs"]),
                identities=int(values["identities"]),
                identity_kind=str(values["identity_kind"]),
                spread=None if values["spread"] is None else IdentitySpread.from_dict(values["spread"]),
                notes=tuple(str(note) for note in values["notes"]),
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise CrossModalError(f"calibration: expected what to_dict wrote, found {error!r}") from None


def _metric(name: Any) -> Metric:
    if name not in get_args(Metric):
        raise CrossModalError(f"calibration: metric: expected one of {', '.join(get_args(Metric))}, found {name!r}")
    return name


def _points(values: Mapping[str, Mapping[str, Any]]) -> dict[str, DecisionPoint]:
    found = {
        name: DecisionPoint(
            _finite(f"threshold {name}", point["threshold"]),
            *(Estimate.from_list(point[rate]) for rate in ("false_accept", "false_reject", "accuracy")),
        )
        for name, point in values.items()
    }
    if CHOSEN not in found:
        raise CrossModalError(f"calibration: expected a threshold {CHOSEN!r}, found {', '.join(found) or 'none'}")
    return found


def _finite(what: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not np.isfinite(value):
        raise CrossModalError(f"calibration: {what}: expected a finite number, found {value!r}")
    return float(value)
