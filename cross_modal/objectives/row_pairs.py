"""Partners by row for losses that know no labels (VICReg): each anchor with one reference of its own class."""

from __future__ import annotations

import torch
from torch import Tensor


def row_partners(anchor_ids: Tensor, ref_ids: Tensor, within: bool) -> tuple[Tensor, Tensor]:
    """Pairs the k-th anchor of a class with the k-th reference of that class, counted round.

    Args:
        anchor_ids: Int64 (A,).
        ref_ids: Int64 (R,).
        within: Both are the same items: the partner is the next item of the class, never the item itself.

    Returns:
        Int64 (P,) anchors that have a partner, and int64 (P,) their partners.

    >>> row_partners(torch.tensor([5, 7, 5]), torch.tensor([7, 5]), within=False)
    (tensor([0, 1, 2]), tensor([1, 0, 1]))
    """
    ref_order = torch.argsort(ref_ids, stable=True)
    ref_sorted = ref_ids[ref_order].contiguous()
    first = torch.searchsorted(ref_sorted, anchor_ids.contiguous())
    count = torch.searchsorted(ref_sorted, anchor_ids.contiguous(), right=True) - first
    order = torch.argsort(anchor_ids, stable=True)
    anchor_sorted = anchor_ids[order].contiguous()
    rank = torch.empty_like(anchor_ids)
    rank[order] = torch.arange(len(order), device=order.device) - torch.searchsorted(anchor_sorted, anchor_sorted)
    anchors = (count > int(within)).nonzero().squeeze(1)
    place = (rank + int(within))[anchors] % count[anchors]
    return anchors, ref_order[first[anchors] + place]
