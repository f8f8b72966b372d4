"""gru: the recurrent text encoder of the classic siamese networks, from scratch (Mueller & Thyagarajan 2016's twin).

A bidirectional gated recurrent unit (Cho et al. 2014) over characters or pieces. Sequences are packed, so padding is
never read and a text's tokens do not depend on its neighbours in the batch.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from cross_modal.configuration import TextTrunkConfig
from cross_modal.encoders.token_spans import TokenSpans
from cross_modal.encoders.tokenizer import PAD, UNKNOWN, Tokenizer
from cross_modal.encoders.tokens import Tokens
from cross_modal.encoders.trunk import TextTrunk
from cross_modal.errors import CrossModalError


class GRUText(TextTrunk):
    """Token embedding and `layers` bidirectional recurrent layers; the tokens are the states of both directions.

    Args:
        config: `width` (even: half of it for each direction), `layers`, `dropout`.
        tokenizer: The learned tokenizer.

    Raises:
        CrossModalError: If the width is odd.
    """

    def __init__(self, config: TextTrunkConfig, tokenizer: Tokenizer) -> None:
        super().__init__()
        if config.width % 2:
            raise CrossModalError(f"twin.text.width: expected an even number for the gru, found {config.width}")
        self.tokenizer = tokenizer
        self.width, self.context = config.width, tokenizer.context
        self.unknown_token = UNKNOWN
        self.embedding = nn.Embedding(len(tokenizer), config.width, padding_idx=PAD)
        self.recurrent = nn.GRU(
            config.width,
            config.width // 2,
            config.layers,
            batch_first=True,
            bidirectional=True,
            dropout=config.dropout if config.layers > 1 else 0.0,
        )
        self.norm = nn.LayerNorm(config.width)

    def blocks(self) -> list[nn.Module]:
        """The recurrent stack, as one block."""
        return [self.recurrent]

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
        packed = pack_padded_sequence(self.embedding(tokens), mask.sum(1).cpu(), batch_first=True, enforce_sorted=False)
        states, _ = pad_packed_sequence(self.recurrent(packed)[0], batch_first=True, total_length=tokens.shape[1])
        return Tokens(self.norm(states), mask, None)
