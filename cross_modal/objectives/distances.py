"""Distances of losses and miners: cosine, Lp (Euclidean), dot product and signal-to-noise ratio.

A loss and its miner always share one instance. A twin that keeps magnitudes (``normalise=False``) gets distances that
keep them too; pytorch-metric-learning would silently scale to length one. Cosine scales in any case.
"""

from __future__ import annotations

import torch
from pytorch_metric_learning import distances
from pytorch_metric_learning.distances import BaseDistance

from cross_modal.configuration import PartConfig
from cross_modal.errors import CrossModalError
from cross_modal.objectives.arguments import build, check_arguments

DISTANCES: dict[str, type[BaseDistance]] = {
    "CosineSimilarity": distances.CosineSimilarity,
    "LpDistance": distances.LpDistance,
    "DotProductSimilarity": distances.DotProductSimilarity,
    "SNRDistance": distances.SNRDistance,
}


class BoundedCosine(distances.CosineSimilarity):
    """Cosine similarity kept 1e-6 inside (-1, 1).

    The arc cosine of angular-margin losses has an infinite slope at 1, which makes the gradient of two coincident
    vectors NaN; histogram losses index one bin too many there.
    """

    def compute_mat(self, query_emb: torch.Tensor, ref_emb: torch.Tensor) -> torch.Tensor:
        """Cosines (A, R) of A query and R reference rows of length one."""
        return super().compute_mat(query_emb, ref_emb).clamp(-1 + 1e-6, 1 - 1e-6)


def build_distance(part: PartConfig | None, normalise: bool, default: PartConfig | None = None) -> BaseDistance:
    """Builds a distance.

    Args:
        part: The user's choice; None takes `default`.
        normalise: Whether embeddings have length one.
        default: The loss's own distance; None is cosine.

    Raises:
        CrossModalError: For an unknown name or argument.

    >>> build_distance(PartConfig("LpDistance", {"p": 2}), normalise=False).normalize_embeddings
    False
    """
    part = part or default or PartConfig("CosineSimilarity")
    if part.name == "BoundedCosine":
        return BoundedCosine()
    if part.name not in DISTANCES:
        raise CrossModalError(f"distance {part.name!r}: unknown, expected one of: {', '.join(DISTANCES)}")
    cls = DISTANCES[part.name]
    if part.name == "LpDistance":
        hidden: frozenset[str] = frozenset()
    else:  # p and power of the others change nothing that means anything
        hidden = frozenset({"p", "power"}) | ({"normalize_embeddings"} if part.name == "CosineSimilarity" else set())
    check_arguments(cls, part.name, part.arguments, hidden=hidden)
    arguments = dict(part.arguments)
    if part.name != "CosineSimilarity":
        arguments.setdefault("normalize_embeddings", normalise)
    return build(cls, part.name, arguments)
