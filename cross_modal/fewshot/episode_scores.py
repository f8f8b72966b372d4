"""All scores of a set of episodes in memory, and the scales of the two modalities that make their truth likeliest."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from scipy.optimize import minimize

from cross_modal.errors import CrossModalError
from cross_modal.fewshot.episodes import Episodes
from cross_modal.fewshot.scoring import Metric, credit, episode_accuracy, score_chunks

LARGEST_SCALE = 1000.0  # in spreads of the scores: separable episodes would drive the scales to infinity


@dataclass(frozen=True)
class EpisodeScores:
    """Scores of every query of every episode.

    Attributes:
        image: (E, q, W) float32 against picture prototypes, or None without shots.
        text: (E, q, W) float32 against class texts.
        truth: (q,) int64 position of each query's class.
        valid: (E, q) bool.
    """

    image: torch.Tensor | None
    text: torch.Tensor
    truth: torch.Tensor
    valid: torch.Tensor

    @classmethod
    def of(cls, images: np.ndarray, texts: np.ndarray, episodes: Episodes, metric: Metric) -> EpisodeScores:
        """Scores episodes.

        Args:
            images: (N, dim) float32, placed.
            texts: (C, dim) float32, placed.
            episodes: The episodes.
            metric: "cosine" or "euclidean".
        """
        chunks = list(score_chunks(images, texts, episodes, metric))
        image = torch.cat([chunk.image for chunk in chunks if chunk.image is not None]) if episodes.shots else None
        text = torch.cat([chunk.text for chunk in chunks if chunk.text is not None])
        return cls(image, text, chunks[0].truth, torch.cat([chunk.valid for chunk in chunks]))

    def first(self, episodes: int) -> EpisodeScores:
        """The scores of the first so many episodes."""
        image = None if self.image is None else self.image[:episodes]
        return EpisodeScores(image, self.text[:episodes], self.truth, self.valid[:episodes])

    def accuracy(self, image_scale: float, text_scale: float, doubt: float = 0.0) -> float:
        """Mean accuracy of the episodes with the two scores scaled and added.

        Args:
            image_scale: Factor of the image scores.
            text_scale: Factor of the text scores.
            doubt: Probability that a name says nothing.
        """
        logits = doubted(text_scale * self.text, doubt)
        if self.image is not None:
            logits = image_scale * self.image + logits
        return float(np.nanmean(episode_accuracy(credit(logits, self.truth), self.valid)))

    def likeliest_scales(self) -> tuple[float, float]:
        """The scales (image, text), none negative, of the softmax that makes the true classes likeliest (L-BFGS)."""
        parts = [part for part in (self.image, self.text) if part is not None]
        features = torch.stack([part[self.valid] for part in parts]).double()  # (P, M, W)
        truth = self.truth.expand(self.valid.shape)[self.valid]  # (M,)
        own = features.gather(2, truth.expand(len(parts), -1).unsqueeze(2)).squeeze(2)  # (P, M)
        # In units of the scores' own spread the two scales are of one size, whatever the metric.
        spread = (features - features.mean(2, keepdim=True)).square().mean((1, 2)).sqrt().clamp_min(1e-9)
        features, own = features / spread[:, None, None], own / spread[:, None]

        def loss(scales: np.ndarray) -> tuple[float, np.ndarray]:
            weights = torch.from_numpy(scales)
            logits = torch.tensordot(weights, features, 1)  # (M, W)
            value = (torch.logsumexp(logits, 1) - weights @ own).mean()
            expected = (torch.softmax(logits, 1) * features).sum(2)  # (P, M)
            return float(value), (expected - own).mean(1).numpy()

        bounds = [(0.0, LARGEST_SCALE)] * len(parts)
        found = minimize(loss, np.ones(len(parts)), jac=True, method="L-BFGS-B", bounds=bounds).x / spread.numpy()
        return (0.0, float(found[0])) if len(parts) == 1 else (float(found[0]), float(found[1]))

    def likeliest_doubt(self, start: tuple[float, float]) -> tuple[float, float, float]:
        """The scales (image, text) and the doubt that make the true classes likeliest (L-BFGS on their logarithms).

        Args:
            start: Scales to start from; those of `likeliest_scales` will do.
        """
        if self.image is None:
            raise CrossModalError("episodes: expected picture scores to weigh names against, found none")
        image, text = self.image[self.valid].double(), self.text[self.valid].double()  # (M, W)
        truth = self.truth.expand(self.valid.shape)[self.valid]

        def loss(values: np.ndarray) -> tuple[float, np.ndarray]:
            free = torch.from_numpy(values.copy()).requires_grad_()
            logits = free[0].exp() * image + doubted(free[1].exp() * text, torch.sigmoid(free[2]))
            value = torch.nn.functional.cross_entropy(logits, truth)
            value.backward()
            assert free.grad is not None
            return float(value.detach()), free.grad.numpy()

        scales = np.log(np.clip(start, 1e-2, LARGEST_SCALE))
        bounds = [(math.log(1e-3), math.log(LARGEST_SCALE))] * 2 + [(-6.0, 6.0)]
        found = minimize(loss, np.append(scales, 0.0), jac=True, method="L-BFGS-B", bounds=bounds).x
        return math.exp(found[0]), math.exp(found[1]), 1 / (1 + math.exp(-found[2]))


def doubted(text: torch.Tensor, doubt: float | torch.Tensor) -> torch.Tensor:
    """Scaled text scores of which a share is doubted: log[(1 − d) · softmax + d / N]; as they are at d = 0.

    Args:
        text: (..., W) scaled scores.
        doubt: d in [0, 1).

    Returns:
        (..., W); between two classes they differ by at most log(1 + N (1 − d) / d).

    >>> scores = torch.tensor([[50.0, 0.0]])
    >>> round(float(doubted(scores, 0.5).diff()), 3)
    -1.099
    """
    if isinstance(doubt, float | int) and doubt == 0:
        return text
    return torch.log((1 - doubt) * torch.softmax(text, -1) + doubt / text.shape[-1])
