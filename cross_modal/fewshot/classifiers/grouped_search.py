"""Search over a grid where some hyper-parameters share their work: such points are measured together.

Alpha of a discriminant, the epochs of one training, learning rates trained as one stack: fitting anew for each would
repeat what they have in common. Points that differ only in shared names form a group, and a group is one fit.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from cross_modal.errors import CrossModalError
from cross_modal.fewshot.classifiers.classifier import grid_points
from cross_modal.fewshot.classifiers.short_steps import side_by_side

if TYPE_CHECKING:
    from cross_modal.fewshot.classifiers.classifier import FewShotClassifier

Point = dict[str, Any]
Trial = tuple[Point, float]
CELLS = 1 << 23  # scores held at a time: 32 MB of float32


def search_by_groups(
    grid: Mapping[str, Sequence[Any]],
    shared: Collection[str],
    measure: Callable[[Point, list[Point]], Sequence[Trial]],
    *,
    at_once: bool = False,
) -> list[Trial]:
    """Measures each group of grid points together.

    Args:
        grid: Values of each hyper-parameter.
        shared: Names whose values are measured together.
        measure: Gets what a group has in common and its points; gives a trial for each, in order.
        at_once: Measure groups side by side, each on one core.

    Returns:
        One trial for each grid point, in grid order.

    >>> grid = {"a": [1, 2], "b": [3, 4]}
    >>> search_by_groups(grid, {"a"}, lambda common, points: [(point, sum(point.values())) for point in points])
    [({'a': 1, 'b': 3}, 4), ({'a': 1, 'b': 4}, 5), ({'a': 2, 'b': 3}, 5), ({'a': 2, 'b': 4}, 6)]
    """
    points = list(grid_points(grid))
    groups: dict[tuple[int, ...], list[int]] = {}
    apart = [name for name in grid if name not in shared]
    for place, point in enumerate(points):
        groups.setdefault(tuple(list(grid[name]).index(point[name]) for name in apart), []).append(place)
    work = [
        partial(measure, {name: points[places[0]][name] for name in apart}, [points[place] for place in places])
        for places in groups.values()
    ]
    found = side_by_side(work) if at_once else [each() for each in work]
    trials: dict[int, Trial] = {}
    for places, measured in zip(groups.values(), found, strict=True):
        trials.update(zip(places, measured, strict=True))
    return [trials[place] for place in range(len(points))]


def placed_validation(fitted: FewShotClassifier, X: Any, y: Any) -> tuple[np.ndarray, np.ndarray]:
    """Validation items as a fitted classifier sees them.

    Args:
        fitted: A fitted classifier.
        X: (n, D) embeddings.
        y: (n,) labels; one that the classifier does not know counts as wrong whatever is predicted.

    Returns:
        (n, D) placed rows in the dtype of its support, and (n,) int64 positions, −1 for unknown labels.

    Raises:
        CrossModalError: Another width, or not one label a row.
    """
    X, y = np.asarray(X), np.asarray(y)
    if X.ndim != 2 or X.shape[1] != fitted.n_features_in_ or len(X) != len(y) or not len(X):
        raise CrossModalError(
            f"validation: expected (n, {fitted.n_features_in_}) embeddings and n labels, found {X.shape} and {y.shape}"
        )
    if not np.isfinite(X).all():
        raise CrossModalError("validation: expected finite embeddings, found NaN or infinity")
    places = np.minimum(np.searchsorted(fitted.classes_, y), len(fitted.classes_) - 1)
    truth = np.where(fitted.classes_[places] == y, places, -1)
    return fitted._place(X.astype(fitted.support_.dtype, copy=False)), truth.astype(np.int64)


def accuracies_of_weights(
    first: np.ndarray | None, second: np.ndarray, factors: Sequence[float], truth: np.ndarray
) -> list[float]:
    """Accuracy of ``first + factor · second`` for each factor, many at a time.

    Args:
        first: (n, C) scores, or None for none.
        second: (n, C) scores.
        factors: The factors.
        truth: (n,) positions of the true classes.

    Returns:
        One accuracy a factor.
    """
    if first is None:
        return [float((second.argmax(1) == truth).mean())] * len(factors)
    values = np.asarray(factors, second.dtype)
    at_once = max(1, CELLS // max(1, second.size))
    found: list[float] = []
    for begin in range(0, len(values), at_once):
        scores = first + values[begin : begin + at_once, None, None] * second
        found += (scores.argmax(-1) == truth).mean(1).tolist()
    return found
