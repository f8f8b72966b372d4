"""The one door to tuning: hyper-parameters by validation accuracy, from support and validation alone.

There is no argument through which test items could come, so that no search can see them. Of equal accuracies the first
in the order of the grid wins; the order is part of a classifier's documentation, and its first points are those that
one would choose without validation.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import clone

from cross_modal.errors import CrossModalError

if TYPE_CHECKING:
    from cross_modal.fewshot.classifiers.classifier import FewShotClassifier


@dataclass(frozen=True)
class SearchResult:
    """What a search found.

    Attributes:
        classifier: Fitted with the parameters found.
        parameters: What was chosen, name → value; empty where nothing was searched.
        accuracy: Its validation accuracy; NaN without validation.
        trials: Every point of the grid with its validation accuracy, in grid order.
        note: A sentence where something kept the search from choosing, else empty.
    """

    classifier: FewShotClassifier
    parameters: dict[str, Any]
    accuracy: float
    trials: list[tuple[dict[str, Any], float]] = field(default_factory=list)
    note: str = ""


def search(
    classifier: FewShotClassifier,
    X: Any,
    y: Any,
    X_validation: Any = None,
    y_validation: Any = None,
    grid: Mapping[str, Sequence[Any]] | None = None,
) -> SearchResult:
    """Chooses hyper-parameters by validation accuracy, then fits with them.

    Args:
        classifier: What is tuned; it is not changed.
        X: (N, D) embeddings of the support.
        y: (N,) labels.
        X_validation: (n, D) embeddings of validation items, none of them support. None, or none of them, keeps the
            classifier's own hyper-parameters.
        y_validation: (n,) labels; one that the classifier does not know counts as wrong whatever is predicted.
        grid: Values of each hyper-parameter; None takes the classifier's documented grid.

    Returns:
        The fitted classifier, what was chosen, and all trials.

    Raises:
        CrossModalError: A name that is no hyper-parameter, a name without values, or validation items that do not
            fit their labels or the support.

    >>> from cross_modal.fewshot.classifiers import Prototypes
    >>> X, y = np.array([[1.0, 0.0], [0.0, 1.0]]), np.array(["cat", "dog"])
    >>> found = search(Prototypes(), X, y, [[0.9, 0.2]], ["cat"], grid={"centre": [False, True]})
    >>> found.parameters, found.accuracy
    ({'centre': False}, 1.0)
    """
    points = classifier.grid if grid is None else grid
    _check_grid(classifier, points)
    if X_validation is None or not len(X_validation):
        note = f"{type(classifier).__name__}: no validation items, so its own hyper-parameters are kept"
        return SearchResult(clone(classifier).fit(X, y), {}, math.nan, [], note)
    X_validation, y_validation = _checked_validation(X_validation, y_validation)
    trials = classifier._search(X, y, X_validation, y_validation, points)
    parameters, accuracy = max(trials, key=lambda trial: trial[1])  # the first of equal ones
    return SearchResult(clone(classifier).set_params(**parameters).fit(X, y), parameters, accuracy, trials)


def _check_grid(classifier: FewShotClassifier, grid: Mapping[str, Sequence[Any]]) -> None:
    """Every name is a hyper-parameter and has a value."""
    name = type(classifier).__name__
    names = sorted(set(classifier.get_params()) - {"texts", "classes"})
    unknown = sorted(set(grid) - set(names))
    if unknown:
        raise CrossModalError(f"{name}: expected a grid over some of {', '.join(names)}, found {unknown[0]!r}")
    without = [parameter for parameter, values in grid.items() if not len(values)]
    if without:
        raise CrossModalError(f"{name}: grid of {without[0]}: expected one value or more, found none")


def _checked_validation(X: Any, y: Any) -> tuple[np.ndarray, np.ndarray]:
    """(n, D) finite embeddings and (n,) labels."""
    X, y = np.asarray(X), np.asarray(y)
    if X.ndim != 2 or X.dtype.kind not in "fiu" or y.shape != X.shape[:1]:
        raise CrossModalError(f"validation: expected numbers (n, D) and n labels, found {X.shape} and {y.shape}")
    finite = np.isfinite(X).all(axis=1)
    if not finite.all():
        raise CrossModalError(f"validation: expected finite embeddings, found NaN or infinity in row {finite.argmin()}")
    return X, y
