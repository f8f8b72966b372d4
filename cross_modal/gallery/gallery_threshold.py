"""The threshold of one gallery as it stands: settled on strangers that are shown to this very gallery.

Two kinds of strangers are at hand. The cohort (identities that nobody enrolled), and the enrolled themselves: had one
of them not been enrolled, its references would be a stranger's pictures, to be compared with all the others. Neither
kind is what will come to the door. A cohort may be of other families than the enrolled (other alphabets, other people)
and lack what looks most like them; the enrolled are as many as they are. The rate asked for is to hold for either kind,
so the stricter of the two thresholds is taken, as far as there are enough of either to say anything.

Against galleries that are made of the cohort alone (`calibrate_identification`) this matters where cohort and enrolled
differ. Omniglot, 100 evaluation characters enrolled with 5 drawings, a cohort of 145 background characters, asked 1 %,
mean of 30 draws: made of the cohort 0.36 %, the cohort shown to the gallery 1.65 %, the enrolled to each other 1.45 %,
the stricter of these two 1.06 %; with a cohort of four held-out alphabets, one of them Braille, 0.29, 2.79, 1.46 and
1.37 %.

Sources: Phillips et al. 2011, "Evaluation methods in face recognition"; Efron 1982, "The jackknife, the bootstrap and
other resampling plans" (leaving one out).
"""

from __future__ import annotations

import numpy as np

from cross_modal.errors import CrossModalError
from cross_modal.gallery.cohort import Cohort
from cross_modal.gallery.identification_calibration import IdentificationCalibration, rate_levels
from cross_modal.gallery.identity_scores import Enrolment, How, LeftOut
from cross_modal.gallery.stranger_tail import StrangerScores, StrangerTail, stranger_tail
from cross_modal.verification.threshold import check_rate

FEWEST = 20  # identities that settle anything by themselves


def calibrate_gallery(
    enrolment: Enrolment,
    cohort: Cohort | None,
    false_identification_rate: float = 0.01,
    how: How = "mean",
    seed: int = 0,
) -> IdentificationCalibration:
    """Settles the threshold of what is enrolled.

    Args:
        enrolment: The references.
        cohort: Identities that are not enrolled and that the model was not trained on; None leaves the enrolled.
        false_identification_rate: The share of strangers that may be taken for somebody, between 0 and 1.
        how: How an identity's references make one score.
        seed: Of the interval.

    Returns:
        The threshold. What is expected of the enrolled is measured by leaving each reference out once, so it is a
        little too low.

    Raises:
        CrossModalError: No cohort and fewer than 20 identities, embeddings of another size, or a rate out of range.
    """
    check_rate(false_identification_rate)
    if cohort is None and len(enrolment) < FEWEST:
        raise CrossModalError(
            f"identify: expected a cohort of identities that are not enrolled, or at least {FEWEST} identities to "
            f"settle a threshold on each other, found none and {len(enrolment)}"
        )
    left = enrolment.left_out(how)
    tails = {} if cohort is None else {"cohort": _of_cohort(enrolment, cohort, how)}
    if len(enrolment) >= FEWEST:
        tails["enrolled"] = _of_enrolled(enrolment, left)
    fitted = {name: stranger_tail(each, false_identification_rate, enrolment.metric) for name, each in tails.items()}
    if any(tail.settled for tail in fitted.values()):  # too few of one kind say nothing where the other does
        fitted = {name: tail for name, tail in fitted.items() if tail.settled}
    thresholds = {name: tail.threshold(false_identification_rate) for name, tail in fitted.items()}
    decides = max(thresholds, key=lambda name: thresholds[name])
    threshold, tail = thresholds[decides], fitted[decides]
    levels, rates = rate_levels(tail, threshold)
    detection, rank1 = _expected(enrolment, left, threshold)
    return IdentificationCalibration(
        threshold=threshold,
        identities=len(enrolment),
        references=int(np.median(enrolment.counts)),
        how=how,
        metric=enrolment.metric,
        rate=false_identification_rate,
        expected=tail.estimate(threshold, seed=seed),
        detection=detection,
        rank1=rank1,
        cohort_identities=0 if cohort is None else len(cohort.sizes),
        cohort_items=0 if cohort is None else len(cohort.labels),
        levels=levels,
        rates=rates,
        settled_by=decides,
        notes=_notes(enrolment, cohort, false_identification_rate, decides, tail),
    )


def _of_cohort(enrolment: Enrolment, cohort: Cohort, how: How) -> StrangerScores:
    """What the cohort scores in the gallery, each of its identities counting the same; the enrolled are left out."""
    if cohort.embeddings.shape[1] != enrolment.references.shape[1]:
        raise CrossModalError(
            f"cohort: expected embeddings of size {enrolment.references.shape[1]} as the gallery's, "
            f"found {cohort.embeddings.shape[1]}"
        )
    outside = ~np.isin(cohort.labels.astype(str), enrolment.identities.astype(str))
    if not outside.any():
        raise CrossModalError("cohort: expected identities that are not enrolled, found only such that are")
    codes = np.unique(cohort.codes[outside], return_inverse=True)[1]
    places, scores = enrolment.best_two(cohort.embeddings[outside], how)
    return _falling(scores[:, 0], codes, len(enrolment) + codes, places[:, 0], len(enrolment) + int(codes.max()) + 1)


def _of_enrolled(enrolment: Enrolment, left: LeftOut) -> StrangerScores:
    """What each identity's references score with the others."""
    return _falling(left.others, enrolment.owners, enrolment.owners, left.nearest, len(enrolment))


def _falling(
    scores: np.ndarray, codes: np.ndarray, strangers: np.ndarray, taken_for: np.ndarray, identities: int
) -> StrangerScores:
    sizes = np.bincount(codes)
    order = np.argsort(-scores, kind="stable")
    shares = 1 / (sizes[codes] * len(sizes))
    return StrangerScores(
        scores[order].astype(np.float64), shares[order], strangers[order], taken_for[order], identities
    )


def _expected(enrolment: Enrolment, left: LeftOut, threshold: float) -> tuple[float, float]:
    """Shares of the references that would be named rightly, and that would come first; NaN where none has fellows."""
    asked = np.isfinite(left.own)
    if not asked.any():
        return np.nan, np.nan
    weights = (1 / enrolment.counts[enrolment.owners])[asked]
    first = (left.own > left.others)[asked]
    named = first & (left.own[asked] >= threshold)
    return float(np.average(named, weights=weights)), float(np.average(first, weights=weights))


def _notes(
    enrolment: Enrolment, cohort: Cohort | None, rate: float, decides: str, tail: StrangerTail
) -> tuple[str, ...]:
    notes = []
    if cohort is None:
        notes.append("no cohort is attached: the threshold is settled on the enrolled as strangers to each other")
    else:
        both = np.isin(np.unique(cohort.labels.astype(str)), enrolment.identities.astype(str))
        if both.any():
            notes.append(f"{int(both.sum())} identities of the cohort are enrolled: they are no strangers and left out")
    if tail.fitted and rate < tail.level:
        many = len(np.unique(tail.counted.strangers))
        notes.append(
            f"{many} {'enrolled' if decides == 'enrolled' else 'cohort'} identities are too few to count a "
            f"false-identification rate of {rate:g} (fewer than 30 independent pairs stand above it): it is fitted to "
            f"the highest {100 * tail.level:.2g} % of the strangers"
        )
    if not tail.settled:
        notes.append("so few identities settle no rate: take the threshold for a guess until a larger cohort is there")
    return tuple(notes)
