"""The threshold for "who is it, or nobody": settled on a cohort, for galleries of this very size.

A stranger has as many chances as there are identities: a threshold at which one in a hundred pairs of different things
is accepted lets more than half of all strangers into a gallery of a hundred identities. So galleries of N identities
with R references each are played through with the cohort, every one of whose items is a stranger to those galleries
that its own identity is not in.

Score normalisation with the cohort as impostors (Z-, T-, S-norm and adaptive S-norm; Auckenthaler et al. 2000, Matějka
et al. 2017) is left out, because it lost on validation: with 145 validation characters of Omniglot, 50 enrolled with 5
drawings, 43.3 % of the enrolled were identified at 1 % as they are, and 22–42 % after any of 24 such normalisations
(at 10 % 91.3 %, and at most 89.0 %). So did "best" in place of "mean" (9.7 % for 12.4 % with 100 enrolled, at 1 %).

Sources: Grother, Phillips 2004, "Models of large population recognition performance"; ISO/IEC 19795-1 (false-positive
identification rate); Phillips et al. 2011 (detection and identification rate).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from cross_modal.errors import CrossModalError
from cross_modal.fewshot.scoring import Metric
from cross_modal.gallery.cohort import Cohort
from cross_modal.gallery.identity_scores import How
from cross_modal.gallery.played_galleries import PlayedGalleries
from cross_modal.gallery.stranger_tail import StrangerTail, stranger_tail
from cross_modal.verification.estimate import Estimate
from cross_modal.verification.threshold import check_rate

DRAWS = 8  # of references
_LEVELS = 64  # scores whose rates are kept


@dataclass(frozen=True)
class IdentificationCalibration:
    """A threshold, what it is for, and what to expect of it.

    Attributes:
        threshold: The best identity is named where its score is at least this.
        identities: N of the galleries that it is for.
        references: R of them; the median where identities have different numbers.
        how: How an identity's references make one score.
        metric: Of the scores.
        rate: The false-identification rate that was asked for.
        expected: The rate that the cohort shows at the threshold, and what other cohorts of this size might show.
        detection: Share of the enrolled that would be named rightly at the threshold; NaN where nobody knows.
        rank1: Share of the enrolled that would come first, threshold or not; NaN where nobody knows.
        cohort_identities: Identities of the cohort.
        cohort_items: Its items.
        levels: Scores, falling.
        rates: How often a stranger's best score reaches each of the levels.
        settled_by: Whose scores decided: "cohort galleries" played through with a cohort, or in the very gallery those
            of the "cohort" or of the "enrolled" with each other.
        notes: What limits these numbers, a sentence each.
    """

    threshold: float
    identities: int
    references: int
    how: How
    metric: Metric
    rate: float
    expected: Estimate
    detection: float
    rank1: float
    cohort_identities: int
    cohort_items: int
    levels: tuple[float, ...] = ()
    rates: tuple[float, ...] = ()
    settled_by: str = "cohort galleries"
    notes: tuple[str, ...] = field(default=())

    def stranger_rate(self, scores: np.ndarray) -> np.ndarray:
        """How often a stranger scores this high with somebody: what to think of an answer.

        Args:
            scores: Any shape.

        Returns:
            Float64 of that shape, in [0, 1].
        """
        scores = np.asarray(scores, np.float64)
        return np.interp(-scores, -np.asarray(self.levels), np.asarray(self.rates))

    def metrics(self, prefix: str = "identification/calibration") -> dict[str, float]:
        """Name → number, half-widths under `…/ci95`."""
        found = {
            "threshold": self.threshold,
            "false_identification_rate": self.expected.value,
            "false_identification_rate/ci95": self.expected.half_width,
            "detection_and_identification_rate": self.detection,
            "rank1": self.rank1,
            "cohort_identities": float(self.cohort_identities),
        }
        return {f"{prefix}/{name}": value for name, value in found.items() if np.isfinite(value)}

    def to_dict(self) -> dict[str, Any]:
        """As JSON-able primitives."""
        found = {name: getattr(self, name) for name in self.__dataclass_fields__}
        unknown = {name: None for name in ("detection", "rank1") if not np.isfinite(found[name])}
        lists = {name: list(found[name]) for name in ("levels", "rates", "notes")}
        return {**found, "expected": self.expected.to_list(), **lists, **unknown}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> IdentificationCalibration:
        """Reads what `to_dict` wrote.

        Raises:
            CrossModalError: Something else.
        """
        try:
            known = {name: values[name] for name in cls.__dataclass_fields__}
            known |= {name: tuple(values[name]) for name in ("levels", "rates", "notes")}
            known |= {name: np.nan if values[name] is None else float(values[name]) for name in ("detection", "rank1")}
            return cls(**{**known, "expected": Estimate.from_list(values["expected"])})
        except (KeyError, TypeError) as error:
            raise CrossModalError(f"identification: expected a 1:N calibration, found {error!r}") from None


def calibrate_identification(
    cohort: Cohort,
    identities: int,
    references: int | Sequence[int] | np.ndarray,
    false_identification_rate: float = 0.01,
    how: How = "mean",
    *,
    metric: Metric = "cosine",
    seed: int = 0,
    draws: int = DRAWS,
) -> IdentificationCalibration:
    """Settles the threshold of a gallery on identities that are not in it.

    Args:
        cohort: Items of identities that the model was not trained on and that nobody enrolled.
        identities: N, how many are enrolled.
        references: R, how many references each has; or the numbers of all of them, which are then played through.
        false_identification_rate: The share of strangers that may be taken for somebody, between 0 and 1.
        how: How an identity's references make one score.
        metric: How the model's embeddings are compared.
        seed: Which items of the cohort are references.
        draws: How often they are drawn.

    Returns:
        The threshold. Each identity of the cohort counts the same, however many items it has.

    Raises:
        CrossModalError: A number out of range.

    >>> generator = np.random.default_rng(0)
    >>> labels = np.repeat(np.arange(40), 6)
    >>> rows = generator.normal(size=(40, 16))[labels] + 0.3 * generator.normal(size=(240, 16))
    >>> found = calibrate_identification(Cohort.of(rows, labels.astype(object)), 20, 3, 0.05)
    >>> bool(0 < found.threshold < 1), found.detection > 0.9
    (True, True)
    """
    counts = np.atleast_1d(np.asarray(references, np.int64))
    if identities < 1 or not len(counts) or counts.min() < 1:
        raise CrossModalError(
            f"identification: expected at least 1 identity with at least 1 reference, found {identities} with "
            f"{counts.min() if len(counts) else 0}"
        )
    check_rate(false_identification_rate)
    played = PlayedGalleries.of(cohort, min(identities, len(cohort.sizes) - 1), counts, how, metric, seed, draws)
    growth = identities / played.enrolled
    tail = stranger_tail(played.strangers, false_identification_rate, metric, growth)
    threshold = tail.threshold(false_identification_rate)
    levels, rates = rate_levels(tail, threshold)
    detection, rank1 = played.found(threshold) if growth == 1 else (np.nan, np.nan)
    return IdentificationCalibration(
        threshold=threshold,
        identities=identities,
        references=int(np.median(counts)),
        how=how,
        metric=metric,
        rate=false_identification_rate,
        expected=tail.estimate(threshold, seed=seed),
        detection=detection,
        rank1=rank1,
        cohort_identities=len(cohort.sizes),
        cohort_items=len(cohort.labels),
        levels=levels,
        rates=rates,
        notes=_notes(cohort, identities, counts, false_identification_rate, tail, played),
    )


def rate_levels(tail: StrangerTail, threshold: float) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Scores over the whole range, closer together near the top, with their rates."""
    scores = tail.counted.scores
    top = max(threshold, float(scores[0]))
    ceiling = max(1.0 if tail.metric == "cosine" else 0.0, top)
    places = np.unique(np.geomspace(1, len(scores), _LEVELS // 2).astype(np.int64) - 1)
    levels = np.concatenate([np.linspace(ceiling, min(threshold, top), _LEVELS // 2), scores[places]])
    levels = np.unique(np.append(levels, np.nextafter(threshold, np.inf)))[::-1]
    rates = np.maximum.accumulate(tail.rate(levels))
    return tuple(levels.tolist()), tuple(rates.tolist())


def _notes(
    cohort: Cohort, identities: int, counts: np.ndarray, rate: float, tail: StrangerTail, played: PlayedGalleries
) -> tuple[str, ...]:
    notes, have = [], len(cohort.sizes)
    if identities > played.enrolled:
        notes.append(
            f"the cohort has {have} identities, the gallery {identities}: the rate is extrapolated from galleries of "
            f"{played.enrolled}, as if identities were independent"
        )
    if tail.fitted and rate < 1 - (1 - tail.level) ** tail.growth:
        notes.append(
            f"{have} identities are too few to count a false-identification rate of {rate:g} (fewer than 30 "
            f"independent pairs stand above it): it is fitted to the highest {100 * tail.level:.2g} % of the strangers"
        )
    if played.short:
        notes.append(
            f"{played.short} of {have} identities of the cohort have fewer than {int(counts.max())} items: they stand "
            "with all that they have"
        )
    return tuple(notes)
