"""A linear probe that is trained on pictures and on class texts alike (cross-modal adaptation).

The weights W (C, D), without a bias, start at the class texts. Every step joins half a batch of pictures and half a
batch of texts in one cross-entropy on s W z; W is not normalised. A text is one more example of its class, which is
why a class may have a text and no shot.

Source: Lin et al. 2023, "Multimodality helps unimodality: cross-modal few-shot learning with multimodal models".
Whether a gain comes from the texts as samples or from the start at the texts is a fair question (their one-modality
baseline started at the texts too): `start` and `texts_as_samples` switch the two apart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from sklearn.base import clone
from sklearn.utils import check_random_state

from cross_modal.errors import CrossModalError
from cross_modal.fewshot.classifiers.classifier import FewShotClassifier, Views
from cross_modal.fewshot.classifiers.content_order import content_order
from cross_modal.fewshot.classifiers.grouped_search import Point, Trial, placed_validation, search_by_groups
from cross_modal.fewshot.classifiers.probe_training import Recipe, Samples, Trained, Validation, train_stack


class CrossModalProbe(FewShotClassifier):
    """A linear probe with texts as training samples.

    Without any shot nothing is trained, and the probe is what it starts from. Without texts it is a probe of pictures
    alone, which starts at the class means. Results depend neither on the order of the shots nor on the names of the
    classes: batches are drawn from the support in an order of its own.

    Args:
        texts: (C, D) class texts, or None.
        classes: (C,) labels of the rows of `texts`.
        lr: Highest learning rate of AdamW.
        weight_decay: Its decoupled weight decay.
        batch: Samples of a step, half of them texts.
        steps: Length of the schedule.
        stop: Steps that are taken; None takes all. The search finds the step that is first best on validation.
        start: "text" starts at the class texts, "zero" at zero.
        texts_as_samples: Whether texts are training samples too.
        wise: Share of the class texts in the final weights (WiSE, Wortsman et al. 2022).
        scale: s, the factor of the logits.
        metric: "cosine", or "euclidean", where the probe has a bias that starts at −‖t‖².
        random_state: Seed of the batches.
    """

    views: ClassVar[Views] = "rows"
    grid: ClassVar[Mapping[str, Sequence[Any]]] = {
        "lr": (1e-3, 1e-4),
        "weight_decay": (0.0, 1e-2, 1e-4),
        "batch": (8, 32),
    }

    def __init__(
        self,
        texts: Any = None,
        classes: Any = None,
        *,
        lr: float = 1e-3,
        weight_decay: float = 1e-2,
        batch: int = 8,
        steps: int = 12_800,
        stop: int | None = None,
        start: str = "text",
        texts_as_samples: bool = True,
        wise: float = 0.0,
        scale: float = 100.0,
        metric: str = "cosine",
        random_state: Any = 0,
    ) -> None:
        self.texts = texts
        self.classes = classes
        self.lr = lr
        self.weight_decay = weight_decay
        self.batch = batch
        self.steps = steps
        self.stop = stop
        self.start = start
        self.texts_as_samples = texts_as_samples
        self.wise = wise
        self.scale = scale
        self.metric = metric
        self.random_state = random_state

    def _fit(self, X: np.ndarray, y: np.ndarray) -> None:
        self._check()
        recipe = Recipe(self.lr, self.weight_decay, self.batch)
        self.coef_ = self._train([recipe], self.steps if self.stop is None else self.stop).weights[0].numpy()

    def _scores(self, X: np.ndarray) -> np.ndarray:
        scores = self._lifted(X) @ self.coef_.T.astype(X.dtype)
        if self.metric == "euclidean":
            scores -= np.square(X).sum(1, keepdims=True)
        return self.scale * scores

    def _search(
        self,
        X: np.ndarray,
        y: np.ndarray,
        X_validation: np.ndarray,
        y_validation: np.ndarray,
        grid: Mapping[str, Sequence[Any]],
    ) -> list[Trial]:
        """Trains the whole grid as one stack; each point comes back with the step where it was first best."""

        def measure(common: Point, points: list[Point]) -> list[Trial]:
            fitted = clone(self).set_params(**common | {"stop": 0}).fit(X, y)
            rows, truth = placed_validation(fitted, X_validation, y_validation)
            validation = Validation(torch.from_numpy(fitted._lifted(rows)), torch.from_numpy(truth))
            whole = [{name: getattr(fitted, name) for name in self.grid} | point for point in points]
            recipes = [Recipe(**{name: point[name] for name in self.grid}) for point in whole]
            trained = fitted._train(recipes, fitted.steps, validation)
            found = zip(points, trained.stops.tolist(), trained.accuracies.tolist(), strict=True)
            return [(point | {"stop": stop}, accuracy) for point, stop, accuracy in found]

        return search_by_groups(grid, set(self.grid), measure)

    def _train(self, recipes: list[Recipe], stop: int, validation: Validation | None = None) -> Trained:
        """Trains one probe a recipe on the placed support."""
        vectors = self._class_vectors()
        if vectors is None:
            vectors = self._place(self._class_means())
        vectors = _starting_weights(vectors, self.metric)
        start = np.zeros_like(vectors) if self.start == "zero" and len(self.support_) else vectors
        return train_stack(
            self._samples(),
            torch.from_numpy(start),
            recipes,
            steps=self.steps,
            stop=stop if len(self.support_) else 0,
            scale=self.scale,
            seed=int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max)),
            validation=validation,
            blend=(self.wise, torch.from_numpy(vectors)),
        )

    def _samples(self) -> Samples:
        """Pictures and texts in an order of their own."""
        texts, text_classes = self.support_[:0], self.support_classes_[:0]
        if self.texts_ is not None and self.texts_as_samples:
            text_classes = np.flatnonzero(np.isfinite(self.texts_).all(axis=1))
            texts = self.texts_[text_classes]
        parts: list[torch.Tensor] = []
        for rows, classes in ((self.support_, self.support_classes_), (texts, text_classes)):
            order = content_order(rows, classes)
            parts += [torch.from_numpy(self._lifted(rows[order])), torch.from_numpy(classes[order])]
        return Samples(*parts)

    def _lifted(self, X: np.ndarray) -> np.ndarray:
        """Placed rows, with a 1 behind them for Euclidean distance: 2x·t − ‖t‖² is linear in (x, 1)."""
        return X if self.metric == "cosine" else np.concatenate([X, np.ones_like(X[:, :1])], 1)

    def _check(self) -> None:
        if self.start not in ("text", "zero"):
            raise CrossModalError(f'CrossModalProbe: expected start "text" or "zero", found {self.start!r}')
        if self.batch < 1 or self.steps < 1:
            raise CrossModalError(
                f"CrossModalProbe: expected batch and steps of at least 1, found {self.batch} and {self.steps}"
            )
        if self.stop is not None and not 0 <= self.stop <= self.steps:
            raise CrossModalError(f"CrossModalProbe: expected stop within {self.steps} steps, found {self.stop}")
        if not 0 <= self.wise <= 1:
            raise CrossModalError(f"CrossModalProbe: expected wise in [0, 1], found {self.wise}")


def _starting_weights(vectors: np.ndarray, metric: str) -> np.ndarray:
    """(C, D) class vectors as weights, (C, D + 1) for Euclidean distance."""
    if metric == "cosine":
        return np.ascontiguousarray(vectors)
    return np.concatenate([2 * vectors, -np.square(vectors).sum(1, keepdims=True)], 1)
