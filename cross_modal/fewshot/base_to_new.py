"""Base-to-new: what learning some classes does to the others.

Labels are sorted; the first half, rounded up, are base. Supports, validation and texts of the base classes alone are
learned from. Then base items are told among base classes, and new items among new ones, by whatever the method can say
of a class that it has only the name of: methods in closed form take the new texts in, all others score texts alone.
H = 2ab / (a + b) is high where both accuracies are.

Source: Zhou et al. 2022, "Conditional prompt learning for vision-language models" (labels are CoOp's numbers there;
names are sorted as text here).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from cross_modal.errors import CrossModalError

if TYPE_CHECKING:
    from cross_modal.fewshot.classifiers.classifier import FewShotClassifier

QUERIES = 4096  # scored at a time: affinities to all supports stay small


def base_and_new(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The first ⌈C/2⌉ of the sorted labels, and the rest.

    Raises:
        CrossModalError: Fewer than two classes.

    >>> [part.tolist() for part in base_and_new(np.array(["c", "a", "b"]))]
    [['a', 'b'], ['c']]
    """
    labels = np.unique(labels)
    if len(labels) < 2:
        raise CrossModalError(f"base-to-new: expected at least 2 classes, found {len(labels)}")
    half = math.ceil(len(labels) / 2)
    return labels[:half], labels[half:]


def harmonic_mean(first: float, second: float) -> float:
    """H = 2ab / (a + b); 0 where both are 0.

    >>> harmonic_mean(1.0, 0.5), harmonic_mean(0.0, 0.0)
    (0.6666666666666666, 0.0)
    """
    total = first + second
    return 2 * first * second / total if total else 0.0


def accuracy(classifier: FewShotClassifier, X: np.ndarray, y: np.ndarray, among: np.ndarray | None = None) -> float:
    """Share of the queries that are named rightly.

    Args:
        classifier: Fitted.
        X: (Q, D) float embeddings.
        y: (Q,) labels.
        among: The classes that are candidates; None takes all that the classifier knows.

    Returns:
        A fraction; NaN without queries.
    """
    if not len(X):
        return math.nan
    columns = slice(None) if among is None else np.flatnonzero(np.isin(classifier.classes_, among))
    candidates = classifier.classes_[columns]
    right = 0
    for start in range(0, len(X), QUERIES):
        part = slice(start, start + QUERIES)
        right += int((candidates[classifier.scores(X[part])[:, columns].argmax(axis=1)] == y[part]).sum())
    return right / len(X)


def new_accuracy(
    classifier: FewShotClassifier,
    texts: np.ndarray,
    new: np.ndarray,
    X: np.ndarray,
    y: np.ndarray,
    zero_shot: Callable[..., FewShotClassifier],
) -> float:
    """Accuracy on new classes, among themselves, of a classifier that has learned the base classes.

    Args:
        classifier: Fitted on base classes; one in closed form learns the new names here.
        texts: (C′, D) texts of the new classes.
        new: (C′,) their labels.
        X: (Q, D) embeddings of items of new classes.
        y: (Q,) labels.
        zero_shot: The class of the classifier by texts alone, for methods that cannot add a class.

    Returns:
        A fraction.
    """
    if classifier.closed_form:
        return accuracy(classifier.add(texts=texts, classes=new), X, y, among=new)
    return accuracy(zero_shot(texts=texts, classes=new, metric=classifier.metric).fit(), X, y)


def check_new_texts(texts: np.ndarray | None, new: np.ndarray) -> np.ndarray:
    """The texts of the new classes, if each has one.

    Raises:
        CrossModalError: No texts, or a new class without one.
    """
    if texts is None:
        raise CrossModalError("base-to-new: expected class texts (new classes have no support), found none")
    missing = new[~np.isfinite(texts).all(axis=1)]
    if len(missing):
        raise CrossModalError(f"base-to-new: new class {missing[0].item()!r}: expected a text, found none")
    return texts
