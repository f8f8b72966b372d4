"""Measuring a twin on labelled pairs: scores, what is independent among them, error rates or correlations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from cross_modal.configuration import DataConfig
from cross_modal.data.pairs import Pairs
from cross_modal.encoders.feature_store import FeatureStore
from cross_modal.encoders.twin import TwinEncoder
from cross_modal.errors import CrossModalError
from cross_modal.verification.bootstrap import Owners, identities
from cross_modal.verification.calibration import Calibration
from cross_modal.verification.comparison import comparisons, in_words, shown
from cross_modal.verification.graded import measure_graded
from cross_modal.verification.measurement import measure_verification
from cross_modal.verification.pair_embedding import embed_pair_items
from cross_modal.verification.pair_scorer import PairScorer
from cross_modal.verification.probability import probability_error
from cross_modal.verification.saved_calibration import FEWEST, CalibrationPairs, SavedCalibration, resamples_for
from cross_modal.verification.threshold import rates_at

EQUAL_ERROR = "equal_error"


@dataclass(frozen=True)
class ScoredPairs:
    """Pairs with what a twin makes of them.

    Attributes:
        scores: (M,) float64, higher is more alike.
        kinds: (M,) object: what is compared with what.
        owners: What is independent, on either side.
        same: (M,) bool, or None where the verdicts are graded.
        graded: (M,) float64 in 0–1, or None where they are not.
        pairs: The pairs themselves, where they are at hand.
    """

    scores: np.ndarray
    kinds: np.ndarray
    owners: Owners
    same: np.ndarray | None
    graded: np.ndarray | None = None
    pairs: Pairs | None = None

    def __len__(self) -> int:
        return len(self.scores)

    def take(self, keep: np.ndarray) -> ScoredPairs:
        """Some of them, (M,) bool; without the pairs themselves."""
        same, graded = (None if cells is None else cells[keep] for cells in (self.same, self.graded))
        return ScoredPairs(self.scores[keep], self.kinds[keep], self.owners.take(keep), same, graded)


def score_pairs(twin: TwinEncoder, scorer: PairScorer, pairs: Pairs, data: DataConfig) -> ScoredPairs:
    """Scores pairs, each distinct item encoded once.

    Args:
        twin: The twin.
        scorer: What scores its embeddings.
        pairs: The pairs, of one split usually; items of other splits are left alone.
        data: How pictures are decoded, and whether the feature store is used.

    Raises:
        CrossModalError: An item with nothing that the twin encodes, or a picture that cannot be decoded.
    """
    used, places = np.unique(np.concatenate([pairs.a, pairs.b]), return_inverse=True)
    a, b = places[: len(pairs)], places[len(pairs) :]
    items = pairs.items.take(used)
    store = FeatureStore.open() if data.feature_store else None
    embedded = embed_pair_items(twin, items, data, store)
    scores = scorer.score_items(embedded, a, b)
    owners = owners_of_pairs(pairs)
    kinds = comparisons(shown(items, twin), a, b)
    return ScoredPairs(scores, kinds, owners, pairs.same, pairs.score, pairs)


def owners_of_pairs(pairs: Pairs) -> Owners:
    """What is independent among pairs: their groups where each has one, else what they connect, else their items."""
    if pairs.groups is None or any(group is None for group in pairs.groups.tolist()):
        return identities(pairs.a, pairs.b)
    numbers = np.unique([str(group) for group in pairs.groups.tolist()], return_inverse=True)[1].astype(np.int64)
    return Owners(numbers, numbers, "group")


def learn_calibration(
    scored: ScoredPairs, twin: TwinEncoder, provenance: Mapping[str, Any], false_accept_rate: float | None = None
) -> tuple[SavedCalibration | None, list[str]]:
    """Learns thresholds and probabilities on validation pairs.

    Returns:
        The calibration, and notes; None, with the reason as a note, where the pairs do not allow one.
    """
    if scored.same is None:
        return None, ["no threshold was learned: graded pairs have none, and verify answers with the score alone"]
    learned_from = CalibrationPairs(scored.scores, scored.same, scored.owners)
    try:
        found = SavedCalibration.learned(learned_from, scored.kinds, twin.metric, provenance, false_accept_rate)
    except CrossModalError as error:
        return None, [f"no threshold was learned: {error}"]
    return found, [f"calibration: {note}" for note in found.main.notes]


@dataclass(frozen=True)
class PairMeasures:
    """What was measured on scored pairs.

    Attributes:
        metrics: `verification/…` → number, half-widths under `…/ci95`.
        notes: What to know, a sentence each.
        scores: (M,) the scores as they were measured: where several comparisons have thresholds of their own, moved so
            that one threshold decides all of them.
        threshold: What decides; None without a calibration, as all below.
        probabilities: (M,) that pairs are the same.
        prior: Share of same pairs that they assume.
    """

    metrics: dict[str, float]
    notes: list[str]
    scores: np.ndarray
    threshold: float | None = None
    probabilities: np.ndarray | None = None
    prior: float = 0.5


def measure_pairs(
    scored: ScoredPairs, calibration: SavedCalibration | None, false_accept_rate: float | None = None, seed: int = 0
) -> PairMeasures:
    """Measures scored pairs.

    Args:
        scored: The pairs, with verdicts or graded.
        calibration: Learned on other pairs; None leaves decisions out.
        false_accept_rate: Of the threshold that decides; None takes the chosen one.
        seed: Of the bootstrap.

    Returns:
        The measures. Where several comparisons are mixed each is measured by itself besides, under
        `verification/picture_text/…`.

    Raises:
        CrossModalError: Pairs that cannot be measured: one verdict only, say.
    """
    owners, resamples = (scored.owners.a, scored.owners.b), resamples_for(len(scored))
    if scored.same is None:
        assert scored.graded is not None
        graded = measure_graded(scored.scores, scored.graded, owners, resamples=resamples, seed=seed)
        return PairMeasures(graded, [], scored.scores)
    kinds = sorted(set(scored.kinds.tolist()))
    decides, notes = ({}, list[str]()) if calibration is None else _calibrations(calibration, kinds, false_accept_rate)
    found = _measured(scored, decides, resamples, seed)
    metrics = found.metrics
    for kind in kinds if len(kinds) > 1 else ():
        part = scored.take(scored.kinds == kind)
        assert part.same is not None
        if min(part.same.sum(), (~part.same).sum()) < FEWEST:
            notes.append(f"{in_words(kind)}: {len(part)} pairs, too few to be measured by themselves")
            continue
        its = _measured(part, decides, resamples, seed).metrics
        metrics |= {name.replace("verification/", f"verification/{kind}/"): value for name, value in its.items()}
    return replace(found, metrics=metrics, notes=notes)


def _calibrations(
    calibration: SavedCalibration, kinds: list[str], false_accept_rate: float | None
) -> tuple[dict[str, Calibration], list[str]]:
    """What decides each comparison, and notes."""
    found, notes = {}, list[str]()
    for kind in kinds:
        found[kind], more = calibration.of(kind, false_accept_rate)
        notes += [note for note in more if note not in notes]
    return found, notes


def _measured(scored: ScoredPairs, decides: Mapping[str, Calibration], resamples: int, seed: int) -> PairMeasures:
    """Measures pairs, each decided by its own comparison's calibration, where there is one."""
    assert scored.same is not None
    owners = scored.owners.a, scored.owners.b
    if not decides:
        result = measure_verification(scored.scores, scored.same, owners, resamples=resamples, seed=seed)
        return PairMeasures(result.metrics, [], scored.scores)
    first = decides[scored.kinds[0]]
    scores, equal, probabilities = scored.scores.copy(), scored.scores.copy(), np.empty(len(scored))
    for kind, calibration in decides.items():
        rows = scored.kinds == kind
        scores[rows] += first.threshold - calibration.threshold
        equal[rows] -= calibration.thresholds.get(EQUAL_ERROR, calibration.threshold)
        probabilities[rows] = calibration.probability(scored.scores[rows])
    result = measure_verification(scores, scored.same, owners, resamples=resamples, seed=seed, calibration=first)
    prior = first.probability.prior
    metrics = result.metrics | {"verification/ece": probability_error(probabilities, scored.same, prior)}
    if EQUAL_ERROR in first.points:
        metrics |= _at_equal_error(equal, scored.same, first.point(EQUAL_ERROR).threshold)
    return PairMeasures(metrics, [], scores, first.threshold, probabilities, prior)


def triplet_accuracy(scores: np.ndarray) -> dict[str, float]:
    """The share of triplets whose anchor scores higher with the positive; ties count half.

    >>> triplet_accuracy(np.array([0.9, 0.1, 0.5, 0.5]))
    {'verification/triplets/accuracy': 0.75}
    """
    positive, negative = scores[::2], scores[1::2]
    return {"verification/triplets/accuracy": float(((positive > negative) + (positive == negative) / 2).mean())}


def _at_equal_error(above: np.ndarray, same: np.ndarray, threshold: float) -> dict[str, float]:
    """Rates at the threshold where the calibration's errors are equal; the accuracy is of both kinds alike.

    Args:
        above: (M,) how far scores lie above their comparison's threshold.
        same: (M,) bool.
        threshold: The threshold, to be shown.
    """
    false, missed = (float(rates[0, 0]) for rates in rates_at(above, same, np.zeros(1)))
    found = {"threshold": threshold, "false_accept_rate": false, "false_reject_rate": missed}
    found["accuracy"] = 1 - (false + missed) / 2
    return {f"verification/{EQUAL_ERROR}/{name}": value for name, value in found.items()}
