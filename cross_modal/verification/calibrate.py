"""Learns a calibration from scored validation pairs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from cross_modal.fewshot.scoring import Metric
from cross_modal.verification.bootstrap import ENOUGH, Owners, resample
from cross_modal.verification.calibration import CHOSEN, Calibration, DecisionPoint
from cross_modal.verification.error_rates import error_rates
from cross_modal.verification.estimate import Estimate, rate_estimate
from cross_modal.verification.identity_spread import IdentitySpread, identity_spread
from cross_modal.verification.operating_points import check_pairs
from cross_modal.verification.probability import (
    MANY,
    Method,
    fit_probability,
    held_out_probabilities,
    probability_error,
)
from cross_modal.verification.threshold import (
    Costs,
    check_rate,
    rates_at,
    threshold_at_equal_error,
    threshold_at_false_accept_rate,
    threshold_for_costs,
)

FALSE_ACCEPT_RATES = (0.1, 0.01, 0.001)
SETTLED = 30  # errors that settle a rate within a third
EVEN = 0.2  # a kind with less than this share of the pairs is worth a sentence


def calibrate(
    scores: np.ndarray,
    same: np.ndarray,
    owners: Owners,
    *,
    metric: Metric = "cosine",
    false_accept_rate: float = 0.01,
    costs: Costs | None = None,
    probability: Method = "platt",
    prior: float | None = None,
    resamples: int = 1000,
    seed: int = 0,
) -> Calibration:
    """Learns thresholds and probabilities, and measures what to expect of them.

    Args:
        scores: (M,) of validation pairs; higher is more alike.
        same: (M,) bool, both kinds.
        owners: What is independent on either side of each pair (see `identities`).
        metric: How the pairs were scored; kept.
        false_accept_rate: Share of different pairs that may be taken for the same at the chosen threshold.
        costs: Chooses the threshold by costs instead.
        probability: "platt" or "isotonic".
        prior: Share of same pairs where probabilities will be asked for; None takes the costs', else a half.
        resamples: Bootstrap resamples behind the intervals.
        seed: Of the resamples and of the folds behind the calibration error.

    Returns:
        The calibration.

    Raises:
        CrossModalError: Only one kind of pair, a score that is not finite, or a rate, prior, or cost out of range.

    >>> scores, same = np.array([0.9, 0.8, 0.7, 0.3, 0.2, 0.1]), np.array([True, True, True, False, False, False])
    >>> people = np.arange(6)
    >>> calibration = calibrate(scores, same, Owners(people, people))
    >>> calibration.threshold, calibration.decide(np.array([0.6, 0.4])).same.tolist()
    (0.5, [True, False])
    """
    check_rate(false_accept_rate)
    scores, same = check_pairs("calibration", scores, same)
    prior = prior if prior is not None else costs.prior if costs is not None else 0.5
    thresholds = _thresholds(scores, same, false_accept_rate, costs)
    to_probability = fit_probability(scores, same, probability, prior)
    points, whole = _expected(scores, same, owners, thresholds, resamples, seed)
    held_out = held_out_probabilities(scores, same, (owners.a, owners.b), probability, prior, seed)
    claimed = to_probability(scores) if held_out is None else held_out
    chosen_by = f"false accepts of at most {100 * false_accept_rate:g} %"
    if costs is not None:
        chosen_by = f"costs of {costs.false_accept:g} a false accept and {costs.false_reject:g} a false reject"
        chosen_by += f", {100 * costs.prior:g} % of pairs the same"
    calibration = Calibration(
        metric=metric,
        points=points,
        chosen_by=chosen_by,
        probability=to_probability,
        eer=whole["eer"],
        auc=whole["auc"],
        ece=probability_error(claimed, same, prior),
        same_pairs=int(same.sum()),
        different_pairs=int((~same).sum()),
        identities=owners.count,
        identity_kind=owners.kind,
        spread=_spread(scores[same], owners.take(same)),
    )
    notes = _limits(calibration, None if costs is not None else false_accept_rate)
    if held_out is None:
        notes.append("the calibration error is that of the pairs the probabilities were fitted to: too kind")
    return replace(calibration, notes=tuple(notes))


def _thresholds(scores: np.ndarray, same: np.ndarray, rate: float, costs: Costs | None) -> dict[str, float]:
    """Name → threshold, the chosen one first."""
    if costs is None:
        chosen = threshold_at_false_accept_rate(scores, same, rate)
    else:
        chosen = threshold_for_costs(scores, same, costs)
    found = {CHOSEN: chosen, "equal_error": threshold_at_equal_error(scores, same)}
    for shown in FALSE_ACCEPT_RATES:
        if (~same).sum() * shown >= 1:
            found[f"false_accept_rate_{shown:g}"] = threshold_at_false_accept_rate(scores, same, shown)
    return found


def _expected(
    scores: np.ndarray,
    same: np.ndarray,
    owners: Owners,
    thresholds: dict[str, float],
    resamples: int,
    seed: int,
) -> tuple[dict[str, DecisionPoint], dict[str, Estimate]]:
    """Error rates of the thresholds, and the rates of the whole curve, with intervals."""
    lines = np.array(list(thresholds.values()))

    def measured(weights: np.ndarray | None = None) -> dict[str, np.ndarray]:
        false, missed = rates_at(scores, same, lines, weights)
        rates = error_rates(scores, same, weights)
        found = {"eer": rates["eer"], "auc": rates["auc"]}
        for place, name in enumerate(thresholds):
            found[f"{name} false"], found[f"{name} missed"] = false[:, place], missed[:, place]
            found[f"{name} wrong"] = (false[:, place] + missed[:, place]) / 2
        return found

    drawn = resample(measured, same, (owners.a, owners.b), resamples=resamples, seed=seed)
    strangers, fellows = (min(owners.take(kind).count, int(kind.sum())) for kind in (~same, same))
    independent = {"false": strangers, "missed": fellows}

    def estimate(name: str, value: np.ndarray) -> Estimate:
        count = independent.get(name.rpartition(" ")[2], min(strangers, fellows))
        return rate_estimate(value.item(), drawn.get(name), count)

    found = {name: estimate(name, value) for name, value in measured().items()}
    points = {
        name: DecisionPoint(line, found[f"{name} false"], found[f"{name} missed"], found[f"{name} wrong"].complement())
        for name, line in thresholds.items()
    }
    return points, {name: found[name] for name in ("eer", "auc")}


def _spread(scores: np.ndarray, owners: Owners) -> IdentitySpread | None:
    """How identities differ; None where the owners of same pairs are no identities."""
    if (owners.a != owners.b).any():
        return None
    return identity_spread(scores, owners.a)


def _limits(calibration: Calibration, rate: float | None) -> list[str]:
    """What a reader must know, a sentence each."""
    notes = []
    same, different = calibration.same_pairs, calibration.different_pairs
    if min(same, different) < EVEN * (same + different):
        notes.append(
            f"{same} same and {different} different pairs: each kind's errors are counted within the kind, and "
            f"probabilities assume {100 * calibration.probability.prior:g} % same"
        )
    if rate is not None and different * rate < 1:
        notes.append(
            f"{different} different pairs cannot show a false-accept rate of {100 * rate:g} %: the threshold accepts "
            f"none of them; {int(np.ceil(1 / rate))} or more would"
        )
    chosen = calibration.points[CHOSEN]
    for name, value, count in (
        ("accepts", chosen.false_accept.value, different),
        ("rejects", chosen.false_reject.value, same),
    ):
        if (errors := round(value * count)) < SETTLED:
            found = f"{errors} error{'s' * (errors != 1)}"
            notes.append(f"the rate of false {name} rests on {found}; {SETTLED} would settle it within a third")
    if calibration.identities < ENOUGH:
        kind = {"label": "labels", "group": "groups", "component": "connected groups"}.get(
            calibration.identity_kind, "items"
        )
        notes.append(f"the intervals rest on {calibration.identities} {kind}; expect them to be too narrow")
    if calibration.probability.method == "isotonic" and same + different < MANY:
        notes.append(f"isotonic regression on {same + different} pairs: expected {MANY} or more; platt needs fewer")
    if calibration.auc.value < 0.5:
        notes.append("same pairs score lower than different ones: the scores tell nothing, or run the wrong way")
    return notes
