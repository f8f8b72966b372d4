"""Nearest neighbours: a class is as near as its nearest shots.

    score(x, c) = s · mean of the k largest x·f_i, i ∈ c          (cosine)
    score(x, c) = −s · mean of the k smallest ‖x − f_i‖², i ∈ c   (Euclidean)

k = 1 is the maximum. Where all classes have k shots or more, a mean ranks as a sum does; where a class has fewer, a sum
would count its missing shots against it.

Source: Fix and Hodges 1951, "Discriminatory analysis"; here the neighbours are counted in each class by itself, as few
shots are as many for a rare class as for a common one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from cross_modal.errors import CrossModalError
from cross_modal.fewshot.classifiers.classifier import FewShotClassifier
from cross_modal.fewshot.classifiers.text_evidence import text_scores, texts_as_shots

CELLS = 1 << 23  # similarities held at a time: 32 MB of float32


class NearestNeighbours(FewShotClassifier):
    """The class with the nearest shots.

    Texts have a say only where a class has no shot: there the text stands in for one, moved across the modality gap to
    where pictures lie. Without any shot, texts are compared as they are.

    Args:
        texts: (C, D) class texts, or None.
        classes: (C,) labels of the rows of `texts`.
        neighbours: k, how many of a class's nearest shots count; all of them where it has fewer.
        scale: s, the factor of the logits.
        metric: "cosine" or "euclidean".

    >>> X, y = [[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]], ["cat", "dog", "dog"]
    >>> NearestNeighbours().fit(X, y).predict([[0.9, 0.3]]).tolist()
    ['cat']
    """

    grid: ClassVar[Mapping[str, Sequence[Any]]] = {"neighbours": (1, 2, 3, 5)}
    closed_form: ClassVar[bool] = True

    def __init__(
        self,
        texts: Any = None,
        classes: Any = None,
        *,
        neighbours: int = 1,
        scale: float = 100.0,
        metric: str = "cosine",
    ) -> None:
        self.texts = texts
        self.classes = classes
        self.neighbours = neighbours
        self.scale = scale
        self.metric = metric

    def _fit(self, X: np.ndarray, y: np.ndarray) -> None:
        if isinstance(self.neighbours, bool) or not self.neighbours >= 1 or self.neighbours != int(self.neighbours):
            raise CrossModalError(f"NearestNeighbours: expected 1 neighbour or more, found {self.neighbours!r}")
        alone, stand_ins = texts_as_shots(self)
        if not len(X):
            assert self.texts_ is not None  # a class has a shot or a text
            alone, stand_ins = np.arange(len(self.classes_)), self.texts_
        rows, places = np.concatenate([X, stand_ins]), np.concatenate([y, alone])
        order = np.argsort(places, kind="stable")
        self.references_, self.reference_classes_ = rows[order], places[order]

    def _scores(self, X: np.ndarray) -> np.ndarray:
        counts = np.bincount(self.reference_classes_, minlength=len(self.classes_))
        starts = np.cumsum(counts) - counts
        if self.neighbours == 1 or counts.max() == 1:
            return self.scale * np.maximum.reduceat(text_scores(X, self.references_, self.metric), starts, axis=1)
        scores = np.empty((len(X), len(counts)), X.dtype)
        at_once = max(1, CELLS // (len(counts) * int(counts.max())))
        for begin in range(0, len(X), at_once):
            part = slice(begin, begin + at_once)
            scores[part] = self._nearest(text_scores(X[part], self.references_, self.metric), starts, counts)
        return self.scale * scores

    def _nearest(self, similarities: np.ndarray, starts: np.ndarray, counts: np.ndarray) -> np.ndarray:
        """(q, C) mean of the k largest of each class's columns, or of all where it has fewer."""
        most, k = int(counts.max()), min(int(self.neighbours), int(counts.max()))
        there = np.arange(most) < counts[:, None]  # (C, most)
        columns = np.where(there, starts[:, None] + np.arange(most), 0)
        table = np.where(there, similarities[:, columns], -np.inf)  # (q, C, most)
        nearest = np.partition(table, most - k, axis=2)[:, :, most - k :]
        nearest[~np.isfinite(nearest)] = 0
        return nearest.sum(axis=2) / np.minimum(counts, k).astype(similarities.dtype)
