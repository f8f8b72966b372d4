"""Gaussian discriminant analysis beside zero-shot scores: closed form, no training (GDA).

Pictures of class c are taken to be normal around μ_c with one covariance Σ for all classes. With N support rows, C
classes and D dimensions, the within-class scatter S = Σ_c Σ_{i∈c} (f_i − μ_c)(f_i − μ_c)ᵀ, Σ = S/(N − 1):

    P   = D · (S + tr(Σ) I)⁻¹
    w_c = P μ_c,   b_c = −log C − ½ μ_c·P μ_c
    score(x, c) = s x·t_c + α (x·w_c + b_c)

Source: Wang et al. 2024, "A hard-to-beat baseline for training-free CLIP-based adaptation", with the empirical Bayes
ridge of Kubokawa and Srivastava 2008. One shot and one view a class has no scatter: P is taken as 0, which is
zero-shot.

Counts n_c, means and S are sufficient (S = Σ f fᵀ − Σ_c n_c μ_c μ_cᵀ), so that shots and classes come and go without a
refit. S is kept around the class means rather than as Σ f fᵀ: nothing cancels, and no scatter is exactly zero. With
fewer rows than dimensions S is not formed at all; by Woodbury's identity, A the rows less their class means,

    (AᵀA + τI)⁻¹ μ = (μ − Aᵀ (A Aᵀ + τI)⁻¹ A μ) / τ,

which is a system of N equations instead of D.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from scipy.sparse import csr_array
from sklearn.base import clone

from cross_modal.fewshot.classifiers.classifier import FewShotClassifier, Views
from cross_modal.fewshot.classifiers.grouped_search import (
    Point,
    Trial,
    accuracies_of_weights,
    placed_validation,
    search_by_groups,
)
from cross_modal.fewshot.classifiers.short_steps import threads_for
from cross_modal.fewshot.classifiers.text_evidence import text_scores, texts_as_shots

KEPT = 1e-4  # share of the scatter below which a difference has lost too many digits


class GaussianDiscriminant(FewShotClassifier):
    """Normal classes with one covariance, added to zero-shot scores.

    A class without a shot has its text in the place of the mean, moved across the modality gap. Without texts the
    scores are x·w_c + b_c alone, and shots without scatter compare by distance to the class means (P = D·I).

    Args:
        texts: (C, D) class texts, or None.
        classes: (C,) labels of the rows of `texts`.
        alpha: Weight of the discriminant beside the texts; 0 is zero-shot.
        scale: s, the factor of the cosines to texts.
        metric: "cosine" or "euclidean".

    >>> X, texts = np.array([[1.0, 0.1], [0.9, 0.0], [0.0, 1.0], [0.2, 0.9]]), np.eye(2)
    >>> model = GaussianDiscriminant(texts).fit(X, ["a", "a", "b", "b"])
    >>> model.add([[-1.0, 0.0]], ["c"]).predict([[-0.9, 0.1]]).tolist()
    ['c']
    """

    views: ClassVar[Views] = "rows"
    grid: ClassVar[Mapping[str, Sequence[Any]]] = {"alpha": tuple(10.0**power for power in range(-4, 5))}
    closed_form: ClassVar[bool] = True

    def __init__(
        self,
        texts: Any = None,
        classes: Any = None,
        *,
        alpha: float = 0.1,
        scale: float = 100.0,
        metric: str = "cosine",
    ) -> None:
        self.texts = texts
        self.classes = classes
        self.alpha = alpha
        self.scale = scale
        self.metric = metric

    def _fit(self, X: np.ndarray, y: np.ndarray) -> None:
        self.means_ = _means(X.astype(np.float64), y, self.shots_)
        self.scatter_ = self._whole_scatter()
        self._solve()

    def _extend(self, X: np.ndarray, y: np.ndarray, old: np.ndarray, before: int) -> None:
        """Merges new rows into counts, means and scatter (Chan et al. 1979, pairwise updates)."""
        rows, new = X.astype(np.float64), np.bincount(y, minlength=len(self.classes_))
        former = self.shots_ - new
        means = np.zeros((len(self.classes_), X.shape[1]))
        means[old] = self.means_
        arrived = _means(rows, y, new)
        share = (new / np.maximum(self.shots_, 1))[:, None]
        self.means_ = means + share * (arrived - means)
        if self.scatter_ is None:
            self.scatter_ = self._whole_scatter()
        else:
            within = rows - arrived[y]
            between = np.sqrt(former[:, None] * share) * (arrived - means)
            self.scatter_ = self.scatter_ + _gram(within) + _gram(between)
        self._solve()

    def _shrink(self, X: np.ndarray, y: np.ndarray, kept: np.ndarray) -> None:
        """Takes the scatter of the classes that go away again."""
        within, before = X.astype(np.float64) - self.means_[y], self.scatter_
        self.means_ = self.means_[kept]
        if before is None or len(self.support_) < X.shape[1]:
            self.scatter_ = None
        else:
            self.scatter_ = before - _gram(within)
            # Where next to nothing is left, what is left is rounding: it is summed anew.
            if np.trace(self.scatter_) < KEPT * np.trace(before):
                self.scatter_ = self._whole_scatter()
        self._solve()

    def _scores(self, X: np.ndarray) -> np.ndarray:
        text, discriminant = self._parts(X)
        return discriminant if text is None else text + X.dtype.type(self.alpha) * discriminant

    def _parts(self, X: np.ndarray) -> tuple[np.ndarray | None, np.ndarray]:
        """Scores (Q, C) by text, if there are texts, and by the discriminant before its weight."""
        discriminant = X @ self.weights_.T.astype(X.dtype) + self.bias_.astype(X.dtype)
        if self.class_vectors_ is None:
            return None, discriminant
        return self.scale * text_scores(X, self.class_vectors_, self.metric), discriminant

    def _search(
        self,
        X: np.ndarray,
        y: np.ndarray,
        X_validation: np.ndarray,
        y_validation: np.ndarray,
        grid: Mapping[str, Sequence[Any]],
    ) -> list[Trial]:
        """One fit and one pass over validation for all alphas."""

        def measure(common: Point, points: list[Point]) -> list[Trial]:
            fitted = clone(self).set_params(**common).fit(X, y)
            rows, truth = placed_validation(fitted, X_validation, y_validation)
            alphas = [point.get("alpha", fitted.alpha) for point in points]
            text, discriminant = fitted._parts(rows)
            return list(zip(points, accuracies_of_weights(text, discriminant, alphas, truth), strict=True))

        return search_by_groups(grid, {"alpha"}, measure)

    def _whole_scatter(self) -> np.ndarray | None:
        """(D, D) within-class scatter of all support; None where the rows are fewer than the dimensions."""
        if len(self.support_) < self.support_.shape[1]:
            return None
        return _gram(self._within())

    def _within(self) -> np.ndarray:
        """(N, D) float64 support less its class means."""
        return self.support_.astype(np.float64) - self.means_[self.support_classes_]

    def _solve(self) -> None:
        """Weights and biases from the sufficient statistics."""
        means = self.means_.copy()
        alone, stand_ins = texts_as_shots(self)
        means[alone] = stand_ins
        self.class_vectors_ = self._class_vectors()
        self.weights_ = self._whitened(means)
        self.bias_ = -np.log(len(means)) - (means * self.weights_).sum(1) / 2

    def _whitened(self, means: np.ndarray) -> np.ndarray:
        """(C, D): P μ_c for every class."""
        count, dim = self.support_.shape
        within = self._within() if self.scatter_ is None else np.zeros((0, dim))
        trace = float(np.square(within).sum() if self.scatter_ is None else np.trace(self.scatter_))
        # What rounding leaves of equal rows is no scatter.
        if count < 2 or trace <= count * np.finfo(self.support_.dtype).eps ** 2 * np.square(means).sum(1).max():
            return means * (dim if self.texts_ is None else 0.0)
        ridge = trace / (count - 1)
        if self.scatter_ is not None:
            system = self.scatter_ + ridge * np.eye(dim)
            return dim * _solved(system, means.T).T
        system = _gram(within.T) + ridge * np.eye(count)
        return dim / ridge * (means - _solved(system, within @ means.T).T @ within)


def _means(rows: np.ndarray, y: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """(C, D) float64 class means; zero where a class has no row."""
    members = csr_array((np.ones(len(y)), (y, np.arange(len(y)))), shape=(len(counts), len(y)))
    return (members @ rows) / np.maximum(counts, 1)[:, None]


def _gram(rows: np.ndarray) -> np.ndarray:
    """(D, D) products of the columns of (N, D) rows."""
    tensor = torch.from_numpy(rows)
    with threads_for(2.0 * rows.size * rows.shape[1]):
        return (tensor.T @ tensor).numpy()


def _solved(system: np.ndarray, right: np.ndarray) -> np.ndarray:
    """The solution (M, C) of a positive definite system (M, M) with right sides (M, C), by Cholesky."""
    with threads_for(len(system) ** 3 / 3 + 2.0 * len(system) * right.size):
        factor = torch.linalg.cholesky(torch.from_numpy(system))
        return torch.cholesky_solve(torch.from_numpy(right), factor).numpy()
