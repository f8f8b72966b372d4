"""What class texts say to classifiers that learn from pictures: scores, and stand-in shots for classes without any.

A class that is known by its text alone has no picture from which a mean or a weight could be learned. Its text takes
the place of one shot, moved by the distance between the modalities' means, since texts lie apart from pictures (the
modality gap, Liang et al. 2022, "Mind the gap").
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from cross_modal.fewshot.classifiers.classifier import FewShotClassifier


def text_scores(X: np.ndarray, vectors: np.ndarray, metric: str) -> np.ndarray:
    """Cosine of placed rows, or minus the squared distance −‖x − t‖² (Snell et al. 2017).

    Args:
        X: (Q, D) placed queries.
        vectors: (C, D) placed, one a class.
        metric: "cosine" or "euclidean".

    Returns:
        (Q, C) in the dtype of X.

    >>> text_scores(np.array([[1.0, 0.0]]), np.array([[0.0, 1.0], [1.0, 0.0]]), "euclidean").tolist()
    [[-2.0, -0.0]]
    """
    vectors = vectors.astype(X.dtype, copy=False)
    products = X @ vectors.T
    if metric == "cosine":
        return products
    lengths = np.square(X).sum(1, keepdims=True) + np.square(vectors).sum(1)
    return -np.maximum(lengths - 2 * products, 0)


def texts_as_shots(classifier: FewShotClassifier) -> tuple[np.ndarray, np.ndarray]:
    """One stand-in shot for each class that has a text and no shot.

    The gap is the mean over classes with both of (mean shot − text); where no class has both it is taken as none.

    Args:
        classifier: Whose `texts_`, `shots_` and `support_` are set.

    Returns:
        Positions (A,) int64 of these classes, and placed rows (A, D); none where the classifier has no support at all.
    """
    none = np.zeros(0, np.int64), classifier.support_[:0]
    if classifier.texts_ is None or not len(classifier.support_):
        return none
    named = np.isfinite(classifier.texts_).all(axis=1)
    alone = np.flatnonzero(named & (classifier.shots_ == 0))
    if not len(alone):
        return none
    rows, both = classifier.texts_[alone], named & (classifier.shots_ > 0)
    if both.any():
        means = classifier._place(classifier._class_means())
        rows = rows + means[both].mean(0) - classifier.texts_[both].mean(0)
    return alone, classifier._place(rows)
