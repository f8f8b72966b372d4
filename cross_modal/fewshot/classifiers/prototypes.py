"""Prototypes: each class is one point, the mean of its shots, its text, or a mixture of both.

    score(x, c) = s norm(x − m̄)·v_c         (cosine; SimpleShot, Wang et al. 2019)
    score(x, c) = −s ‖x − m̄ − v_c‖²         (Euclidean; Snell et al. 2017, "Prototypical networks")

How v_c is mixed, and what centring (m̄) does about the modality gap, is written in `prototype_mixture`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from sklearn.base import clone

from cross_modal.errors import CrossModalError
from cross_modal.fewshot.classifiers.classifier import FewShotClassifier
from cross_modal.fewshot.classifiers.grouped_search import Point, Trial, placed_validation, search_by_groups
from cross_modal.fewshot.classifiers.prototype_mixture import TEXT_ALONE, PrototypeMixture, mix_prototypes
from cross_modal.fewshot.classifiers.text_evidence import text_scores

CELLS = 1 << 20  # numbers of class means held at a time, where each shot is left out in turn


class Prototypes(FewShotClassifier):
    """The class whose prototype is nearest.

    Pictures alone (κ = 0) and texts alone are points of the grid, so that on validation both together are never worse
    than either.

    Args:
        texts: (C, D) class texts, or None.
        classes: (C,) labels of the rows of `texts`.
        kappa: κ: as many shots as a text counts; 0 is pictures alone, 1e9 and more (also infinity) texts alone.
        centre: Whether each modality is moved by its own mean, which closes the modality gap.
        blend: "embeddings" mixes points, "scores" mixes scores.
        scale: s, the factor of the logits.
        metric: "cosine" or "euclidean".

    >>> X, y = [[1.0, 0.2], [0.9, 0.0], [0.1, 1.0]], ["cat", "cat", "dog"]
    >>> Prototypes().fit(X, y).add([[-1.0, 0.1]], ["emu"]).predict([[-0.8, 0.1], [0.2, 0.7]]).tolist()
    ['emu', 'dog']
    """

    grid: ClassVar[Mapping[str, Sequence[Any]]] = {
        "blend": ("embeddings", "scores"),
        "centre": (True, False),
        "kappa": (1.0, 0.5, 2.0, 0.25, 4.0, 0.125, 8.0, 16.0, 32.0, 0.0, TEXT_ALONE),
    }
    closed_form: ClassVar[bool] = True

    def __init__(
        self,
        texts: Any = None,
        classes: Any = None,
        *,
        kappa: float = 1.0,
        centre: bool = True,
        blend: str = "embeddings",
        scale: float = 100.0,
        metric: str = "cosine",
    ) -> None:
        self.texts = texts
        self.classes = classes
        self.kappa = kappa
        self.centre = centre
        self.blend = blend
        self.scale = scale
        self.metric = metric

    def _fit(self, X: np.ndarray, y: np.ndarray) -> None:
        self.means_ = self._class_means()
        self._mix()

    def _mix(self) -> None:
        """Prototypes from the class means, which are all that the support is needed for."""
        if not self.kappa >= 0:
            raise CrossModalError(f"Prototypes: expected kappa of at least 0, found {self.kappa}")
        if self.blend not in ("embeddings", "scores"):
            raise CrossModalError(f'Prototypes: expected blend "embeddings" or "scores", found {self.blend!r}')
        self.mixture_ = self._mixture(self.means_, self.shots_)

    def _mixture(self, means: np.ndarray, shots: np.ndarray) -> PrototypeMixture:
        """The prototypes of this support, or of several supports (leading axis) with these classes and texts."""
        return mix_prototypes(
            means,
            shots,
            self.texts_,
            kappa=self.kappa,
            centre=self.centre,
            blend=self.blend,
            metric=self.metric,
        )

    def _scores(self, X: np.ndarray) -> np.ndarray:
        mixture, dtype = self.mixture_, X.dtype
        similarities = text_scores(self._centred(X), mixture.vectors, self.metric)
        return self.scale * (similarities + mixture.offsets.astype(dtype))

    def _centred(self, X: np.ndarray) -> np.ndarray:
        """(Q, D) placed queries where prototypes lie."""
        mean = self.mixture_.image_mean.astype(X.dtype)
        return self._place(X - mean) if mean.any() else X

    def _votes(self, X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        mixture, y, dtype = self.mixture_, self.support_classes_, X.dtype
        rows = (self.support_ - mixture.image_mean).astype(dtype)
        share = (mixture.shot_weights / np.maximum(self.shots_, 1))[y].astype(dtype)
        similarities = text_scores(self._centred(X), rows, self.metric)
        if self.metric == "euclidean":
            # −‖x − Σ w a‖² = Σ w (‖a − v‖² − ‖x − a‖²) where the weights of shots and text sum to 1.
            similarities += np.square(rows - mixture.vectors[y]).sum(1).astype(dtype)
        support = self.scale * share * similarities
        # What no shot has said, the text has.
        text, shown = self._scores(X), np.flatnonzero(self.shots_)
        if len(shown):
            starts = (np.cumsum(self.shots_) - self.shots_)[shown]
            text[:, shown] -= np.add.reduceat(support[:, np.argsort(y, kind="stable")], starts, axis=1)
        return support, text

    def _scores_without(self) -> np.ndarray:
        """Mixes anew without each shot, many shots at a time."""
        rows, y, shots = self.support_, self.support_classes_, self.shots_
        scores = np.empty((len(rows), len(self.classes_)), rows.dtype)
        at_once = max(1, CELLS // self.means_.size)
        for begin in range(0, len(rows), at_once):
            part = slice(begin, begin + at_once)
            x, own = rows[part], (np.arange(len(rows[part])), y[part])
            fewer, means = np.tile(shots, (len(x), 1)), np.tile(self.means_, (len(x), 1, 1))
            fewer[own] -= 1
            others = self.means_[y[part]] * shots[y[part], None] - x
            means[own] = others / np.maximum(fewer[own], 1)[:, None]
            mixture = self._mixture(means.astype(rows.dtype), fewer)
            scores[part] = self._compared(self._place(x - mixture.image_mean), mixture)
        return scores

    def _compared(self, x: np.ndarray, mixture: PrototypeMixture) -> np.ndarray:
        """(n, C) scores of rows (n, D), each against prototypes of its own (n, C, D)."""
        if self.metric == "cosine":
            similarities = np.einsum("nd,ncd->nc", x, mixture.vectors)
        else:
            similarities = -np.square(x[:, None] - mixture.vectors).sum(-1)
        return self.scale * (similarities + mixture.offsets)

    def _search(
        self,
        X: np.ndarray,
        y: np.ndarray,
        X_validation: np.ndarray,
        y_validation: np.ndarray,
        grid: Mapping[str, Sequence[Any]],
    ) -> list[Trial]:
        """Class means once for all mixtures."""

        def measure(common: Point, points: list[Point]) -> list[Trial]:
            fitted = clone(self).set_params(**common).fit(X, y)
            rows, truth = placed_validation(fitted, X_validation, y_validation)
            trials = []
            for point in points:
                fitted.set_params(**point)._mix()
                trials.append((point, float((fitted._scores(rows).argmax(1) == truth).mean())))
            return trials

        return search_by_groups(grid, {"kappa", "centre", "blend"}, measure)
