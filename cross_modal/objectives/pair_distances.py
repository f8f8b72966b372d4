"""Distances of pairs that do not depend, in any bit, on which of the two comes first.

A matrix product need not give the same last bit for (a, b) and (b, a); `torch.nn.functional.pairwise_distance` adds
1e-6 to a − b, and the signal-to-noise distance divides by the variance of its first argument. Here every pair is taken
by itself, with operations that commute exactly. `PairTable` is the door by which such distances enter a
pytorch-metric-learning loss or miner: its references are *pairs*, and every anchor sees a pair at the pair's distance.
"""

from __future__ import annotations

import torch
from pytorch_metric_learning.distances import BaseDistance, DotProductSimilarity, LpDistance, SNRDistance
from torch import Tensor
from torch.nn import functional as F

from cross_modal.objectives.distances import BoundedCosine


def pair_distances(distance: BaseDistance, a: Tensor, b: Tensor) -> Tensor:
    """Distance, or similarity, of each pair in the unit of `distance`; exactly the same for (a, b) and (b, a).

    The signal-to-noise distance, var(a − b) / var(a), is the mean of its two directions.

    Args:
        distance: One of `cross_modal.objectives.distances`.
        a: Float32 (P, d).
        b: Float32 (P, d).

    Returns:
        Float32 (P,).

    >>> pair_distances(LpDistance(normalize_embeddings=False), torch.tensor([[3.0, 0]]), torch.tensor([[0, 4.0]]))
    tensor([5.])
    """
    a, b = distance.maybe_normalize(a), distance.maybe_normalize(b)
    if isinstance(distance, LpDistance):
        values = torch.linalg.vector_norm(a - b, ord=distance.p, dim=1)
    elif isinstance(distance, SNRDistance):
        noise = torch.var(a - b, dim=1)
        values = (noise / torch.var(a, dim=1) + noise / torch.var(b, dim=1)) / 2
    elif isinstance(distance, DotProductSimilarity):
        values = (a * b).sum(1)
        if isinstance(distance, BoundedCosine):
            values = values.clamp(-1 + 1e-6, 1 - 1e-6)
    else:
        raise TypeError(f"no exact pair form of {type(distance).__name__}")
    return values if distance.power == 1 else values**distance.power


def pair_similarity(a: Tensor, b: Tensor, normalise: bool) -> Tensor:
    """The twin's score of each pair: cosine, or minus the Euclidean distance where magnitudes are kept.

    Args:
        a: Float (P, d).
        b: Float (P, d).
        normalise: Whether the twin scales embeddings to length one.

    Returns:
        Float (P,), exactly the same for (a, b) and (b, a).

    >>> pair_similarity(torch.tensor([[3.0, 4.0]]), torch.tensor([[1.0, 0.0]]), normalise=True)
    tensor([0.6000])
    """
    if normalise:
        return (F.normalize(a, dim=-1) * F.normalize(b, dim=-1)).sum(-1)
    return -torch.linalg.vector_norm(a - b, dim=-1)


class PairTable(BaseDistance):
    """Stands in for a distance where references are pairs, given by their distances (P, 1).

    Args:
        distance: The distance whose direction the table keeps.
    """

    def __init__(self, distance: BaseDistance) -> None:
        super().__init__(normalize_embeddings=False, is_inverted=distance.is_inverted)

    def forward(self, query_emb: Tensor, ref_emb: Tensor | None = None) -> Tensor:
        """Every anchor's (A) distance to every pair: (A, P), a fresh matrix, since miners write into theirs.

        Raises:
            ValueError: Without references: pairs are never compared with pairs.
        """
        if ref_emb is None or ref_emb is query_emb:
            raise ValueError("a table of pairs needs the pairs as references")
        return ref_emb[:, 0].expand(len(query_emb), -1).clone()
