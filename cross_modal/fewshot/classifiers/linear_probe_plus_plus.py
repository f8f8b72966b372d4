"""A linear probe blended with text scores, with step sizes from Lipschitz constants instead of a search (LP++).

    score(x, c) = x·w_c + b_c + α_c x·t_c

One blending weight α_c a class, no factor s. All is trained on the whole support F (N, D) at once, by cross-entropy:

    start   w_c = Σ_{i∈c} f_i,  b_c = 0,  α_c = 250 · mean over classes of mean_{i∈c} f_i·t_c
    w, b    gradient descent with momentum 0.9, step 4N / λ_max(FᵀF)
    α       every 10th epoch, step N / (4 max_c Σ_i (f_i·t_c)²)

300 epochs, and the last of the best epochs on validation is kept. The public implementation never sets the gradient of
α to zero and so steps along the sum over all epochs; here it is the gradient of its own epoch.

Source: Huang et al. 2024, "LP++: a surprisingly strong linear probe for few-shot CLIP".
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from sklearn.base import clone

from cross_modal.errors import CrossModalError
from cross_modal.fewshot.classifiers.classifier import FewShotClassifier
from cross_modal.fewshot.classifiers.grouped_search import Point, Trial, placed_validation, search_by_groups
from cross_modal.fewshot.classifiers.short_steps import threads_for
from cross_modal.fewshot.classifiers.text_evidence import text_scores, texts_as_shots

MOMENTUM, ALPHA_EVERY = 0.9, 10
ALPHA_STARTS = (250.0, 25.0, 2.5)  # the published one, and two for texts that say less
EPOCHS = 300
Score = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


class LinearProbePlusPlus(FewShotClassifier):
    """A linear probe and texts, blended class by class.

    A class without a shot is trained on its text, moved across the modality gap, as if that were one shot; without any
    shot at all the scores are s x·t_c. Without texts it is a linear probe. For Euclidean distance the text scores
    −‖x − t_c‖², and everything is divided by the mean squared length of the support, so that units do not matter.

    Training does not depend on the number of epochs that follow, so that one training tells the accuracy after every
    epoch. The grid counts down: its first best is the last best epoch.

    Args:
        texts: (C, D) class texts, or None.
        classes: (C,) labels of the rows of `texts`.
        epochs: Full-batch epochs; the search finds the best number.
        alpha_start: The factor of the first α, 250 as published. Texts that say little, with so much weight, drown the
            shots for all 300 epochs, so the search tries smaller ones too.
        scale: s, which is used only where there is no shot at all.
        metric: "cosine" or "euclidean".
    """

    grid: ClassVar[Mapping[str, Sequence[Any]]] = {"alpha_start": ALPHA_STARTS, "epochs": tuple(range(EPOCHS, 0, -1))}

    def __init__(
        self,
        texts: Any = None,
        classes: Any = None,
        *,
        epochs: int = EPOCHS,
        alpha_start: float = ALPHA_STARTS[0],
        scale: float = 100.0,
        metric: str = "cosine",
    ) -> None:
        self.texts = texts
        self.classes = classes
        self.epochs = epochs
        self.alpha_start = alpha_start
        self.scale = scale
        self.metric = metric

    def _fit(self, X: np.ndarray, y: np.ndarray) -> None:
        if self.epochs < 0:
            raise CrossModalError(f"LinearProbePlusPlus: expected epochs of at least 0, found {self.epochs}")
        self.class_vectors_ = self._class_vectors()
        self.unit_ = float(np.square(X).sum(1).mean()) if self.metric == "euclidean" and X.any() else 1.0
        self._train(self.epochs)

    def _scores(self, X: np.ndarray) -> np.ndarray:
        scores = X @ self.coef_.T.astype(X.dtype) + self.intercept_.astype(X.dtype)
        text = self._text_scores(X)
        return scores if text is None else scores + self.alpha_.astype(X.dtype) * text

    def _text_scores(self, X: np.ndarray) -> np.ndarray | None:
        """(Q, C) what α weighs."""
        if self.class_vectors_ is None:
            return None
        return text_scores(X, self.class_vectors_, self.metric) / X.dtype.type(self.unit_)

    def _search(
        self,
        X: np.ndarray,
        y: np.ndarray,
        X_validation: np.ndarray,
        y_validation: np.ndarray,
        grid: Mapping[str, Sequence[Any]],
    ) -> list[Trial]:
        """One training for each start of α, validated after each epoch that the grid asks for."""

        def measure(common: Point, points: list[Point]) -> list[Trial]:
            fitted = clone(self).set_params(**common | {"epochs": 0}).fit(X, y)
            rows, truth = placed_validation(fitted, X_validation, y_validation)
            (features, text), labels = fitted._tensors(rows), torch.from_numpy(truth)
            asked = [int(point.get("epochs", self.epochs)) for point in points]
            found: dict[int, float] = {}

            def validate(epoch: int, score: Score) -> None:
                if epoch in wanted:
                    found[epoch] = int((score(features, text).argmax(1) == labels).sum()) / len(labels)

            wanted = set(asked)
            fitted._train(max(asked), validate)
            return [(point, found[epoch]) for point, epoch in zip(points, asked, strict=True)]

        return search_by_groups(grid, {"epochs"}, measure, at_once=True)

    def _tensors(self, rows: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        """Placed rows (Q, D), and what α weighs (Q, C): zero without texts."""
        text, features = self._text_scores(rows), torch.from_numpy(rows)
        return features, features.new_zeros(len(rows), len(self.classes_)) if text is None else torch.from_numpy(text)

    def _train(self, epochs: int, validate: Callable[[int, Score], None] | None = None) -> None:
        """Trains; `validate` hears how many epochs are done, from 0, and gets the scores after them."""
        alone, stand_ins = texts_as_shots(self)
        rows = np.concatenate([self.support_, stand_ins])
        y = torch.from_numpy(np.concatenate([self.support_classes_, alone]))
        features, u = self._tensors(rows)
        w, b, alpha = self._start(features, y)
        # The scores read these arrays, which share the tensors' memory.
        self.coef_, self.intercept_, self.alpha_ = w.numpy(), b.numpy(), alpha.numpy()

        def score(features: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
            return torch.addmm(b, features, w.T).addcmul_(alpha, text)

        with threads_for(4.0 * features.numel() * len(w)):
            descent = _descend(w, b, alpha, features, u, y, score)
            for epoch in range(epochs + 1):
                if validate:
                    validate(epoch, score)
                if epoch < epochs and len(rows):
                    next(descent)

    def _start(self, features: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Weights (C, D), biases (C,) and blending weights (C,) before the first epoch."""
        count = len(self.classes_)
        w = features.new_zeros(count, features.shape[1]).index_add_(0, y, features) / self.unit_
        return w, features.new_zeros(count), features.new_full((count,), self._first_alpha())

    def _first_alpha(self) -> float:
        """`alpha_start` × the mean over classes of the mean cosine of shots and text; never negative."""
        if self.texts_ is None:
            return 0.0
        both = np.flatnonzero(np.isfinite(self.texts_).all(axis=1) & (self.shots_ > 0))
        if not len(both):
            return float(self.scale * self.unit_)
        rows = self.support_ / np.maximum(np.linalg.norm(self.support_, axis=1, keepdims=True), 1e-12)
        texts = np.nan_to_num(self.texts_)
        texts = texts / np.maximum(np.linalg.norm(texts, axis=1, keepdims=True), 1e-12)
        own = (rows * texts[self.support_classes_]).sum(1)
        sums = np.bincount(self.support_classes_, own, minlength=len(texts))[both]
        return max(0.0, self.alpha_start * float((sums / self.shots_[both]).mean()))


def _descend(
    w: torch.Tensor,
    b: torch.Tensor,
    alpha: torch.Tensor,
    features: torch.Tensor,
    u: torch.Tensor,
    y: torch.Tensor,
    score: Score,
) -> Iterator[None]:
    """Full-batch epochs without end; weights change in place."""
    velocity_w, velocity_b = torch.zeros_like(w), torch.zeros_like(b)
    step, alpha_step = _steps(features, u)
    for epoch in itertools.count(1):
        errors = score(features, u).softmax(1)
        errors[torch.arange(len(y)), y] -= 1
        errors /= len(y)
        velocity_w.mul_(MOMENTUM).addmm_(errors.T, features)
        velocity_b.mul_(MOMENTUM).add_(errors.sum(0))
        w.sub_(velocity_w, alpha=step)
        b.sub_(velocity_b, alpha=step)
        if epoch % ALPHA_EVERY == 0:
            alpha.sub_((errors * u).sum(0), alpha=alpha_step)
        yield


def _steps(features: torch.Tensor, u: torch.Tensor) -> tuple[float, float]:
    """The steps of w and b, and of α; 0 where all is zero."""
    gram = features @ features.T if len(features) < features.shape[1] else features.T @ features
    largest, steepest, count = float(torch.linalg.eigvalsh(gram)[-1]), float(u.square().sum(0).max()), len(features)
    return 4 * count / largest if largest > 0 else 0.0, count / (4 * steepest) if steepest > 0 else 0.0
