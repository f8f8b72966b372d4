"""The dynamic soft margin with a histogram that survives a resume and bins that cannot overflow.

pytorch-metric-learning keeps the running histogram as a plain attribute: it is not in the ``state_dict``, it holds on
to the graph of the step before (the second backward pass fails), and a difference of distances in the last bin
indexes one bin past the end. Zhang & Rusinkiewicz, "Learning Local Descriptors with a CDF-Based Dynamic Soft Margin",
ICCV 2019.
"""

from __future__ import annotations

from typing import Any

import torch
from pytorch_metric_learning import losses as pml
from torch import Tensor


class DynamicSoftMarginLoss(pml.DynamicSoftMarginLoss):
    """Triplets weighted by the share of past triplets that were easier.

    Args:
        min_val: Smallest significant difference of distances, below zero.
        num_bins: Bins of the histogram.
        momentum: Weight of the current batch in the histogram.
    """

    hist_: Tensor

    def __init__(self, min_val: float = -2.0, num_bins: int = 10, momentum: float = 0.01, **kwargs: Any) -> None:
        if not min_val < 0 or not num_bins >= 2:
            raise ValueError(f"min_val must be below 0 and num_bins at least 2, found {min_val} and {num_bins}")
        super().__init__(min_val=min_val, num_bins=num_bins, momentum=momentum, **kwargs)
        del self.hist_
        self.register_buffer("hist_", torch.zeros(self.num_bins))

    def _inside(self, data: Tensor) -> Tensor:
        """The differences (T,), detached and kept inside the histogram's bins."""
        upper = self.min_val + self.delta * (self.num_bins - 1)
        return data.detach().clamp(self.min_val, upper - 1e-4 * self.delta)

    def update_histogram(self, data: Tensor) -> None:
        """Blends the histogram with that of the differences (T,)."""
        super().update_histogram(self._inside(data))

    def weigh_loss(self, data: Tensor) -> Tensor:
        """Differences (T,) times their cumulative share, a constant of the step."""
        cumulative = torch.cumsum(self.hist_, 0)
        bins = torch.floor((self._inside(data) - self.min_val) / self.delta).long()
        return cumulative[bins] * data
