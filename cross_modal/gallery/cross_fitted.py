"""When to say "unknown", learned from the references of a gallery themselves.

A classifier that is fitted on all references cannot be calibrated on them: each has met itself. Here the references
are dealt into folds (all of one group into one), and each is scored by a classifier that never saw its fold; the
scores so gathered are what `fewshot.rejection` learns temperature and threshold from.

What stands for a stranger, in order of honesty:

1. A cohort: items of classes that are neither enrolled here nor were trained on, scored by the whole classifier.
2. Without one, every held-out reference with its own class's column left out: what its best score would be had its
   class never been enrolled. These are strangers of the gallery's own kind only. Where the model was trained on these
   very classes they lie further away than real strangers do, and more get in than was asked for; where classes look
   alike (one character under two names) they lie too near, and known items are refused that need not be.

Measured on glyphs (half of the test classes enrolled, the other half the strangers, three draws, prototypes and nearest
neighbours): with the validation classes as cohort 1.1 to 2.2 % of strangers got in where 1 % was asked, and 4.3 to
6.0 % at 5 %; with references as stand-ins, whose look-alikes meet each other, 0.0 to 0.8 % at 5 %, and 63 to 96 % of
known items were refused. The share of known items refused was foretold to within 7 points in all draws.

A held-out reference has one fold fewer of its class's references behind it than a new item will have, so that the
share of known items that are refused is a little overstated, which is the safer side. With folds of one group, a class
that has a single group is never held out: it tells nothing of how its own items score, only of how strangers do.

Sources: Geisser 1975, "The predictive sample reuse method" (cross-validation); for the threshold see
`cross_modal.fewshot.rejection`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from sklearn.base import clone

from cross_modal.errors import CrossModalError
from cross_modal.fewshot.classifiers.classifier import FewShotClassifier
from cross_modal.fewshot.rejection import RejectionFacts, calibrate, resolution_note, threshold_at

FOLDS = 5
CELLS = 1 << 23  # scores held at a time: more references than fit are drawn from


@dataclass(frozen=True)
class ReferenceRejection:
    """What the references taught about refusing.

    Attributes:
        threshold: Scores below it are unknown; None where nothing stands for a stranger.
        temperature: What scores are divided by before they become probabilities.
        strangers: What stood for strangers: "cohort", "references" or "none".
        impostors: How many scores of strangers settled the threshold.
        held_out: How many references were scored by a classifier that never saw them.
        accuracy: The share of those whose own class scored best; None where none was held out.
        false_reject_rate: The share of those below the threshold; None where unknown.
        notes: What limits these numbers, a sentence each.
    """

    threshold: float | None
    temperature: float
    strangers: str
    impostors: int
    held_out: int
    accuracy: float | None = None
    false_reject_rate: float | None = None
    notes: tuple[str, ...] = ()


def fold_of(labels: np.ndarray, groups: Sequence[str | None] | None, folds: int, seed: int = 0) -> np.ndarray:
    """Deals references into folds: those of a class evenly, those of a group together.

    Args:
        labels: (N,) classes.
        groups: (N,) groups, None where a reference has none: it is a group of its own.
        folds: How many.
        seed: Of the order in which they are dealt.

    Returns:
        (N,) int64 folds, −1 for references that must stay: nothing else of their class would be left.

    >>> fold_of(np.array(["a", "a", "b"]), None, 2).tolist()[2]
    -1
    """
    found = np.full(len(labels), -1, np.int64)
    units = np.arange(len(labels)).astype(object)
    if groups is not None:
        units = np.array([place if group is None else f"group {group}" for place, group in enumerate(groups)], object)
    names = {unit: place for place, unit in enumerate(dict.fromkeys(units.tolist()))}
    unit_of = np.array([names[unit] for unit in units.tolist()], np.int64)
    order = np.random.default_rng(seed).permutation(len(labels))
    fold_of_unit = np.full(len(names), -1, np.int64)
    by_class = order[np.argsort(labels[order], kind="stable")]
    borders = np.flatnonzero(labels[by_class][1:] != labels[by_class][:-1]) + 1
    turn = 0
    for rows in np.split(by_class, borders):
        for unit in dict.fromkeys(unit_of[rows].tolist()):
            if fold_of_unit[unit] < 0:  # a group that spans classes was dealt with the first of them
                fold_of_unit[unit], turn = turn % folds, turn + 1
        mine = fold_of_unit[unit_of[rows]]
        found[rows] = mine if len(set(mine.tolist())) > 1 else -1
    return found


def learn_rejection(
    classifier: FewShotClassifier,
    X: np.ndarray,
    y: np.ndarray,
    *,
    false_accept_rate: float = 0.05,
    cohort: np.ndarray | None = None,
    groups: Sequence[str | None] | None = None,
    seed: int = 0,
) -> ReferenceRejection:
    """Sets a fitted classifier's `temperature_` and `threshold_` from its own references.

    Args:
        classifier: Fitted on all of them.
        X: (N, D) float embeddings of the references; N may be 0 where classes are known by texts alone.
        y: (N,) their labels.
        false_accept_rate: The share of strangers that may be given a label, in [0, 1).
        cohort: (M, D) embeddings of items of no class of the classifier; None or empty: the references stand in.
        groups: (N,) groups; a reference is never scored by a classifier that saw another of its group.
        seed: Of the folds.

    Returns:
        What was learned; the classifier keeps its temperature where no reference could be held out.

    Raises:
        CrossModalError: A rate out of range.
    """
    if not 0 <= false_accept_rate < 1:
        raise CrossModalError(f"false-accept rate: expected a share in [0, 1), found {false_accept_rate}")
    strange = cohort if cohort is not None and len(cohort) else None
    if strange is None and len(classifier.classes_) < 2:
        notes = ("one class and no cohort: nothing stands for a stranger, so nothing is ever unknown",)
        return ReferenceRejection(None, classifier.temperature_, "none", 0, 0, notes=notes)
    fitted = _CrossFitted.of(classifier, X, y, groups, seed)
    if not len(fitted.rows):
        return _without_held_out(classifier, X, y, strange, false_accept_rate)
    facts = calibrate(
        cast(FewShotClassifier, fitted),
        X[fitted.rows],
        y[fitted.rows],
        false_accept_rate=false_accept_rate,
        impostors=strange,
    )
    calibrated: Any = classifier
    calibrated.temperature_, calibrated.threshold_ = facts.temperature, facts.threshold
    right = classifier.classes_[fitted.held.argmax(1)] == y[fitted.rows]
    return ReferenceRejection(
        threshold=facts.threshold,
        temperature=facts.temperature,
        strangers="references" if strange is None else "cohort",
        impostors=facts.impostors,
        held_out=len(fitted.rows),
        accuracy=float(right.mean()),
        false_reject_rate=facts.false_reject_rate,
        notes=_notes(facts, strange is None),
    )


class _CrossFitted:
    """What `calibrate` takes for a classifier: held-out references have their scores, all else the whole classifier's.

    `calibrate` asks for the scores of the references first and of strangers next, and tells them apart by nothing but
    their order; so does this.
    """

    def __init__(self, classifier: FewShotClassifier, rows: np.ndarray, held: np.ndarray) -> None:
        self.classifier, self.rows, self.held = classifier, rows, held
        self.classes_ = classifier.classes_
        self.temperature_, self.threshold_ = 1.0, None
        self._asked = False

    @classmethod
    def of(
        cls,
        classifier: FewShotClassifier,
        X: np.ndarray,
        y: np.ndarray,
        groups: Sequence[str | None] | None,
        seed: int,
    ) -> _CrossFitted:
        """Fits once for each fold and gathers the scores of those that were left out."""
        count = len(classifier.classes_)
        folds = fold_of(y, groups, FOLDS, seed) if len(X) else np.zeros(0, np.int64)
        rows = np.flatnonzero(folds >= 0)
        most = max(1, CELLS // count)
        if len(rows) > most:
            rows = np.sort(np.random.default_rng(seed).choice(rows, most, replace=False))
        held = np.zeros((len(rows), count), X.dtype)
        for fold in np.unique(folds[rows]).tolist():
            rest, asked = folds != fold, folds[rows] == fold
            fresh = clone(classifier).set_params(texts=classifier.texts_, classes=classifier.classes_)
            held[asked] = fresh.fit(X[rest], y[rest]).scores(X[rows[asked]])
        return cls(classifier, rows, held)

    def scores(self, X: np.ndarray) -> np.ndarray:
        """(n, C) scores, of the held-out references when asked first."""
        if not self._asked:
            self._asked = True
            return self.held
        return self.classifier.scores(X)


def _without_held_out(
    classifier: FewShotClassifier, X: np.ndarray, y: np.ndarray, strange: np.ndarray | None, rate: float
) -> ReferenceRejection:
    """A threshold from strangers alone, where every reference is all that is known of its class."""
    lone = "no class has two references to hold one out: how many known items are refused is not known"
    if strange is not None:
        scores, kind = classifier.scores(strange).max(axis=1), "cohort"
    elif len(X):
        others = classifier.classes_ != y[:, None]
        scores, kind = classifier.scores(X).max(axis=1, where=others, initial=-np.inf), "references"
    else:
        note = "classes are known by their texts alone and there is no cohort: nothing stands for a stranger"
        return ReferenceRejection(None, classifier.temperature_, "none", 0, 0, notes=(note,))
    calibrated: Any = classifier
    calibrated.threshold_ = threshold_at(scores, rate)
    notes = [lone, resolution_note(len(scores), rate), None if strange is not None else _STAND_INS]
    return ReferenceRejection(
        calibrated.threshold_, classifier.temperature_, kind, len(scores), 0, notes=tuple(filter(None, notes))
    )


_STAND_INS = (
    "no cohort: references stand for strangers, own class left out; the threshold is too low where the model was "
    "trained on these classes, and too high where classes look alike (index --cohort SOURCE gives real strangers)"
)
_MANY = 0.5  # of the known items


def _notes(facts: RejectionFacts, stand_ins: bool) -> tuple[str, ...]:
    kept = tuple(note for note in facts.notes if not note.startswith("no impostors"))
    if facts.false_reject_rate > _MANY:
        most = f"{100 * facts.false_reject_rate:.0f} % of known items would be refused at this false-accept rate"
        kept = (*kept, f"{most}: allow a higher one, or trust the confidences alone (rate 1)")
    return (*kept, _STAND_INS) if stand_ins else kept
