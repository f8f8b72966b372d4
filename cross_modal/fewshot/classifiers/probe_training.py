"""Trains linear probes of many learning rates, weight decays and batch sizes as one stack of weights.

Probes of one batch size see the same batches, so that their (r, C, D) weights are one (r·C, D) matrix: a forward and a
backward pass are one product each. AdamW runs over the whole stack at once, with the learning rate and the decay of
each probe. The result is that of training each alone.

Recipe of Lin et al. 2023, "Multimodality helps unimodality": cross-entropy on s W z, AdamW, linear warm-up, cosine; a
batch is half pictures, half texts, each stream shuffled on its own; validation every 100 steps, the first best kept.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch

from cross_modal.fewshot.classifiers.adamw import AdamW

WARM_UP, FIRST_RATE = 50, 1e-5
VALIDATE_EVERY = 100
LEAST_PROBABILITY = 1e-16  # smaller ones are rounding beside 1, and their squares are denormal numbers, which are slow
EPSILON = 1e-8
CELLS = 1 << 23  # validation scores held at a time

Blend = tuple[float, torch.Tensor]


@dataclass(frozen=True)
class Recipe:
    """How one probe is trained: learning rate, decoupled weight decay, samples of a batch."""

    lr: float
    weight_decay: float
    batch: int


@dataclass(frozen=True)
class Samples:
    """Training samples.

    Attributes:
        images: (N, D) placed pictures.
        image_classes: (N,) int64 positions.
        texts: (T, D) placed texts; none for a probe of pictures alone.
        text_classes: (T,) int64 positions.
    """

    images: torch.Tensor
    image_classes: torch.Tensor
    texts: torch.Tensor
    text_classes: torch.Tensor

    def streams(self, batch: int, steps: int, seed: int) -> torch.Tensor:
        """Which samples (pictures first, then texts) make each batch.

        Either modality is shuffled, used up, and shuffled again, so that a share of the batch may be larger than the
        number of its samples.

        Returns:
            (steps, batch) int64.
        """
        parts, share = [], batch // 2 if len(self.images) and len(self.texts) else 0 if len(self.images) else batch
        for modality, (count, size) in enumerate(((len(self.images), batch - share), (len(self.texts), share))):
            if size and count:
                rounds = np.arange(count)[None].repeat(-(-steps * size // count), 0)
                shuffled = np.random.default_rng([seed, batch, modality]).permuted(rounds, axis=1)
                parts.append(shuffled.ravel()[: steps * size].reshape(steps, size) + modality * len(self.images))
        return torch.from_numpy(np.concatenate(parts, 1)) if parts else torch.zeros(steps, 0, dtype=torch.int64)


@dataclass(frozen=True)
class Validation:
    """What the stopping step is chosen by.

    Attributes:
        rows: (n, D) placed pictures.
        truth: (n,) int64 positions of their classes, −1 where there is none.
    """

    rows: torch.Tensor
    truth: torch.Tensor

    def accuracies(self, weights: torch.Tensor) -> torch.Tensor:
        """(R,) float64 accuracies of (R, C, D) weights."""
        flat, right = weights.flatten(0, 1), torch.zeros(len(weights), dtype=torch.int64)
        for part in torch.arange(len(self.truth)).split(max(1, CELLS // len(flat))):
            found = (self.rows[part] @ flat.T).unflatten(1, weights.shape[:2]).argmax(-1)
            right += (found == self.truth[part, None]).sum(0)
        return right.double() / len(self.truth)


@dataclass(frozen=True)
class Trained:
    """Probes in the order of their recipes.

    Attributes:
        weights: (R, C, D), with validation those of the first best step.
        stops: (R,) int64 steps that were taken until then.
        accuracies: (R,) float64 validation accuracies; NaN without validation.
    """

    weights: torch.Tensor
    stops: torch.Tensor
    accuracies: torch.Tensor


def rate(lr: float, step: int, steps: int) -> float:
    """Learning rate of a step, from 0: the first 1e-5, lr·k/50 to step 50, then half a cosine over `steps`.

    >>> [rate(1e-3, step, 12_800) for step in (0, 25, 50)]
    [1e-05, 0.0005, 0.001]
    """
    if step == 0:
        return FIRST_RATE
    if step < WARM_UP:
        return lr * step / WARM_UP
    return lr * (1 + math.cos(math.pi * (step - WARM_UP) / steps)) / 2


def train_stack(
    samples: Samples,
    start: torch.Tensor,
    recipes: Sequence[Recipe],
    *,
    steps: int,
    stop: int,
    scale: float,
    seed: int,
    validation: Validation | None = None,
    blend: Blend | None = None,
) -> Trained:
    """Trains one probe a recipe.

    Each core trains a share of the stack by itself: steps are far too short for cores to wait for each other in every
    one, all the more where others use the machine too.

    Args:
        samples: What they are trained on.
        start: (C, D) weights that all start from.
        recipes: R of them.
        steps: Length of the schedule.
        stop: Steps that are taken, at most `steps`.
        scale: s.
        seed: Of the batches.
        validation: Chooses the step; every 100 steps from step 0, and the last.
        blend: Share λ and weights (C, D): (1 − λ) W + λ W₀ is what is validated and kept (WiSE, Wortsman et al. 2022).

    Returns:
        Weights, steps and accuracies. Training ends early once all accuracies are 1: no later step can be better.
    """
    order = sorted(range(len(recipes)), key=lambda place: recipes[place].batch)
    threads = torch.get_num_threads()
    shares = [order[first::threads] for first in range(min(threads, len(order)))]

    def train(share: list[int]) -> Trained:
        torch.set_num_threads(1)
        stack = _Stack(samples, start, [recipes[place] for place in share], steps, scale, seed)
        return _train(stack, stop, validation, blend)

    try:
        with ThreadPoolExecutor(len(shares)) as pool:
            parts = list(pool.map(train, shares))
    finally:
        torch.set_num_threads(threads)
    back = torch.tensor([place for share in shares for place in share]).argsort()
    weights, stops, accuracies = (
        torch.cat([getattr(part, name) for part in parts])[back] for name in ("weights", "stops", "accuracies")
    )
    return Trained(weights, stops, accuracies)


@torch.no_grad()
def _train(stack: _Stack, stop: int, validation: Validation | None, blend: Blend | None) -> Trained:
    """Trains a stack in one thread."""
    count = len(stack.weights)
    accuracies = torch.full((count,), -math.inf if validation else math.nan, dtype=torch.float64)
    stops, kept = torch.full((count,), stop), stack.weights.clone()
    for step in range(stop + 1):
        if validation and (step % VALIDATE_EVERY == 0 or step == stop):
            found = validation.accuracies(_blended(stack.weights, blend))
            better = found > accuracies
            accuracies[better], stops[better], kept[better] = found[better], step, stack.weights[better]
            if bool((accuracies == 1).all()):
                break
        if step < stop:
            stack.step(step)
    return Trained(_blended(kept if validation else stack.weights, blend), stops, accuracies)


def _blended(weights: torch.Tensor, blend: Blend | None) -> torch.Tensor:
    return weights if blend is None or not blend[0] else torch.lerp(weights, blend[1].expand_as(weights), blend[0])


class _Stack:
    """Weights of probes, in ascending order of their batch sizes, with their optimiser."""

    def __init__(
        self, samples: Samples, start: torch.Tensor, recipes: Sequence[Recipe], steps: int, scale: float, seed: int
    ) -> None:
        self.weights = start.expand(len(recipes), -1, -1).clone()
        self.gradients, self.optimiser = torch.zeros_like(self.weights), AdamW(self.weights, EPSILON)
        self.decays = start.new_tensor([recipe.weight_decay for recipe in recipes])[:, None, None]
        self.rates = start.new_tensor([[rate(recipe.lr, step, steps) for recipe in recipes] for step in range(steps)])
        self.scaled = scale * torch.cat([samples.images, samples.texts])
        classes = torch.cat([samples.image_classes, samples.text_classes])
        self.truth = torch.nn.functional.one_hot(classes, len(start)).to(start.dtype)
        batches = [recipe.batch for recipe in recipes]
        self.blocks = []
        for batch in sorted(set(batches)):
            first = batches.index(batch)
            self.blocks.append((slice(first, first + batches.count(batch)), samples.streams(batch, steps, seed)))

    def step(self, step: int) -> None:
        """One step of every probe."""
        for block, stream in self.blocks:
            z, truth = self.scaled[stream[step]], self.truth[stream[step]]
            weights, gradients = self.weights[block], self.gradients[block]
            logits = (z @ weights.flatten(0, 1).T).view(len(z), len(weights), -1)
            errors = logits.softmax(-1).clamp_min_(LEAST_PROBABILITY)
            errors.sub_(truth[:, None]).div_(len(z))
            torch.mm(errors.flatten(1).T, z, out=gradients.flatten(0, 1))
        self.optimiser.step(self.gradients, self.rates[step, :, None, None], self.decays)
