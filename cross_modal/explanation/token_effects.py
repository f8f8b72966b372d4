"""What each token does to the score: the score less the score without the token, exactly.

Leaving a token out is a false entry in the pooling's mask, so all L effects are one pass of the head over L copies of
the tokens. The trunk is not run again: the other tokens still carry what they learned from this one.

Source: leave-one-out (occlusion) as in Zeiler and Fergus 2014, "Visualizing and understanding convolutional networks",
section 4.2, at the level of tokens.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from cross_modal.encoders.tokens import Tokens
from cross_modal.encoders.twin import TwinEncoder
from cross_modal.explanation.token_embeddings import Modality

AT_ONCE = 64  # copies of the tokens in one pass: a large trunk's would fill the memory


@torch.no_grad()
def token_effects(twin: TwinEncoder, tokens: Tokens, modality: Modality, other: Tensor) -> Tensor:
    """The effect of each token on the score with another item.

    Args:
        twin: The twin.
        tokens: Tokens (1, L, D) of one item, with the trunk's own embedding where the twin has a residual.
        modality: The item's.
        other: (dim,) the other item's embedding.

    Returns:
        (L,) float32: positive where the token raises the score. Nought at padding, and for an only token.
    """
    real = tokens.mask[0]
    length, count = len(real), int(real.sum())
    if count < 2:
        return torch.zeros(length)
    places = torch.nonzero(real)[:, 0]
    masks = real.repeat(count + 1, 1)  # (N + 1, L): all tokens, then each left out
    masks[torch.arange(1, count + 1), places] = False
    embedded = torch.cat([twin.embed_tokens(_copies(tokens, part), modality) for part in masks.split(AT_ONCE)])
    if twin.normalise:
        scores = embedded @ F.normalize(other.to(embedded), dim=-1)
    else:
        scores = -torch.linalg.vector_norm(embedded - other.to(embedded), dim=-1)
    effects = torch.zeros(length)
    effects[places.cpu()] = (scores[0] - scores[1:]).cpu()
    return effects


def _copies(tokens: Tokens, masks: Tensor) -> Tokens:
    """The same tokens once for each of (n, L) masks."""
    pooled = None if tokens.pooled is None else tokens.pooled.expand(len(masks), -1)
    return Tokens(tokens.values.expand(len(masks), -1, -1), masks, pooled)
