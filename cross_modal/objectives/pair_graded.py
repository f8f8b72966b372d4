"""Objectives for graded pairs, whose label is a score between 0 and 1: a regression and a ranking.

Both take verdicts, too: 1 and 0 are scores.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from cross_modal.errors import CrossModalError
from cross_modal.objectives.pair_distances import pair_similarity
from cross_modal.objectives.reference_term import LARGEST


class RegressionLoss(nn.Module):
    """Mean squared error between the similarity, mapped to 0–1, and the score.

    Cosines from `lowest` to 1 are mapped to 0–1; below it the map goes on, so that every pair has a gradient. Where the
    twin keeps magnitudes, the similarity is 1 / (1 + distance).

    Args:
        lowest: The cosine that stands for the score 0. Unrelated items are orthogonal, so 0 is right for most data (the
            plain cosine of Reimers & Gurevych, "Sentence-BERT", EMNLP 2019); −1 maps all cosines to 0–1, and asks items
            of score 0 to be opposites, which no three of them can be.
        normalise: Whether the twin scales embeddings to length one.
    """

    def __init__(self, lowest: float = 0.0, *, normalise: bool = True) -> None:
        super().__init__()
        if not -1 <= lowest < 1:
            raise ValueError(f"lowest must be a cosine from -1 to below 1, found {lowest}")
        if lowest and not normalise:
            raise ValueError(f"lowest is a cosine, and this twin keeps magnitudes; leave it at 0, found {lowest}")
        self.lowest, self.normalise = lowest, normalise

    def mapped(self, a: Tensor, b: Tensor) -> Tensor:
        """The similarity on the scale of the scores.

        Args:
            a: Float32 (P, d).
            b: Float32 (P, d).

        Returns:
            Float32 (P,).
        """
        similarity = pair_similarity(a, b, self.normalise)
        return (similarity - self.lowest) / (1 - self.lowest) if self.normalise else 1 / (1 - similarity)

    def forward(self, a: Tensor, b: Tensor, score: Tensor, weights: Tensor) -> Tensor:
        """Weighted mean of the squared errors.

        Args:
            a: Float32 (P, d).
            b: Float32 (P, d).
            score: Float32 (P,) in 0–1.
            weights: Float32 (P,), 1 on average.
        """
        return (weights * (self.mapped(a, b) - score) ** 2).mean()


class CoSENTLoss(nn.Module):
    """Ranking of pairs: log(1 + Σ exp(λ (s_j − s_i))) over all i, j of a step with score_i > score_j.

    Only the order of the scores counts, not their distance: right where the grades of different annotators are no
    scale, and where Spearman's correlation is the measure. Su Jianlin, "CoSENT: a more effective sentence embedding
    scheme than Sentence-BERT", kexue.fm/archives/8847, 2022; it is Circle loss's unified form (Sun et al., CVPR 2020)
    over pairs.

    Args:
        scale: λ, in the unit of the similarity.
        normalise: Whether the twin scales embeddings to length one.
    """

    def __init__(self, scale: float = 20.0, *, normalise: bool = True) -> None:
        super().__init__()
        if not scale > 0:
            raise ValueError(f"scale must be above 0, found {scale}")
        self.scale, self.normalise = scale, normalise

    def forward(self, a: Tensor, b: Tensor, score: Tensor, weights: Tensor) -> Tensor:
        """The loss of a step; 0, with a graph, where all scores are the same.

        Args:
            a: Float32 (P, d).
            b: Float32 (P, d).
            score: Float32 (P,).
            weights: Not used: a comparison has one pair of each side already.

        Raises:
            CrossModalError: Where the table of comparisons would be too large.
        """
        if len(score) ** 2 > LARGEST:
            raise CrossModalError(
                f"CoSENTLoss: one step would compare {len(score) ** 2:,} pairs of pairs, at most {LARGEST:,} are "
                "allowed; make the batch smaller"
            )
        similarity = self.scale * pair_similarity(a, b, self.normalise)
        higher = score[:, None] > score[None, :]  # (P, P): i above j
        wrong = (similarity[None, :] - similarity[:, None])[higher]  # s_j − s_i
        return torch.logsumexp(torch.cat([wrong, similarity.new_zeros(1)]), dim=0) + 0.0 * similarity.sum()
