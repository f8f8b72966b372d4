"""Embeddings of single tokens: what the twin would make of a patch or a word piece if it stood alone.

Pooling weights of a single token are one, whatever the query, so a token through the shared head is a point of the
same space that whole pictures and texts live in, and patches can be compared with word pieces (as FILIP compares them,
Yao et al. 2022, though our twin is trained on whole items only).

A twin on an open_clip model adds to that model's own embedding, of which a single token has none: there the tokens show
what the twin adds, scaled by nothing.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from cross_modal.encoders.tokens import Tokens
from cross_modal.encoders.twin import TwinEncoder
from cross_modal.errors import CrossModalError

Modality = Literal["image", "text"]


def token_embeddings(twin: TwinEncoder, tokens: Tokens, modality: Modality) -> Tensor:
    """Embeds each token by itself.

    Args:
        twin: The twin.
        tokens: Tokens (B, L, D) of the modality's trunk.
        modality: Which side's map and head.

    Returns:
        (B, L, dim) float32, of length one where the twin normalises; zeros at padding.

    Raises:
        CrossModalError: The twin has no trunk of that modality.

    >>> from cross_modal.configuration import TextTrunkConfig, TwinConfig
    >>> from cross_modal.encoders.build import build_twin
    >>> twin = build_twin(TwinConfig(text=TextTrunkConfig(name="gru", width=16), width=16), ["a cat"]).eval()
    >>> tokens = twin.text(twin.text.tokenize(["a cat", "a"]))
    >>> token_embeddings(twin, tokens, "text").shape[::2]
    torch.Size([2, 256])
    """
    mapping = twin.image_map if modality == "image" else twin.text_map
    if mapping is None or (twin.image if modality == "image" else twin.text) is None:
        raise CrossModalError(f"tokens: expected a twin with a trunk for {modality}s, found none")
    head = twin.head if modality == "image" else twin.text_head or twin.head
    values = mapping(tokens.values.float())  # (B, L, width)
    alone = values.flatten(0, 1).unsqueeze(1)  # (B·L, 1, width)
    embedded, _ = head(alone, torch.ones(alone.shape[:2], dtype=torch.bool, device=alone.device))
    embedded = embedded.float().unflatten(0, values.shape[:2])
    embedded = F.normalize(embedded, dim=-1) if twin.normalise else embedded
    return embedded.masked_fill(~tokens.mask.unsqueeze(-1), 0)
