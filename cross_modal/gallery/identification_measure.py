"""How well a gallery tells who is who, and who is nobody: measured on labelled probes.

Probes of an enrolled identity should be named; probes of anybody else (strangers) should be refused. An enrolled probe
that is refused, or taken for somebody else, is an error and stays in the denominator.

- rank 1: the share of the enrolled whose own identity comes first, threshold or not;
- false-identification rate: the share of strangers that are taken for somebody;
- detection-and-identification rate: the share of the enrolled that come first *and* reach the threshold. At the
  calibrated threshold it is what users get; at 1 % and 10 % the threshold is the one at which just that share of these
  very strangers passes, which compares models whatever their calibration.

Intervals are bootstrapped over identities: twenty pictures of one stranger are one stranger.

Source: Phillips, Grother, Micheals 2011, "Evaluation methods in face recognition" (all three).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cross_modal.errors import CrossModalError
from cross_modal.fewshot.rejection import accepted
from cross_modal.gallery.identification import check_calibration
from cross_modal.gallery.identification_calibration import IdentificationCalibration
from cross_modal.gallery.identity_scores import Enrolment, How
from cross_modal.verification.bootstrap import half_width

RATES = {"1pct": 0.01, "10pct": 0.1}
_CELLS = 1 << 24  # weights held at a time


@dataclass(frozen=True)
class IdentificationMeasure:
    """What was measured on probes.

    Attributes:
        metrics: Name → number, half-widths of 95 % intervals under `…/ci95`.
        nearest: (Q,) objects: who each probe is most alike to.
        scores: (Q,) float32: how much.
        enrolled: (Q,) bool: whether the probe's identity is enrolled.
        correct: (Q,) bool: whether the nearest is the probe's own.
        curve: (2, P) float64: false-identification rates, rising, and the detection-and-identification rates there.
        notes: What limits the numbers, a sentence each.
    """

    metrics: dict[str, float]
    nearest: np.ndarray
    scores: np.ndarray
    enrolled: np.ndarray
    correct: np.ndarray
    curve: np.ndarray
    notes: tuple[str, ...] = ()


def measure_identification(
    enrolment: Enrolment,
    probes: np.ndarray,
    labels: np.ndarray,
    calibration: IdentificationCalibration | None = None,
    how: How = "mean",
    *,
    resamples: int = 1000,
    seed: int = 0,
) -> IdentificationMeasure:
    """Measures a gallery on probes that took no part in its calibration.

    Args:
        enrolment: Who is enrolled.
        probes: (Q, D) float embeddings, none of them a reference.
        labels: (Q,) str or None: who each is; a label that is not enrolled, or none, is a stranger's.
        calibration: The threshold; None leaves out what is measured at it.
        how: How references make one score, where there is no calibration to say so.
        resamples: Of the bootstrap.
        seed: Its seed.

    Returns:
        The measures. Without enrolled probes, or without strangers, what needs them is left out.

    Raises:
        CrossModalError: No probes, not one label each, or a threshold that is for something else.
    """
    labels = np.asarray(labels, object)
    if not len(labels) or len(labels) != len(probes):
        raise CrossModalError(f"probes: expected a label for each of at least 1, found {len(labels)} for {len(probes)}")
    if calibration is not None:
        check_calibration(calibration, enrolment)
        how = calibration.how
    places, table = enrolment.best_two(probes, how)
    scores, nearest = table[:, 0], enrolment.identities[places[:, 0]]
    enrolled = np.isin(labels.astype(str), enrolment.identities.astype(str)) & np.array([x is not None for x in labels])
    correct = enrolled & (nearest == labels)
    metrics, notes = _measure(scores, enrolled, correct, labels, calibration, resamples, seed)
    curve = detection_curve(scores[~enrolled], scores[correct], int(enrolled.sum()))
    return IdentificationMeasure(metrics, nearest, scores, enrolled, correct, curve, notes)


def detection_curve(strangers: np.ndarray, named: np.ndarray, enrolled: int) -> np.ndarray:
    """Detection-and-identification rate over false-identification rate.

    Args:
        strangers: (S,) best scores of strangers.
        named: (G,) best scores of those enrolled that come first with the right identity.
        enrolled: How many enrolled probes there are, the wrongly named included.

    Returns:
        (2, P) float64: rates at every threshold that a stranger's score gives, from nobody passing on. Empty where
        there are no strangers, or nobody enrolled.

    >>> detection_curve(np.array([0.5, 0.1]), np.array([0.9, 0.3]), 4).tolist()
    [[0.0, 0.5, 1.0], [0.25, 0.5, 0.5]]
    """
    if not len(strangers) or not enrolled:
        return np.zeros((2, 0))
    levels = np.sort(strangers)[::-1]
    levels = levels[np.append(levels[1:] != levels[:-1], True)]  # all of a tie pass together
    passed = np.searchsorted(np.sort(strangers), levels, side="left")
    rates = np.append(0.0, 1 - passed / len(strangers))
    rising = np.sort(named)
    # the threshold at which a share of strangers passes lies just above the next lower stranger
    above = len(rising) - np.searchsorted(rising, levels, side="right")
    return np.stack([rates, np.append(above, len(rising)) / enrolled])


def _measure(
    scores: np.ndarray,
    enrolled: np.ndarray,
    correct: np.ndarray,
    labels: np.ndarray,
    calibration: IdentificationCalibration | None,
    resamples: int,
    seed: int,
) -> tuple[dict[str, float], tuple[str, ...]]:
    owners = np.unique(np.array(["" if label is None else str(label) for label in labels]), return_inverse=True)[1]
    generator = np.random.default_rng(seed)
    known, strange = _Side.of(owners[enrolled], resamples, generator), _Side.of(owners[~enrolled], resamples, generator)
    found: dict[str, float] = {"probes_enrolled": float(enrolled.sum()), "probes_strangers": float((~enrolled).sum())}
    notes = []
    right, own = correct[enrolled], scores[enrolled]
    others = scores[~enrolled]
    if known is not None:
        found |= known.share("rank1", right)
    if calibration is not None:
        found |= {"threshold": calibration.threshold, "asked_false_identification_rate": calibration.rate}
        if strange is not None:
            found |= strange.share("false_identification_rate", accepted(others, calibration.threshold))
        if known is not None:
            passed = right & accepted(own, calibration.threshold)
            found |= known.share("detection_and_identification_rate", passed)
    for name, rate in RATES.items():
        if known is None or strange is None:
            break
        thresholds = strange.thresholds(others, rate)
        values = known.reached(np.where(right, own, -np.inf), thresholds)
        key = f"detection_and_identification_rate_at_{name}"
        found |= {key: float(values[0]), f"{key}/ci95": half_width(values[1:])}
        if rate * len(others) < 1:
            notes.append(f"{len(others)} strangers cannot show a false-identification rate of {rate:g}: none passes")
    for what, side in (("enrolled", known), ("stranger", strange)):
        if side is None:
            notes.append(f"no probe is of {'an enrolled identity' if what == 'enrolled' else 'a stranger'}")
    return {f"identification/{name}": value for name, value in found.items()}, tuple(notes)


@dataclass(frozen=True)
class _Side:
    """Probes of one kind with how often each counts: once, then as often as its identity was drawn.

    Attributes:
        weights: (1 + resamples, I) float64 of identities.
        owners: (n,) int64.
    """

    weights: np.ndarray
    owners: np.ndarray

    @classmethod
    def of(cls, owners: np.ndarray, resamples: int, generator: np.random.Generator) -> _Side | None:
        """None where there are no probes."""
        if not len(owners):
            return None
        numbers = np.unique(owners, return_inverse=True)[1]
        count = int(numbers.max()) + 1
        drawn = generator.multinomial(count, np.full(count, 1 / count), resamples)
        return cls(np.vstack([np.ones(count), drawn]), numbers)

    def share(self, name: str, hit: np.ndarray) -> dict[str, float]:
        """A share of the probes with the half-width of its interval."""
        sizes = np.bincount(self.owners)
        values = (self.weights @ np.bincount(self.owners, hit)) / (self.weights @ sizes)
        return {name: float(values[0]), f"{name}/ci95": half_width(values[1:])}

    def thresholds(self, scores: np.ndarray, rate: float) -> np.ndarray:
        """(1 + resamples,) float64: at most this share of the probes scores more than each."""
        order = np.argsort(-scores, kind="stable")
        falling, owners = scores[order].astype(np.float64), self.owners[order]
        found = []
        for part in self._parts():
            weights = self.weights[part][:, owners]
            cumulated = np.cumsum(weights, axis=1)
            first = (cumulated > rate * cumulated[:, -1:] * (1 + 1e-9)).argmax(axis=1)
            found.append(falling[first])
        return np.concatenate(found)

    def reached(self, scores: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
        """(1 + resamples,) float64: the share of the probes that scores more than each threshold."""
        found = []
        for part in self._parts():
            weights = self.weights[part][:, self.owners]
            found.append((weights * (scores > thresholds[part, None])).sum(axis=1) / weights.sum(axis=1))
        return np.concatenate(found)

    def _parts(self) -> list[slice]:
        step = max(_CELLS // len(self.owners), 1)
        return [slice(start, start + step) for start in range(0, len(self.weights), step)]
