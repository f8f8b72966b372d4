"""CLIP's InfoNCE with a learned temperature, where several items of a class are all positives.

Radford et al., "Learning Transferable Visual Models From Natural Language Supervision", ICML 2021: cross-entropy of
each anchor over the references, here with the target spread evenly over the anchor's positives (supervised contrastive,
Khosla et al., NeurIPS 2020, L_out). With unique classes it is CLIP's loss exactly.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cross_modal.objectives.tuples import Matches


class CLIPLoss(nn.Module):
    """InfoNCE over cosines.

    Args:
        temperature: Temperature at the start.
        learn_temperature: Train it; it stays in [0.01, 1] (CLIP caps the scale at 100, too).
    """

    def __init__(self, temperature: float = 0.07, learn_temperature: bool = True) -> None:
        super().__init__()
        if not 0.01 <= temperature <= 1:
            raise ValueError(f"temperature must lie in 0.01 to 1, found {temperature}")
        self.log_scale = nn.Parameter(torch.tensor(-math.log(temperature)), requires_grad=learn_temperature)

    def forward(self, anchor: Tensor, reference: Tensor, masks: Matches) -> Tensor:
        """Mean cross-entropy of the usable anchors.

        Args:
            anchor: Float32 (A, d).
            reference: Float32 (R, d).
            masks: Who matches whom; pairs that are neither (an item with itself) do not count.

        Returns:
            Float32 scalar.
        """
        with torch.no_grad():  # in place, before use: a clamp in the graph would stop the gradient at the border
            self.log_scale.clamp_(0.0, math.log(100.0))
        anchor, positive = anchor[masks.usable], masks.positive[masks.usable]
        allowed = positive | masks.negative[masks.usable]
        cosines = F.normalize(anchor, dim=-1) @ F.normalize(reference, dim=-1).T  # (A, R)
        logits = (self.log_scale.exp() * cosines).masked_fill(~allowed, -torch.inf)
        log_probability = F.log_softmax(logits, dim=1).masked_fill(~positive, 0.0)
        return -(log_probability.sum(1) / positive.sum(1)).mean()
