"""Saying "unknown": a threshold on the best score, calibrated on validation for a chosen false-accept rate.

A classifier of C classes names one of them whatever it is shown. The confidence of a query is its best score,

    v(x) = max_c score(x, c),

and a query is accepted where v(x) ≥ h. On validation, FAR(h) is the share of impostors (items of no known class) with
v ≥ h, and FRR(h) the share of genuine items with v < h. The threshold h is the smallest with FAR(h) at most the rate
asked for: where impostors tie, all of a tie are refused rather than all accepted.

Where no impostors are at hand, each validation item stands for one with its own class's column left out: what remains
is what its best score would be had its class never been enrolled. This is a stand-in. A method that was trained to
tell its class from the others has still seen that class, and strangers of another kind may lie further away, or nearer.

The same validation items settle temperature and threshold (and often the hyper-parameters before): what is measured on
them is too kind by a little; `measure_rejection` measures on others.

Sources: Chow 1970, "On optimum recognition error and reject tradeoff"; Hendrycks and Gimpel 2017 (AUROC of the best
score); Phillips et al. 2011, "Evaluation methods in face recognition" (identification at a false-accept rate).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy.special import softmax
from sklearn.metrics import roc_auc_score, roc_curve

from cross_modal.errors import CrossModalError
from cross_modal.fewshot.calibration import checked_scores, expected_calibration_error, fit_temperature

if TYPE_CHECKING:
    from cross_modal.fewshot.classifiers.classifier import FewShotClassifier


@dataclass(frozen=True)
class RejectionFacts:
    """What a calibration settled, and what it measured on the validation items that settled it.

    Attributes:
        threshold: h: queries whose best score is below it are unknown.
        temperature: T: what scores are divided by before they become probabilities.
        false_accept_rate: Share of impostors with v ≥ h, at most the rate asked for.
        false_reject_rate: Share of genuine validation items with v < h.
        impostors: How many impostor scores settled the threshold.
        ece_before: Expected calibration error at temperature 1.
        ece_after: The same at T.
        auroc: Probability that a genuine item scores higher than an impostor.
        notes: What limits these numbers, a sentence each.
    """

    threshold: float
    temperature: float
    false_accept_rate: float
    false_reject_rate: float
    impostors: int
    ece_before: float
    ece_after: float
    auroc: float
    notes: tuple[str, ...] = ()


def calibrate(
    classifier: FewShotClassifier,
    X_validation: np.ndarray,
    y_validation: np.ndarray,
    *,
    false_accept_rate: float = 0.05,
    impostors: np.ndarray | None = None,
) -> RejectionFacts:
    """Sets a fitted classifier's `temperature_` and `threshold_` from validation items.

    Args:
        classifier: Fitted; changed only where everything succeeded.
        X_validation: (n, D) float embeddings of items of its classes, none of them support.
        y_validation: (n,) labels.
        false_accept_rate: The share of impostors that may be accepted, in [0, 1).
        impostors: (M, D) embeddings of items of no known class; None lets each validation item stand for one, with its
            own class's column left out.

    Returns:
        What was settled and measured.

    Raises:
        CrossModalError: No validation items, labels that the classifier does not know, a rate out of range, no impostor
            scores (one class and no impostors given), or scores that are NaN.
    """
    scores = classifier.scores(X_validation)
    y = _positions(classifier.classes_, y_validation)
    if (y < 0).any():
        stranger = np.asarray(y_validation)[y < 0][0]
        raise CrossModalError(f"calibration: expected labels among the classifier's classes, found {stranger!r}")
    exact, y = checked_scores("calibration", scores, y)
    genuine = scores.max(axis=1)
    strange = _best_of_others(scores, y) if impostors is None else _confidence(classifier, impostors)
    threshold = threshold_at(strange, false_accept_rate)
    temperature = fit_temperature(exact, y)
    facts = RejectionFacts(
        threshold=threshold,
        temperature=temperature,
        false_accept_rate=_share_accepted(strange, threshold),
        false_reject_rate=float((~accepted(genuine, threshold)).mean()),
        impostors=len(strange),
        ece_before=expected_calibration_error(softmax(exact, axis=1), y),
        ece_after=expected_calibration_error(softmax(exact / temperature, axis=1), y),
        auroc=separation(genuine, strange)[0],
        notes=_notes(len(strange), false_accept_rate, impostors is None),
    )
    calibrated: Any = classifier  # fitting leaves None for a threshold, which is all that a type checker sees
    calibrated.temperature_, calibrated.threshold_ = temperature, threshold
    return facts


def predict_or_reject(classifier: FewShotClassifier, X: np.ndarray) -> np.ndarray:
    """Labels of the queries, None for those that are unknown.

    Args:
        classifier: Fitted and calibrated.
        X: (Q, D) float embeddings.

    Returns:
        (Q,) objects: a label, or None where the best score is below the threshold.

    Raises:
        CrossModalError: The classifier was not calibrated.
    """
    scores = classifier.scores(X)
    if classifier.threshold_ is None:
        raise CrossModalError(
            f"{type(classifier).__name__}: expected a threshold to reject by, found none; calibrate it on validation"
        )
    labels = classifier.classes_.astype(object)[scores.argmax(axis=1)]
    labels[~accepted(scores.max(axis=1), classifier.threshold_)] = None
    return labels


def measure_rejection(classifier: FewShotClassifier, X: np.ndarray, y: np.ndarray) -> dict[str, float]:
    """Measures probabilities and rejection on items that took no part in the calibration.

    Items whose label the classifier does not know are the impostors. Where there is none, each item stands for one with
    its own class's column left out, as in `calibrate`.

    Args:
        classifier: Fitted; calibrated, or the three numbers at the threshold are left out.
        X: (Q, D) float embeddings.
        y: (Q,) labels, those of unknown classes included.

    Returns:
        `ece`, `auroc`, `fpr_at_95_tpr`, and at the threshold `false_accept_rate`, `false_reject_rate` and
        `accuracy_at_far`: the share of all genuine items that are accepted and rightly named, so that a genuine item
        refused is an error.

    Raises:
        CrossModalError: No item is of a known class, no impostor scores, or scores that are NaN.
    """
    scores = classifier.scores(X)
    y = _positions(classifier.classes_, y)
    known = y >= 0
    exact, truth = checked_scores("rejection", scores[known], y[known])
    best = scores.max(axis=1)
    genuine = best[known]
    strange = _best_of_others(scores, y) if known.all() else best[~known]
    auroc, fpr = separation(genuine, strange)
    probabilities = softmax(exact / classifier.temperature_, axis=1)
    metrics = {"ece": expected_calibration_error(probabilities, truth), "auroc": auroc, "fpr_at_95_tpr": fpr}
    if classifier.threshold_ is not None:
        kept = accepted(genuine, classifier.threshold_)
        metrics["false_accept_rate"] = _share_accepted(strange, classifier.threshold_)
        metrics["false_reject_rate"] = float((~kept).mean())
        metrics["accuracy_at_far"] = float((kept & (exact.argmax(axis=1) == truth)).mean())
    return metrics


def threshold_at(impostors: np.ndarray, false_accept_rate: float) -> float:
    """The smallest threshold h that at most the given share of impostors reaches (v ≥ h).

    Args:
        impostors: (m,) float confidences.
        false_accept_rate: In [0, 1). Below 1/m nothing can be told apart: h is then just above the highest impostor.

    Returns:
        h, the next number of the impostors' float type above the highest one that must be refused.

    Raises:
        CrossModalError: No impostors, NaN among them, or a rate out of range.

    >>> h = threshold_at(np.array([0.1, 0.2, 0.3, 0.4]), 0.25)
    >>> bool(0.3 < h < 0.301)
    True
    """
    if not 0 <= false_accept_rate < 1:
        raise CrossModalError(f"false-accept rate: expected a share in [0, 1), found {false_accept_rate}")
    values = _without_nan("impostors", impostors)
    may_pass = min(_may_pass(len(values), false_accept_rate), len(values) - 1)
    place = len(values) - 1 - may_pass
    return float(np.nextafter(np.partition(values, place)[place], np.asarray(np.inf, values.dtype)))


def accepted(confidences: np.ndarray, threshold: float) -> np.ndarray:
    """Which confidences reach the threshold.

    Compared in float64: NumPy would round a Python float to float32 beside float32 scores, and a threshold that lies
    one rounding step above an impostor would let it in.
    """
    return np.asarray(confidences).astype(np.float64) >= threshold


def separation(genuine: np.ndarray, impostors: np.ndarray) -> tuple[float, float]:
    """AUROC, and the share of impostors accepted where 95 % of the genuine items are.

    Args:
        genuine: (n,) confidences of items of known classes.
        impostors: (m,) confidences of strangers.

    Returns:
        AUROC and FPR at 95 % TPR.

    >>> separation(np.array([0.9, 0.8, 0.4, 0.3]), np.array([0.5, 0.1]))
    (0.75, 0.5)
    """
    values = np.concatenate([_without_nan("genuine items", genuine), _without_nan("impostors", impostors)])
    values = np.maximum(values.astype(np.float64), np.finfo(np.float64).min)  # scikit-learn takes no −∞
    labels = np.arange(len(values)) < len(genuine)
    fpr, tpr, _ = roc_curve(labels, values, drop_intermediate=False)
    return float(roc_auc_score(labels, values)), float(fpr[np.argmax(tpr >= 0.95)])


def resolution_note(scores: int, false_accept_rate: float) -> str | None:
    """A sentence where so few impostor scores cannot resolve the rate, else None.

    >>> resolution_note(12, 0.05)
    'a false-accept rate of 0.05 cannot be resolved by 12 impostors: the threshold lies above all of them'
    """
    if false_accept_rate == 0 or _may_pass(scores, false_accept_rate):
        return None
    return (
        f"a false-accept rate of {false_accept_rate:g} cannot be resolved by {scores} "
        f"impostor{'' if scores == 1 else 's'}: the threshold lies above all of them"
    )


def _may_pass(impostors: int, false_accept_rate: float) -> int:
    """How many of the impostors may be accepted; 0.29 of 100 is 29, not the 28 that rounding would make of it."""
    return math.floor(impostors * false_accept_rate + 1e-9)


def _notes(impostors: int, false_accept_rate: float, stand_ins: bool) -> tuple[str, ...]:
    coarse = resolution_note(impostors, false_accept_rate)
    stand_in = (
        "no impostors were given: each validation item, its own class's column left out, stands for a stranger"
        if stand_ins
        else None
    )
    return tuple(note for note in (coarse, stand_in) if note)


def _positions(classes: np.ndarray, y: np.ndarray) -> np.ndarray:
    """(n,) int64 positions of labels in `classes`, −1 for unknown ones."""
    return pd.Index(classes).get_indexer(pd.Index(np.asarray(y))).astype(np.int64)


def _best_of_others(scores: np.ndarray, y: np.ndarray) -> np.ndarray:
    """(n,) the best score outside the own class."""
    if scores.shape[1] < 2:
        raise CrossModalError("impostors: with one class no other column is left, expected impostors to be given")
    others = np.arange(scores.shape[1]) != y[:, None]
    return scores.max(axis=1, where=others, initial=-np.inf)


def _confidence(classifier: FewShotClassifier, X: np.ndarray) -> np.ndarray:
    """(M,) best scores of impostors; an empty table is an error of its own, before scikit-learn's."""
    if not len(X):
        raise CrossModalError("impostors: expected at least 1, found none")
    return classifier.scores(X).max(axis=1)


def _share_accepted(confidences: np.ndarray, threshold: float) -> float:
    return float(accepted(confidences, threshold).mean())


def _without_nan(what: str, confidences: np.ndarray) -> np.ndarray:
    values = np.asarray(confidences)
    if values.ndim != 1 or not len(values) or values.dtype.kind != "f":
        raise CrossModalError(f"{what}: expected floats (m,), m at least 1, found {values.dtype} {values.shape}")
    if np.isnan(values).any():
        raise CrossModalError(f"{what}: confidence {int(np.flatnonzero(np.isnan(values))[0])} is NaN")
    return values
