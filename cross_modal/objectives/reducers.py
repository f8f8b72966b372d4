"""How a loss's elements (anchors, pairs, triplets) become one number, and how many of them were active.

The mean is right where every element is an anchor (SupCon and its like): pytorch-metric-learning's default there drops
exact zeros, so the loss of a good model stops being the cross-entropy it claims to be. Where elements are pairs or
triplets that a margin switches off, the mean over the *active* ones is right, but it hides progress: it stays flat
while ever fewer are active. `CountedReducer` therefore always counts them.
"""

from __future__ import annotations

from typing import Any

import torch
from pytorch_metric_learning import reducers
from pytorch_metric_learning.reducers import BaseReducer
from torch import nn

from cross_modal.configuration import PartConfig
from cross_modal.errors import CrossModalError
from cross_modal.objectives.arguments import build, check_arguments

REDUCERS: dict[str, type[BaseReducer]] = {
    "MeanReducer": reducers.MeanReducer,
    "AvgNonZeroReducer": reducers.AvgNonZeroReducer,
    "SumReducer": reducers.SumReducer,
    "ThresholdReducer": reducers.ThresholdReducer,
    "DivisorReducer": reducers.DivisorReducer,
}
REFUSED = {
    "PerAnchorReducer": "it assumes as many references as anchors and fails across modalities; use MeanReducer",
    "DoNothingReducer": "training needs one number; use MeanReducer",
    "MultipleReducers": "each loss already reduces its parts one by one; use MeanReducer",
    "ClassWeightedReducer": "balanced batches already weigh classes alike; use MeanReducer",
}


class CountedReducer(nn.Module):
    """Wraps a loss's reducer and counts its active (above zero) elements.

    Attributes:
        active: Elements above zero since the last `reset`, an int64 scalar tensor.
        total: Elements since the last `reset`.
    """

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner
        self.reset()

    def reset(self) -> None:
        """Starts counting anew."""
        self.active: torch.Tensor | int = 0
        self.total = 0

    def forward(self, loss_dict: dict[str, dict[str, Any]], embeddings: Any, labels: Any) -> torch.Tensor:
        """Reduces as the wrapped reducer does."""
        for part in loss_dict.values():
            losses = part["losses"]
            if torch.is_tensor(losses) and losses.ndim and part["reduction_type"] != "already_reduced":
                self.active = self.active + (losses.detach() > 0).sum()
                self.total += losses.numel()
        return self.inner(loss_dict, embeddings, labels)


def build_reducer(part: PartConfig | None) -> BaseReducer | None:
    """Builds the reducer that the user chose; None leaves it to the loss's entry in the registry.

    Raises:
        CrossModalError: For an unknown or refused name, or an unknown argument.
    """
    if part is None:
        return None
    if part.name in REFUSED:
        raise CrossModalError(f"reducer {part.name}: refused, {REFUSED[part.name]}")
    if part.name not in REDUCERS:
        raise CrossModalError(f"reducer {part.name!r}: unknown, expected one of: {', '.join(REDUCERS)}")
    hidden = frozenset({"low", "high"}) if part.name == "AvgNonZeroReducer" else frozenset()
    check_arguments(REDUCERS[part.name], part.name, part.arguments, hidden=hidden)
    return build(REDUCERS[part.name], part.name, part.arguments)
