"""What every trunk gives, whatever its modality: a row of tokens, which of them are real, and its own embedding if any.

One type for both modalities is what lets one attention pooling serve both towers.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Tokens(NamedTuple):
    """The tokens of a batch.

    Attributes:
        values: (B, L, D) float, the states of the tokens.
        mask: (B, L) bool, true where the token is real; every row has at least one real token.
        pooled: (B, E) float, the trunk's own embedding, not normalised; None where the trunk has none.

    Example:
        >>> import torch
        >>> tokens = Tokens(torch.zeros(2, 3, 4), torch.ones(2, 3, dtype=torch.bool))
        >>> tuple(tokens.values.shape), tokens.pooled is None
        ((2, 3, 4), True)
    """

    values: Tensor
    mask: Tensor
    pooled: Tensor | None = None

    def to(self, device: torch.device | str) -> Tokens:
        """The same on another device."""
        pooled = None if self.pooled is None else self.pooled.to(device, non_blocking=True)
        return Tokens(self.values.to(device, non_blocking=True), self.mask.to(device, non_blocking=True), pooled)

    def float(self) -> Tokens:
        """The same in float32; what comes from the feature store is float16."""
        return Tokens(self.values.float(), self.mask, None if self.pooled is None else self.pooled.float())
