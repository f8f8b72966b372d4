"""SigLIP: a sigmoid for every pair, so that no softmax ties the batch together.

Zhai et al., "Sigmoid Loss for Language Image Pre-Training", ICCV 2023: −(1/A) Σ_ij log σ(y_ij (s cos_ij + b)), with
y = +1 where the classes match and −1 elsewhere. Equal to open_clip's loss where every class occurs once; several items
of a class are all positives here.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cross_modal.objectives.tuples import Matches


class SigLIPLoss(nn.Module):
    """Sigmoid loss with a learned scale and bias.

    Args:
        initial_scale: s at the start.
        initial_bias: b at the start: nearly all pairs are negatives, so it starts low.
    """

    def __init__(self, initial_scale: float = 10.0, initial_bias: float = -10.0) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.tensor(math.log(initial_scale)))
        self.bias = nn.Parameter(torch.tensor(float(initial_bias)))

    def forward(self, anchor: Tensor, reference: Tensor, masks: Matches) -> Tensor:
        """Mean over the anchors of the sum over their pairs.

        Args:
            anchor: Float32 (A, d).
            reference: Float32 (R, d).
            masks: Who matches whom; pairs that are neither (an item with itself) do not count.

        Returns:
            Float32 scalar.
        """
        cosines = F.normalize(anchor, dim=-1) @ F.normalize(reference, dim=-1).T  # (A, R)
        logits = self.log_scale.exp() * cosines + self.bias
        signs = masks.positive.float() - masks.negative.float()
        pairs = F.logsigmoid(signs * logits) * signs.abs()
        return -pairs.sum() / len(anchor)
