"""Verification heads: modules that turn two embeddings into the log-odds of *same*, and their loss.

- ``difference``: a learned weighting of |a − b|, dimension by dimension (Koch, Zemel & Salakhutdinov, "Siamese Neural
  Networks for One-shot Image Recognition", ICML 2015 Deep Learning Workshop: p = σ(Σ_j α_j |a_j − b_j|), here with a
  bias). It knows which dimensions matter, but is no distance of the embedding space: a gallery cannot search by it.
- ``similarity``: a learned scale and bias of the twin's own score, which leaves its order as it is.

Both are symmetric to the last bit. A head has parameters of its own, kept beside the twin (`pair_head_file`).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cross_modal.objectives.pair_distances import pair_similarity


class PairHead(nn.Module):
    """What both heads share.

    Args:
        dim: Size of the embeddings.
        normalise: Whether the twin scales embeddings to length one; the head then does so, too.

    Attributes:
        kind: The head's name.
        verify_only: It answers about pairs only; its log-odds are no function of the twin's score.
    """

    kind: str
    verify_only: bool

    def __init__(self, dim: int, normalise: bool = True) -> None:
        super().__init__()
        self.dim, self.normalise = dim, normalise

    def probability(self, a: Tensor, b: Tensor) -> Tensor:
        """Probability of *same* as trained, float (P,): to be calibrated where training pairs were weighted.

        Args:
            a: Float (P, dim).
            b: Float (P, dim).
        """
        return torch.sigmoid(self(a, b))


class DifferenceHead(PairHead):
    """Σ_j w_j |a_j − b_j| + bias; starts as a plain L1 distance, +2 for equal items and about −2 for random ones."""

    kind, verify_only = "difference", True

    def __init__(self, dim: int, normalise: bool = True) -> None:
        super().__init__(dim, normalise)
        # Mean |a_j − b_j| of random items: 2/√(π dim) on the unit sphere, 2/√π with unit variance in each dimension.
        expected = 2 / math.sqrt(math.pi) * (math.sqrt(dim) if normalise else dim)
        self.weight = nn.Parameter(torch.full((dim,), -4 / expected))
        self.bias = nn.Parameter(torch.tensor(2.0))

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """Log-odds of *same*, float32 (P,).

        Args:
            a: Float (P, dim).
            b: Float (P, dim).
        """
        a, b = a.float(), b.float()
        if self.normalise:
            a, b = F.normalize(a, dim=-1), F.normalize(b, dim=-1)
        return (self.weight * (a - b).abs()).sum(-1) + self.bias


class SimilarityHead(PairHead):
    """exp(log_scale) · similarity + bias, the similarity being a cosine or minus a distance.

    It starts undecided half-way: at cosine 0.5, or at half the distance of random items of unit variance.
    """

    kind, verify_only = "similarity", False

    def __init__(self, dim: int, normalise: bool = True) -> None:
        super().__init__(dim, normalise)
        scale = 10.0 if normalise else 10.0 / math.sqrt(2 * dim)
        self.log_scale = nn.Parameter(torch.tensor(math.log(scale)))
        self.bias = nn.Parameter(torch.tensor(-5.0 if normalise else 5.0))

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """Log-odds of *same*, float32 (P,).

        Args:
            a: Float (P, dim).
            b: Float (P, dim).
        """
        return self.log_scale.exp() * pair_similarity(a.float(), b.float(), self.normalise) + self.bias


HEADS: dict[str, type[PairHead]] = {"similarity": SimilarityHead, "difference": DifferenceHead}


class PairHeadLoss(nn.Module):
    """Binary cross-entropy of a head's log-odds with verdicts, or with scores as soft verdicts.

    Args:
        head: "similarity" (learned scale and bias of the score) or "difference" (learned weighting of |a − b|).
        dim: Size of the embeddings.
        normalise: Whether the twin scales embeddings to length one.

    Raises:
        ValueError: For an unknown head.
    """

    def __init__(self, head: str = "similarity", *, dim: int, normalise: bool = True) -> None:
        super().__init__()
        if head not in HEADS:
            raise ValueError(f"head must be one of {', '.join(HEADS)}, found {head!r}")
        self.head = HEADS[head](dim, normalise)

    def forward(self, a: Tensor, b: Tensor, same: Tensor, weights: Tensor) -> Tensor:
        """Weighted mean cross-entropy.

        Args:
            a: Float32 (P, dim).
            b: Float32 (P, dim).
            same: Float32 (P,) in 0–1.
            weights: Float32 (P,), 1 on average.
        """
        return (weights * F.binary_cross_entropy_with_logits(self.head(a, b), same, reduction="none")).mean()
