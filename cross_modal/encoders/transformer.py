"""transformer: a small bidirectional text encoder from scratch (Vaswani et al. 2017; norm first, GELU).

Texts are computed at the length of the longest of the batch, never at the full context: padding is masked, so a text's
tokens do not depend on its neighbours in the batch.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from cross_modal.configuration import TextTrunkConfig
from cross_modal.encoders.token_spans import TokenSpans
from cross_modal.encoders.tokenizer import PAD, UNKNOWN, Tokenizer
from cross_modal.encoders.tokens import Tokens
from cross_modal.encoders.trunk import TextTrunk


class TransformerText(TextTrunk):
    """Token embedding, learned positions, `layers` blocks of self-attention, a final norm.

    Args:
        config: `width`, `layers`, `heads`, `dropout`.
        tokenizer: The learned tokenizer.
    """

    def __init__(self, config: TextTrunkConfig, tokenizer: Tokenizer) -> None:
        super().__init__()
        self.tokenizer = tokenizer
        self.width, self.context = config.width, tokenizer.context
        self.unknown_token = UNKNOWN
        self.embedding = nn.Embedding(len(tokenizer), config.width, padding_idx=PAD)
        self.position = nn.Parameter(torch.randn(1, self.context, config.width) * 0.02)
        layer = nn.TransformerEncoderLayer(
            config.width,
            config.heads,
            config.width * 3,
            config.dropout,
            "gelu",
            batch_first=True,
            norm_first=True,
        )
        self.stack = nn.TransformerEncoder(layer, config.layers, nn.LayerNorm(config.width), enable_nested_tensor=False)

    def blocks(self) -> list[nn.Module]:
        """The attention blocks, bottom to top."""
        return list(self.stack.layers)

    def tokenize(self, texts: list[str]) -> Tensor:
        """Token ids (B, L) of the batch's real length."""
        return self.tokenizer(texts)

    def token_spans(self, text: str) -> TokenSpans:
        """The characters that each token stands for."""
        return self.tokenizer.spans(text)

    def state(self) -> dict[str, Any]:
        """The vocabulary."""
        return self.tokenizer.state()

    def forward(self, tokens: Tensor) -> Tokens:
        """Encodes token ids (B, L) int64 into tokens (B, L, width)."""
        mask = tokens != PAD
        values = self.embedding(tokens) + self.position[:, : tokens.shape[1]]
        return Tokens(self.stack(values, src_key_padding_mask=~mask), mask, None)
