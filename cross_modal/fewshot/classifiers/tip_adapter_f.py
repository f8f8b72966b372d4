"""Tip-Adapter whose keys are trained (Tip-Adapter-F).

    score(x, c) = s x·t_c + α Σ_{i∈c} exp(−β (1 − x·k_i))

The keys k_i start at the shots and become weights, which are not set to length one again; texts and labels stay as
they are. Cross-entropy over the support, AdamW with lr 1e-3 and ε 1e-4, a cosine over all steps, batches of 256, 20
epochs, α and β at their start values. Then the epoch is chosen, and α and β are searched anew for those keys: here both
on validation, never on the test split. The public start values were set by hand for each data set; here they are those
that the search finds for the untrained keys, which are a candidate too: on validation it never ends below Tip-Adapter.

Source: Zhang et al. 2022, "Tip-Adapter: training-free adaption of CLIP for few-shot classification". For Euclidean
distance see `cross_modal.fewshot.classifiers.tip_adapter`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from sklearn.base import clone
from sklearn.utils import check_random_state

from cross_modal.errors import CrossModalError
from cross_modal.fewshot.classifiers.adamw import AdamW
from cross_modal.fewshot.classifiers.content_order import content_order
from cross_modal.fewshot.classifiers.grouped_search import Point, Trial, placed_validation, search_by_groups
from cross_modal.fewshot.classifiers.short_steps import threads_for
from cross_modal.fewshot.classifiers.tip_adapter import TipAdapter
from cross_modal.fewshot.classifiers.vote_search import vote_accuracies

BATCH, EPSILON, WEIGHT_DECAY = 256, 1e-4, 1e-2


class TipAdapterF(TipAdapter):
    """Tip-Adapter with trained keys.

    Keys are trained with the start values of α and β, and vote with `alpha` and `beta`. Texts alone, uneven shots and
    classes without either modality are treated as by `TipAdapter`. Results do not depend on the order of the shots:
    batches are drawn from the support in an order of its own.

    Args:
        texts: (C, D) class texts, or None.
        classes: (C,) labels of the rows of `texts`.
        alpha: α, the weight of votes.
        beta: β, their sharpness.
        start_alpha: α in training.
        start_beta: β in training.
        lr: Highest learning rate.
        epochs: Length of the schedule.
        stop: Epochs that are taken; None takes all. The search finds the epoch that is first best on validation.
        scale: s, the factor of the text scores.
        metric: "cosine" or "euclidean".
        random_state: Seed of the batches.
    """

    closed_form: ClassVar[bool] = False

    def __init__(
        self,
        texts: Any = None,
        classes: Any = None,
        *,
        alpha: float = 1.17,
        beta: float = 1.0,
        start_alpha: float = 1.17,
        start_beta: float = 1.0,
        lr: float = 1e-3,
        epochs: int = 20,
        stop: int | None = None,
        scale: float = 100.0,
        metric: str = "cosine",
        random_state: Any = 0,
    ) -> None:
        super().__init__(texts, classes, alpha=alpha, beta=beta, scale=scale, metric=metric)
        self.start_alpha = start_alpha
        self.start_beta = start_beta
        self.lr = lr
        self.epochs = epochs
        self.stop = stop
        self.random_state = random_state

    def _fit(self, X: np.ndarray, y: np.ndarray) -> None:
        stop = self.epochs if self.stop is None else self.stop
        if not 0 <= stop <= self.epochs:
            raise CrossModalError(f"TipAdapterF: expected stop within {self.epochs} epochs, found {stop}")
        super()._fit(X, y)
        self._train(stop)

    def _affinities(self, X: np.ndarray) -> np.ndarray:
        keys = torch.from_numpy(self.keys_.astype(X.dtype, copy=False))
        return _affinities(torch.from_numpy(X), keys, self.metric).numpy()

    def _search(
        self,
        X: np.ndarray,
        y: np.ndarray,
        X_validation: np.ndarray,
        y_validation: np.ndarray,
        grid: Mapping[str, Sequence[Any]],
    ) -> list[Trial]:
        """The start values; one training from there; its first best epoch; all α and β for the keys of that epoch."""

        def measure(common: Point, points: list[Point]) -> list[Trial]:
            fitted = clone(self).set_params(**common | {"stop": 0}).fit(X, y)
            rows, truth = placed_validation(fitted, X_validation, y_validation)
            untrained = vote_accuracies(fitted, rows, truth, points)
            start = fitted.get_params() | points[int(np.argmax(untrained))]
            fitted.set_params(start_alpha=start["alpha"], start_beta=start["beta"])
            at_start = [{"alpha": start["alpha"], "beta": start["beta"]}]
            best, stop, keys = max(untrained), 0, fitted.keys_

            def validate(epoch: int) -> None:
                nonlocal best, stop, keys
                accuracy = vote_accuracies(fitted, rows, truth, at_start)[0]
                if accuracy > best:
                    best, stop, keys = accuracy, epoch, fitted.keys_.copy()

            fitted._train(fitted.epochs, validate)
            fitted.keys_ = keys
            trained = {"start_alpha": start["alpha"], "start_beta": start["beta"], "stop": stop}
            found = vote_accuracies(fitted, rows, truth, points) if stop else untrained
            return [(point | trained, accuracy) for point, accuracy in zip(points, found, strict=True)]

        return search_by_groups(grid, {"alpha", "beta"}, measure)

    def _train(self, epochs: int, validate: Callable[[int], None] | None = None) -> None:
        """Trains the keys; `validate` hears the number of epochs done, from 1, while the keys are those after them."""
        order = content_order(self.support_, self.support_classes_)
        rows, y = (torch.from_numpy(each[order]) for each in (self.support_, self.support_classes_))
        keys = rows.clone().requires_grad_()
        # Votes are summed over neighbouring keys: they are kept in the order of classes, as `order_` has them.
        place = np.empty(len(order), np.int64)
        place[order] = np.arange(len(order))
        by_class = torch.from_numpy(place[self.order_])
        text = self._text_scores(rows.numpy())
        texts = torch.zeros(len(rows), len(self.classes_), dtype=rows.dtype) if text is None else torch.from_numpy(text)
        optimiser, batches = AdamW(keys.detach(), EPSILON), self._batches(len(rows))
        self.keys_ = keys.detach()[by_class].numpy()
        for epoch in range(epochs if len(rows) else 0):
            with threads_for(4.0 * min(BATCH, len(rows)) * rows.numel()):
                for batch, rate in next(batches):
                    logits = texts[batch] + self.start_alpha * self._votes_of(rows[batch], keys, y)
                    loss = torch.nn.functional.cross_entropy(logits, y[batch])
                    (gradients,) = torch.autograd.grad(loss, keys)
                    optimiser.step(gradients, rate, WEIGHT_DECAY)
            self.keys_ = keys.detach()[by_class].numpy()
            if validate:
                validate(epoch + 1)

    def _votes_of(self, rows: torch.Tensor, keys: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """(B, C) summed votes, with their gradients."""
        votes = torch.exp(self.start_beta * _affinities(rows, keys, self.metric))
        return rows.new_zeros(len(rows), len(self.classes_)).index_add(1, y, votes)

    def _batches(self, count: int) -> Iterator[list[tuple[torch.Tensor, float]]]:
        """For each epoch its batches of shuffled rows with the learning rates of their steps."""
        generator = np.random.default_rng(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))
        per_epoch = -(-count // BATCH)
        for epoch in range(self.epochs):
            steps = epoch * per_epoch + np.arange(per_epoch)
            rates = self.lr * (1 + np.cos(math.pi * steps / (self.epochs * per_epoch))) / 2
            yield list(zip(torch.from_numpy(generator.permutation(count)).split(BATCH), rates.tolist(), strict=True))


def _affinities(rows: torch.Tensor, keys: torch.Tensor, metric: str) -> torch.Tensor:
    """(Q, N) what β multiplies: x·k − 1, or −‖x − k‖²/2."""
    products = rows @ keys.T
    if metric == "cosine":
        return products - 1
    return products - (rows.square().sum(1, keepdim=True) + keys.square().sum(1)) / 2
