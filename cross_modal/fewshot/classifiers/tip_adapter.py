"""Shots as a cache beside zero-shot scores, without training (Tip-Adapter).

    score(x, c) = s x·t_c + α Σ_{i∈c} exp(−β (1 − x·f_i))

Each shot votes for its class by how near it is; β says how fast a vote fades, α how much votes weigh beside the text.
The votes of shots are a sum: which shot decided is known exactly (`cross_modal.fewshot.support_votes`).

Source: Zhang et al. 2022, "Tip-Adapter: training-free adaption of CLIP for few-shot classification". For Euclidean
distance the text scores −s ‖x − t_c‖² and the vote exp(−β ‖x − f_i‖² / 2), which on the sphere is the same vote.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from sklearn.base import clone

from cross_modal.errors import CrossModalError
from cross_modal.fewshot.classifiers.classifier import FewShotClassifier, Views
from cross_modal.fewshot.classifiers.grouped_search import Point, Trial, placed_validation, search_by_groups
from cross_modal.fewshot.classifiers.text_evidence import text_scores
from cross_modal.fewshot.classifiers.vote_search import vote_accuracies

CELLS = 1 << 23  # affinities held at a time: 32 MB of float32
BETAS = tuple(float(f"{beta:.4g}") for beta in np.geomspace(0.1, 50, 200))
ALPHAS = tuple(float(f"{alpha:.4g}") for alpha in np.geomspace(0.1, 10_000, 20))


class TipAdapter(FewShotClassifier):
    """Zero-shot scores and the votes of shots.

    Without texts the votes alone decide. A class without shots has its text's score alone; a class without a text has
    the score of its mean shot, moved across the modality gap, in its place. Of a shot's augmented views the key is the
    mean at length one.

    The published grids differ from one data set to the next (both up to 3 here, up to 50 there). Here one grid is for
    all, in even ratios: 200 β from 0.1 to 50, outermost, × 20 α from 0.1 to 10,000; the first best wins. α goes that
    far because s = 100 is the scale of pretrained models, whose cosines to texts differ by hundredths. Those of a twin
    that was trained on similar classes differ by tenths, and up to α = 50 no vote is heard beside its texts.

    Args:
        texts: (C, D) class texts, or None.
        classes: (C,) labels of the rows of `texts`.
        alpha: α, the weight of votes; 0 is zero-shot.
        beta: β, their sharpness.
        scale: s, the factor of the text scores.
        metric: "cosine" or "euclidean".

    >>> texts, X, y = np.eye(2), [[0.6, 0.8], [0.0, 1.0]], [0, 1]
    >>> [TipAdapter(texts, alpha=alpha, beta=10).fit(X, y).predict([[0.62, 0.78]]).item() for alpha in (0, 100)]
    [1, 0]
    """

    views: ClassVar[Views] = "mean"
    grid: ClassVar[Mapping[str, Sequence[Any]]] = {"beta": BETAS, "alpha": ALPHAS}
    closed_form: ClassVar[bool] = True

    def __init__(
        self,
        texts: Any = None,
        classes: Any = None,
        *,
        alpha: float = 1.0,
        beta: float = 5.5,
        scale: float = 100.0,
        metric: str = "cosine",
    ) -> None:
        self.texts = texts
        self.classes = classes
        self.alpha = alpha
        self.beta = beta
        self.scale = scale
        self.metric = metric

    def _fit(self, X: np.ndarray, y: np.ndarray) -> None:
        if not (self.alpha >= 0 and self.beta >= 0):
            raise CrossModalError(f"TipAdapter: expected α and β of at least 0, found {self.alpha} and {self.beta}")
        self.class_vectors_ = self._class_vectors()
        # In the order of classes, so that a class's votes are a sum over neighbouring columns.
        self.order_ = np.argsort(y, kind="stable")

    def _scores(self, X: np.ndarray) -> np.ndarray:
        text = self._text_scores(X)
        votes = self._class_votes(self._affinities(X), self.beta)
        return votes if text is None else text + X.dtype.type(self.alpha) * votes

    def _votes(self, X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        support = np.empty((len(X), len(self.support_)), X.dtype)
        support[:, self.order_] = np.exp(X.dtype.type(self.beta) * self._affinities(X))
        text = self._text_scores(X)
        if text is None:
            return support, np.zeros((len(X), len(self.classes_)), X.dtype)
        return X.dtype.type(self.alpha) * support, text

    def _scores_without(self) -> np.ndarray | None:
        """A shot's own vote is all that goes with it, where no text score is made from shots."""
        stand_ins = self.texts_ is not None and not np.isfinite(self.texts_).all()
        if not self.closed_form or stand_ins:
            return None
        rows, y = self.support_, self.support_classes_
        at_once = max(1, CELLS // max(1, len(rows)))
        parts = [self._scores(rows[begin : begin + at_once]) for begin in range(0, len(rows), at_once)]
        scores = np.concatenate(parts)
        affinities = np.square(rows).sum(1) - 1 if self.metric == "cosine" else np.zeros(len(rows))
        own = np.exp(self.beta * affinities)
        scores[np.arange(len(rows)), y] -= own if self.texts_ is None else self.alpha * own
        return scores

    def _lost_by_numbers(self, own: np.ndarray) -> np.ndarray:
        """The mean vote of the shots that are left: votes are summed, and one is missing."""
        rows, y = np.arange(len(own)), self.support_classes_
        text = self._text_scores(self.support_)
        votes = own if text is None else own - text[rows, y]
        return votes / np.maximum(self.shots_[y] - 1, 1)

    def _text_scores(self, X: np.ndarray) -> np.ndarray | None:
        if self.class_vectors_ is None:
            return None
        return self.scale * text_scores(X, self.class_vectors_, self.metric)

    def _affinities(self, X: np.ndarray) -> np.ndarray:
        """(Q, N) what β multiplies: x·f − 1, or −‖x − f‖²/2; columns in the order of classes."""
        similarities = text_scores(X, self.support_[self.order_], self.metric)
        return similarities - 1 if self.metric == "cosine" else similarities / 2

    def _class_votes(self, affinities: np.ndarray, beta: float) -> np.ndarray:
        """(Q, C) sums of votes before their weight; zero for classes without shots."""
        votes = np.zeros((len(affinities), len(self.classes_)), affinities.dtype)
        shown = np.flatnonzero(self.shots_)
        if len(shown):
            starts = (np.cumsum(self.shots_) - self.shots_)[shown]
            near = affinities.dtype.type(beta) * affinities
            votes[:, shown] = np.add.reduceat(np.exp(near, out=near), starts, axis=1)
        return votes

    def _search(
        self,
        X: np.ndarray,
        y: np.ndarray,
        X_validation: np.ndarray,
        y_validation: np.ndarray,
        grid: Mapping[str, Sequence[Any]],
    ) -> list[Trial]:
        """One fit for all α and β: text scores and affinities once, votes once for each β."""

        def measure(common: Point, points: list[Point]) -> list[Trial]:
            fitted = clone(self).set_params(**common).fit(X, y)
            rows, truth = placed_validation(fitted, X_validation, y_validation)
            return list(zip(points, vote_accuracies(fitted, rows, truth, points), strict=True))

        return search_by_groups(grid, {"alpha", "beta"}, measure)
