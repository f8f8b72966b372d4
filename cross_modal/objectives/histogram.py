"""The histogram loss: the probability that a random negative is more similar than a random positive.

Ustinova & Lempitsky, "Learning Deep Embeddings with Histogram Loss", NIPS 2016. pytorch-metric-learning enumerates all
triplets as Python lists to find the pairs they contain and indexes a matrix with them, which costs seconds; here the
pairs are read off the labels.
"""

from __future__ import annotations

from typing import Any

import torch
from pytorch_metric_learning import losses as pml
from torch import Tensor


class HistogramLoss(pml.HistogramLoss):
    """Sum over bins of the negatives' density times the positives' cumulative density.

    Args:
        n_bins: Bins over the cosines from -1 to 1.
        delta: Width of a bin instead, 2 / n_bins.
    """

    def compute_loss(
        self, embeddings: Tensor, labels: Tensor, indices_tuple: Any, ref_emb: Tensor, ref_labels: Tensor
    ) -> dict[str, dict[str, Any]]:
        """Loss of a batch (B, d) with labels (B,), each unordered pair counted once."""
        same = labels[:, None] == labels[None, :]
        upper = torch.triu(torch.ones_like(same), diagonal=1)
        cosines = self.distance(embeddings, embeddings)
        positive, negative = cosines[same & upper], cosines[~same & upper]
        if len(positive) == 0 or len(negative) == 0:
            return self.zero_losses()
        cumulative = torch.cumsum(self.compute_density(positive), dim=0)
        loss = torch.sum(self.compute_density(negative) * cumulative)
        return {"loss": {"losses": loss, "indices": None, "reduction_type": "already_reduced"}}
