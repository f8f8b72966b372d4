"""Attention pooling with learned queries, in the folded form: no token is ever projected.

A learned query asks the tokens one question ("where is the accent?") and takes a weighted mean of them. Usual
multi-head attention projects every token to a key and a value first. With few queries that is almost all of the work
and none of the result: a score is linear in the token, so the key projection folds into the query, and weights sum to
one, so the value projection may be applied after the weighted sum:

    u_h = W_k,hᵀ q_h          a_h = softmax_n(u_h · x_n / √k)
    r_h = Σ_n a_hn x_n        out = W_o concat_h(W_v,h r_h + b_v,h) + b_o

About 2·N·D² multiply-adds become 2·N·D·H + D² a query. The result equals ``nn.MultiheadAttention``; the key's bias adds
one constant to all scores, which the softmax cancels, so there is none. Fold after Lee et al., "Set Transformer"
(pooling by multi-head attention, 2019, section 3.2) and Vaswani et al. 2017, section 3.2.2, by linearity.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from cross_modal.errors import CrossModalError


class AttentionPooling(nn.Module):
    """Pools tokens (B, N, D) into one vector a query, (B, Q, D).

    Args:
        width: D, the width of the tokens.
        queries: Q, the number of learned queries.
        heads: H, the attention heads; must divide `width`.

    Raises:
        CrossModalError: If `heads` does not divide `width`.

    Example:
        >>> pooling = AttentionPooling(width=8, queries=2, heads=4)
        >>> pooled, weights = pooling(torch.randn(3, 5, 8), torch.ones(3, 5, dtype=torch.bool))
        >>> pooled.shape, weights.shape
        (torch.Size([3, 2, 8]), torch.Size([3, 2, 4, 5]))
    """

    def __init__(self, width: int, queries: int = 4, heads: int = 4) -> None:
        super().__init__()
        if width % heads:
            raise CrossModalError(f"pooling.heads: expected a divisor of the width {width}, found {heads}")
        self.width, self.heads = width, heads
        self.query = nn.Parameter(torch.randn(queries, width))
        self.query_projection = nn.Linear(width, width)
        self.key_weight = nn.Parameter(torch.empty(width, width))
        self.value = nn.Linear(width, width)
        self.output = nn.Linear(width, width)
        for weight in (self.query_projection.weight, self.key_weight, self.value.weight, self.output.weight):
            nn.init.xavier_uniform_(weight)
        for layer in (self.query_projection, self.value, self.output):
            nn.init.zeros_(layer.bias)

    def folded_query(self) -> Tensor:
        """The queries with the key projection folded in, scaled by 1/√k: (Q, H, D)."""
        k = self.width // self.heads
        query = self.query_projection(self.query).unflatten(-1, (self.heads, k))  # (Q, H, k)
        key = self.key_weight.unflatten(0, (self.heads, k))  # (H, k, D)
        return torch.einsum("qhk,hkd->qhd", query, key) * k**-0.5

    def forward(self, values: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Pools.

        Args:
            values: (B, N, D) tokens.
            mask: (B, N) bool, true for a real token; every row needs one. None means that all are real.

        Returns:
            The pooled vectors (B, Q, D) and the attention weights (B, Q, H, N), which sum to one over N.

        Raises:
            CrossModalError: If the tokens' width is not D, or the mask's shape is not (B, N).
        """
        if values.ndim != 3 or values.shape[-1] != self.width:
            raise CrossModalError(f"pooling: expected tokens (B, N, {self.width}), found {tuple(values.shape)}")
        if mask is not None and mask.shape != values.shape[:2]:
            raise CrossModalError(f"pooling: expected a mask {tuple(values.shape[:2])}, found {tuple(mask.shape)}")
        batch, tokens, width = values.shape
        queries = len(self.query)
        folded = self.folded_query().flatten(0, 1)  # (Q·H, D)
        scores = folded.to(values.dtype) @ values.transpose(1, 2)  # (B, Q·H, N)
        if mask is not None:
            scores = scores.masked_fill(~mask[:, None, :], float("-inf"))
        weights = scores.float().softmax(-1)
        read = (weights.to(values.dtype) @ values).view(batch, queries, self.heads, width)  # (B, Q, H, D)
        value = self.value.weight.unflatten(0, (self.heads, width // self.heads))  # (H, k, D)
        heads = torch.einsum("bqhd,hkd->bqhk", read, value.to(read.dtype)).flatten(2)  # (B, Q, D)
        pooled = self.output(heads + self.value.bias.to(heads.dtype))
        return pooled, weights.view(batch, queries, self.heads, tokens)
