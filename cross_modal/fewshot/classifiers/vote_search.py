"""Accuracies of a grid of α and β over shots that vote, with affinities and text scores taken once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cross_modal.fewshot.classifiers.grouped_search import Point, accuracies_of_weights

if TYPE_CHECKING:
    from cross_modal.fewshot.classifiers.tip_adapter import TipAdapter


def vote_accuracies(fitted: TipAdapter, rows: np.ndarray, truth: np.ndarray, points: list[Point]) -> list[float]:
    """Measures every (α, β): the votes are summed once for each β, and weighed by all its α together.

    Args:
        fitted: Whose keys vote.
        rows: (n, D) placed validation items.
        truth: (n,) positions of their classes.
        points: Values of "alpha" and "beta"; a name that is not there keeps the value of `fitted`.

    Returns:
        One accuracy a point.
    """
    text, affinities = fitted._text_scores(rows), fitted._affinities(rows)
    by_beta: dict[float, list[int]] = {}
    for place, point in enumerate(points):
        by_beta.setdefault(point.get("beta", fitted.beta), []).append(place)
    found = np.zeros(len(points))
    for beta, places in by_beta.items():
        alphas = [points[place].get("alpha", fitted.alpha) for place in places]
        found[places] = accuracies_of_weights(text, fitted._class_votes(affinities, beta), alphas, truth)
    return found.tolist()
