"""Which support decided: what each shot and each text adds to a prediction, and which shots look mislabelled.

The scores of prototypes and of Tip-Adapter are sums with a term for each shot, so that a shot's share is exact:

    Prototypes     s · a_c / K_c · x·f_i         (a_c: how much of the class mean is in the prototype)
    Tip-Adapter    α exp(−β (1 − x·f_i))

and text(c) + Σ_{i∈c} support(i) is the score. What the text adds includes all that no single shot is the cause of, such
as the gap that moves a mean to where texts lie.

A shot that is far from the rest of its class is a hint at a wrong label: leave it out, and see whether its own class
still wins. A negative margin says that another class does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted, validate_data

from cross_modal.errors import CrossModalError
from cross_modal.fewshot.classifiers.classifier import FLOATS, FewShotClassifier


@dataclass(frozen=True)
class SupportVotes:
    """What the scores of queries are made of.

    Attributes:
        support: (Q, N) what each shot adds to the score of its class; columns follow `support_` of the classifier.
        text: (Q, C) what the texts add; columns follow `classes_`.
    """

    support: np.ndarray
    text: np.ndarray


def votes(classifier: FewShotClassifier, X: Any) -> SupportVotes:
    """Takes the scores of queries apart.

    Args:
        classifier: Fitted, and additive: `Prototypes`, `TipAdapter` or `TipAdapterF`.
        X: (Q, D) float embeddings.

    Returns:
        The votes: ``text[:, c] + support[:, support_classes_ == c].sum(1)`` is the score of class c.

    Raises:
        CrossModalError: The classifier's scores are no such sum.

    >>> from cross_modal.fewshot.classifiers import TipAdapter
    >>> model = TipAdapter(alpha=1, beta=2).fit([[1.0, 0.0], [0.0, 1.0]], ["cat", "dog"])
    >>> votes(model, [[1.0, 0.0]]).support.round(3).tolist()
    [[1.0, 0.135]]
    """
    check_is_fitted(classifier, "classes_")
    X = validate_data(classifier, X, dtype=FLOATS, reset=False)
    return SupportVotes(*classifier._votes(classifier._place(X)))


def leave_one_out(classifier: FewShotClassifier, progress: Callable[[int, int], None] | None = None) -> np.ndarray:
    """How well each shot is explained by all others.

    Args:
        classifier: Fitted. Additive ones answer in closed form; others are fitted once for each shot.
        progress: Called after each of those fits with fits done and fits in all.

    Returns:
        (N,) score of the shot's own class less the best other, by the classifier that never had this shot: negative
        ones are probably mislabelled. Where votes are summed, the shots that are left speak for as many as there were,
        since every class would otherwise lose by numbers alone. NaN where nothing else is known of the shot's class,
        neither shot nor text.

    Raises:
        CrossModalError: One class only, so that there is no other.
    """
    check_is_fitted(classifier, "classes_")
    if len(classifier.classes_) < 2:
        raise CrossModalError(f"{type(classifier).__name__}: expected 2 classes or more to compare, found 1")
    y = classifier.support_classes_
    scores = classifier._scores_without()
    alone = _alone(classifier)
    if scores is None:
        scores = _refitted(classifier, np.flatnonzero(~alone), progress)
    rows = np.arange(len(y))
    own = scores[rows, y] + classifier._lost_by_numbers(scores[rows, y])
    others = scores.copy()
    others[rows, y] = -np.inf
    return np.where(alone, np.nan, own - others.max(axis=1))


def _alone(classifier: FewShotClassifier) -> np.ndarray:
    """(N,) whether a shot is all that is known of its class."""
    known = classifier.shots_ > 1
    if classifier.texts_ is not None:
        known = known | np.isfinite(classifier.texts_).all(axis=1)
    return ~known[classifier.support_classes_]


def _refitted(
    classifier: FewShotClassifier, rows: np.ndarray, progress: Callable[[int, int], None] | None
) -> np.ndarray:
    """(N, C) scores of these shots by classifiers fitted without them; zeros for all other shots."""
    X, y = classifier.support_, classifier.classes_[classifier.support_classes_]
    scores = np.zeros((len(X), len(classifier.classes_)), X.dtype)
    fresh = clone(classifier).set_params(texts=classifier.texts_, classes=classifier.classes_)
    for done, row in enumerate(rows.tolist()):
        rest = np.arange(len(X)) != row
        scores[row] = clone(fresh).fit(X[rest], y[rest]).scores(X[row : row + 1])[0]
        if progress:
            progress(done + 1, len(rows))
    return scores
