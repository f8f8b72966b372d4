"""The threshold for "who is it, or nobody": settled on a cohort, for galleries of this very size.

A stranger has as many chances as there are identities: a threshold at which one in a hundred pairs of different things
is accepted lets more than half of all strangers into a gallery of a hundred identities. So galleries of N identities
with R references each are played through with the cohort, every one of whose items is a stranger to those galleries
that its own identity is not in.

The galleries themselves need not be drawn. Where a stranger's scores with the other I − 1 identities are sorted, the
j-th best of them decides if that identity is among the N enrolled ones and the j − 1 better ones are not, which happens
in C(I − 1 − j, N − 1) of C(I − 1, N) galleries. Only which items are references is drawn. Likewise for an enrolled
identity: it comes first where the other N − 1 are among those that score less.

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
from scipy.special import gammaln

from cross_modal.errors import CrossModalError
from cross_modal.fewshot.scoring import Metric
from cross_modal.gallery.cohort import Cohort
from cross_modal.gallery.identity_scores import Enrolment, How, enrol
from cross_modal.gallery.stranger_tail import StrangerScores, StrangerTail, stranger_tail
from cross_modal.verification.estimate import Estimate
from cross_modal.verification.threshold import check_rate

DRAWS = 8  # of references
_EVENTS = 6_000_000  # stranger's scores held at a time: what sorts in a few seconds
_FAINT = 1e-6  # of the likeliest: ranks that decide more rarely are left out
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
    played = _Played.of(cohort, min(identities, len(cohort.sizes) - 1), counts, how, metric, seed, draws)
    growth = identities / played.enrolled
    tail = stranger_tail(played.strangers, false_identification_rate, metric, growth)
    threshold = tail.threshold(false_identification_rate)
    levels, rates = _levels(tail, threshold)
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


def calibrate_for(
    cohort: Cohort, enrolment: Enrolment, false_identification_rate: float = 0.01, how: How = "mean", seed: int = 0
) -> IdentificationCalibration:
    """Settles the threshold of what is enrolled: its number of identities, and how many references each has.

    Args:
        cohort: Identities that are not enrolled.
        enrolment: The references.
        false_identification_rate: The share of strangers that may be taken for somebody.
        how: How an identity's references make one score.
        seed: Which items of the cohort are references.

    Raises:
        CrossModalError: Embeddings of another size, identities that are in both, or a rate out of range.
    """
    if cohort.embeddings.shape[1] != enrolment.references.shape[1]:
        raise CrossModalError(
            f"cohort: expected embeddings of size {enrolment.references.shape[1]} as the gallery's, "
            f"found {cohort.embeddings.shape[1]}"
        )
    both = sorted(set(cohort.labels.tolist()) & set(enrolment.identities.tolist()))
    if both:
        raise CrossModalError(
            f"cohort: expected identities that are not enrolled, found {len(both)} that are ({both[0]!r}, …)"
        )
    return calibrate_identification(
        cohort,
        len(enrolment),
        enrolment.counts,
        false_identification_rate,
        how,
        metric=enrolment.metric,
        seed=seed,
    )


@dataclass(frozen=True)
class _Played:
    """Galleries made of a cohort.

    Attributes:
        enrolled: How many identities they have: fewer than were asked for where the cohort is smaller.
        strangers: What strangers score.
        own: (G,) float64: what enrolled ones score with themselves.
        first: (G,) float64: in which share of the galleries that is the best score.
        weights: (G,) float64: how much each counts; they add up to 1.
        short: Identities of the cohort that have fewer items than a gallery wants references.
    """

    enrolled: int
    strangers: StrangerScores
    own: np.ndarray
    first: np.ndarray
    weights: np.ndarray
    short: int

    @classmethod
    def of(
        cls, cohort: Cohort, enrolled: int, counts: np.ndarray, how: How, metric: Metric, seed: int, draws: int
    ) -> _Played:
        """Plays `draws` choices of references through."""
        codes, sizes, generator = cohort.codes, cohort.sizes, np.random.default_rng(seed)
        ranks = _rank_weights(len(sizes) - 1, enrolled)
        most = max(_EVENTS // (len(ranks) * draws), len(sizes))
        parts, owns, short = [], [], 0
        for _ in range(draws):
            wanted = generator.permutation(np.resize(counts, len(sizes)))
            places = _places(codes, sizes, generator)
            chosen = places < wanted[codes]
            short = max(short, int((sizes < wanted).sum()))
            gallery = enrol(cohort.embeddings, codes.astype(str).astype(object), metric, keep=chosen)
            numbers = gallery.identities.astype(np.int64)  # names in order are not numbers in order
            # items of an identity that come later are probes for fewer, where there are more than can be held
            probes = np.flatnonzero(places >= sizes[codes] - max(most // len(sizes), 1))
            for part, table in gallery.scores(cohort.embeddings[probes], how):
                rows = probes[part]
                in_order = np.empty_like(table)
                in_order[:, numbers] = table
                events, own, below = _sorted_scores(in_order, codes[rows], len(ranks))
                weight = 1 / (np.minimum(sizes, max(most // len(sizes), 1))[codes[rows]] * len(sizes) * draws)
                parts.append(
                    (events[0], ranks * weight[:, None], np.broadcast_to(codes[rows, None], events[0].shape), events[1])
                )
                asked = ~chosen[rows]
                owns.append((own[asked], below[asked], weight[asked]))
        scores, shares, strangers, taken = (
            np.concatenate([np.ravel(each) for each in column]) for column in zip(*parts, strict=True)
        )
        order = np.argsort(-scores, kind="stable")
        found = StrangerScores(
            scores[order].astype(np.float64), shares[order], strangers[order], taken[order], len(sizes)
        )
        own, below, weights = (np.concatenate(column) for column in zip(*owns, strict=True))
        first = _all_below(len(sizes) - 1, enrolled - 1, below)
        total = weights.sum()
        return cls(enrolled, found, own, first, weights / total if total else weights, short)

    def found(self, threshold: float) -> tuple[float, float]:
        """Shares of the enrolled that are named rightly, and that come first; NaN where all items are references."""
        if not len(self.own):
            return np.nan, np.nan
        named = self.first * self.weights
        return float(named[self.own >= threshold].sum()), float(named.sum())


def _sorted_scores(
    table: np.ndarray, own: np.ndarray, ranks: int
) -> tuple[tuple[np.ndarray, np.ndarray], np.ndarray, np.ndarray]:
    """The best scores with other identities and whose they are, the own score, and how many others score less."""
    rows = np.arange(len(table))
    mine = table[rows, own].copy()
    table[rows, own] = -np.inf
    below = (table < mine[:, None]).sum(axis=1) - np.isfinite(mine)  # the own column is no other
    best = np.argpartition(-table, min(ranks, table.shape[1] - 1), axis=1)[:, :ranks] if ranks > 1 else None
    if best is None:
        best = table.argmax(axis=1)[:, None]
    values = np.take_along_axis(table, best, axis=1)
    order = np.argsort(-values, axis=1, kind="stable")
    return (np.take_along_axis(values, order, axis=1), np.take_along_axis(best, order, axis=1)), mine, below


def _rank_weights(others: int, enrolled: int) -> np.ndarray:
    """(J,) float64: how often the j-th best of the others is the best of those that are enrolled, j from 1."""
    rank = np.arange(1, others - enrolled + 2)
    weights = np.exp(_log_choose(others - rank, enrolled - 1) - _log_choose(np.array([others]), enrolled))
    return weights[weights > _FAINT * weights[0]]


def _all_below(others: int, drawn: int, below: np.ndarray) -> np.ndarray:
    """How often all of `drawn` identities are among the `below` ones of the others."""
    drawn = min(drawn, others)
    enough = below >= drawn
    logs = _log_choose(np.where(enough, below, drawn), drawn) - _log_choose(np.array([others]), drawn)
    return np.where(enough, np.exp(logs), 0.0)


def _log_choose(n: np.ndarray, k: int) -> np.ndarray:
    return gammaln(n + 1.0) - gammaln(k + 1.0) - gammaln(n - k + 1.0)


def _places(codes: np.ndarray, sizes: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """(M,) int64: the place of each item among those of its identity, in random order."""
    order = np.lexsort((generator.random(len(codes)), codes))
    places = np.empty(len(codes), np.int64)
    places[order] = np.arange(len(codes)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return places


def _levels(tail: StrangerTail, threshold: float) -> tuple[tuple[float, ...], tuple[float, ...]]:
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
    cohort: Cohort, identities: int, counts: np.ndarray, rate: float, tail: StrangerTail, played: _Played
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
