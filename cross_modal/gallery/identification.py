"""Who is it, or nobody: the enrolled identity that a query is most alike to, if it is alike enough.

How alike is enough depends on how many are enrolled. A threshold for pairs does not do: each of N identities is another
chance to be taken for somebody, so that a threshold which accepts one in a hundred pairs of different things may let up
to 1 − 0.99^N of all strangers in, 63 % where a hundred are enrolled. It is refused here.

Source: ISO/IEC 19795-1 (open-set identification); Phillips et al. 2011, "Evaluation methods in face recognition".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cross_modal.errors import CrossModalError
from cross_modal.fewshot.rejection import accepted
from cross_modal.gallery.identification_calibration import IdentificationCalibration
from cross_modal.gallery.identity_scores import Enrolment, How
from cross_modal.verification.calibration import Calibration
from cross_modal.verification.references import FarReference, far_references

_MOVED = 0.1  # by which share of N, or of R, a gallery may differ from the one that a threshold is for


@dataclass(frozen=True)
class Identification:
    """Answers.

    Attributes:
        labels: (Q,) objects: who it is, None for nobody, and None wherever no threshold was given.
        nearest: (Q,) objects: the identity that is most alike, whatever its score.
        scores: (Q,) float32: its score.
        runner_up: (Q,) objects: the identity that comes second; None where only one is enrolled.
        margins: (Q,) float32: by how much the first leads the second; +inf where there is none.
        stranger_rates: (Q,) float64: how often a stranger scores that high with somebody; NaN without a calibration.
        threshold: What decided; None without a calibration.
        notes: What to know, a sentence each.
    """

    labels: np.ndarray
    nearest: np.ndarray
    scores: np.ndarray
    runner_up: np.ndarray
    margins: np.ndarray
    stranger_rates: np.ndarray
    threshold: float | None
    notes: tuple[str, ...] = ()


def identify(
    enrolment: Enrolment,
    queries: np.ndarray,
    calibration: IdentificationCalibration | None,
    how: How = "mean",
) -> Identification:
    """Names queries.

    Args:
        enrolment: Who is enrolled, from `enrol`.
        queries: (Q, D) float embeddings.
        calibration: The threshold for a gallery like this one; None names nobody, but says who is nearest.
        how: How an identity's references make one score, where there is no calibration to say so.

    Returns:
        The answers.

    Raises:
        CrossModalError: A threshold for pairs, one for another metric, or queries that do not fit.
    """
    if calibration is not None:
        check_calibration(calibration, enrolment)
        how = calibration.how
    places, scores = enrolment.best_two(queries, how)
    names = np.array([*enrolment.identities.tolist(), None], object)  # −1 is nobody
    best = scores[:, 0]
    named = np.zeros(len(best), bool) if calibration is None else accepted(best, calibration.threshold)
    return Identification(
        labels=names[np.where(named, places[:, 0], -1)],
        nearest=names[places[:, 0]],
        scores=best,
        runner_up=names[places[:, 1]],
        margins=best - scores[:, 1],
        stranger_rates=np.full(len(best), np.nan) if calibration is None else calibration.stranger_rate(best),
        threshold=None if calibration is None else calibration.threshold,
        notes=() if calibration is None else change_notes(calibration, enrolment),
    )


def check_calibration(calibration: object, enrolment: Enrolment) -> None:
    """Refuses what is no threshold for identification among these references.

    Raises:
        CrossModalError: A calibration of pairs, another thing, or another metric.
    """
    count = len(enrolment)
    if isinstance(calibration, Calibration):
        rate = calibration.point().false_accept.value
        let_in = 1 - (1 - rate) ** count
        raise CrossModalError(
            f"identify: expected a threshold calibrated for 1:N (calibrate_identification), found one for pairs: it "
            f"takes {100 * rate:.2g} % of different pairs for the same, so up to {100 * let_in:.0f} % of strangers for "
            f"one of {count} identities"
        )
    if not isinstance(calibration, IdentificationCalibration):
        raise CrossModalError(
            f"identify: expected a calibration for 1:N (calibrate_identification), found {type(calibration).__name__}"
        )
    if calibration.metric != enrolment.metric:
        raise CrossModalError(
            f"identify: expected a threshold for {enrolment.metric} scores, found one for {calibration.metric}"
        )


def change_notes(calibration: IdentificationCalibration, enrolment: Enrolment) -> tuple[str, ...]:
    """What a threshold has to do with a gallery that has changed since: a sentence where it should be settled anew."""
    count, references = len(enrolment), int(np.median(enrolment.counts))
    notes = []
    for what, expected, found in (
        ("identities", calibration.identities, count),
        ("references per identity", calibration.references, references),
    ):
        if abs(found - expected) > _MOVED * expected:
            notes.append(
                f"the threshold is for {expected} {what}, the gallery has {found}: expect another rate than "
                f"{100 * calibration.rate:g} %, and calibrate again"
            )
    return tuple(notes)


def check_enrolment(
    enrolment: Enrolment, calibration: Calibration, names: Sequence[str] | None = None
) -> dict[str, list[FarReference]]:
    """References that are unlike most of their fellows: of another identity, or bad pictures.

    Args:
        enrolment: Who is enrolled.
        calibration: Of pairs. Its threshold of equal errors says what differs: one that few different pairs reach
            would find half of all good pictures far from their fellows.
        names: What messages call the rows that were given to `enrol`; None numbers an identity's references from 1.

    Returns:
        Identity → the references that stand apart; only identities that have any.

    Raises:
        CrossModalError: A calibration of another metric.
    """
    if calibration.metric != enrolment.metric:
        raise CrossModalError(
            f"enrolment: expected a calibration of {enrolment.metric} scores, found one of {calibration.metric}"
        )
    counts = enrolment.counts
    ends = np.cumsum(counts)
    found = {}
    for place in np.flatnonzero(counts > 1).tolist():  # a table of pairs for each identity: of different sizes
        part = slice(ends[place] - counts[place], ends[place])
        called = None if names is None else [names[row] for row in enrolment.rows[part].tolist()]
        far = far_references(calibration, enrolment.references[part], called, at="equal_error")
        if far:
            found[str(enrolment.identities[place])] = far
    return found
