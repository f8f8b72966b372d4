"""NCA and Proxy-NCA computed in the log domain.

pytorch-metric-learning takes the logarithm of a softmax that has already underflowed: anchors whose positives are far
away, the ones that need the loss most, get probability zero and are dropped without a word. Here the logarithm is
taken by log-sum-exp, which is exact, and an item is never its own reference.

Neighbourhood components analysis: Goldberger et al., NIPS 2004. Proxy-NCA: Movshovitz-Attias et al., ICCV 2017.
"""

from __future__ import annotations

from typing import Any

import torch
from pytorch_metric_learning import losses as pml
from pytorch_metric_learning.utils import loss_and_miner_utils
from torch import Tensor


class _LogDomain:
    """Replaces the computation shared by both losses: -log of the share of the softmax that falls on positives."""

    softmax_scale: float
    distance: Any

    def nca_computation(
        self, query: Tensor, reference: Tensor, query_labels: Tensor, reference_labels: Tensor, indices_tuple: Any
    ) -> dict[str, dict[str, Any]]:
        """Losses of the queries (A, d) that have a positive among the references (R, d)."""
        alone = query is reference
        weights = loss_and_miner_utils.convert_to_weights(
            indices_tuple, query_labels, dtype=query.dtype, using_ref=not alone
        )
        similarity = self.distance(query, reference)  # (A, R)
        similarity = self.softmax_scale * (similarity if self.distance.is_inverted else -similarity)
        same = query_labels[:, None] == reference_labels[None, :]
        if alone:
            same.fill_diagonal_(False)
            similarity = similarity.masked_fill(torch.eye(len(same), dtype=torch.bool, device=same.device), -torch.inf)
        anchors = same.any(1).nonzero().squeeze(1)
        similarity = similarity[anchors]
        positive = similarity.masked_fill(~same[anchors], -torch.inf)
        losses = torch.logsumexp(similarity, dim=1) - torch.logsumexp(positive, dim=1)
        return {"loss": {"losses": losses * weights[anchors], "indices": anchors, "reduction_type": "element"}}


class NCALoss(_LogDomain, pml.NCALoss):
    """Neighbourhood components analysis with the softmax in the log domain."""


class ProxyNCALoss(_LogDomain, pml.ProxyNCALoss):
    """Proxy-NCA with the softmax in the log domain."""
