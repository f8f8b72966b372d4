"""Index tuples of pairs (anchor, positive, anchor, negative) and triplets (anchor, positive, negative).

pytorch-metric-learning removes an item's match with itself by *object identity* of two label tensors. Here it is
removed by construction, from boolean masks, and the tuples say so.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

IndexTuple = tuple[Tensor, ...]


class Matches(NamedTuple):
    """Who may be whose positive or negative.

    Attributes:
        positive: Bool (A, R): same class, and not the very same item.
        negative: Bool (A, R): another class.
        usable: Bool (A,): anchors with at least one positive and one negative.
    """

    positive: Tensor
    negative: Tensor
    usable: Tensor


def matches(anchor_ids: Tensor, ref_ids: Tensor, within: bool) -> Matches:
    """Masks of positives and negatives.

    Args:
        anchor_ids: Int64 (A,).
        ref_ids: Int64 (R,).
        within: The first A references are the anchors themselves: row i never matches column i.

    >>> matches(torch.tensor([0, 0, 1]), torch.tensor([0, 0, 1]), within=True).usable.tolist()
    [True, True, False]
    """
    same = anchor_ids[:, None] == ref_ids[None, :]
    negative = ~same
    if within:
        same.fill_diagonal_(False)
    return Matches(same, negative, same.any(1) & negative.any(1))


def all_pairs(masks: Matches) -> IndexTuple:
    """Every positive and negative pair of the usable anchors: four int64 index tensors."""
    a1, p = torch.where(masks.positive & masks.usable[:, None])
    a2, n = torch.where(masks.negative & masks.usable[:, None])
    return a1, p, a2, n


def triplets(masks: Matches, per_anchor: int | str) -> IndexTuple:
    """Triplets of the usable anchors: all of them, or `per_anchor` drawn at random for each anchor."""
    anchors = masks.usable.nonzero().squeeze(1)
    positive, negative = masks.positive[anchors], masks.negative[anchors]
    if per_anchor == "all":
        row, p, n = torch.where(positive[:, :, None] & negative[:, None, :])
        return anchors[row], p, n
    p = torch.multinomial(positive.float(), int(per_anchor), replacement=True)
    n = torch.multinomial(negative.float(), int(per_anchor), replacement=True)
    return anchors.repeat_interleave(int(per_anchor)), p.flatten(), n.flatten()


def select(indices: IndexTuple, keep: Tensor) -> IndexTuple:
    """Keeps the tuples whose anchor is kept and numbers the anchors anew, 0 to ``keep.sum() - 1``.

    Args:
        indices: Pairs or triplets.
        keep: Bool (A,).
    """
    number = torch.cumsum(keep, 0) - 1
    if len(indices) == 3:
        a, p, n = indices
        kept = keep[a]
        return number[a[kept]], p[kept], n[kept]
    a1, p, a2, n = indices
    first, second = keep[a1], keep[a2]
    return number[a1[first]], p[first], number[a2[second]], n[second]


def join(first: IndexTuple, second: IndexTuple, shift: int) -> IndexTuple:
    """Both tuples (of one kind); the references of the second one are numbered from `shift` on."""
    is_reference = (False, True, True) if len(first) == 3 else (False, True, False, True)
    return tuple(
        torch.cat([x, y + shift if moved else y]) for x, y, moved in zip(first, second, is_reference, strict=True)
    )


def counts(indices: IndexTuple) -> tuple[int, int]:
    """How many positive and negative pairs; of triplets, twice their number."""
    return len(indices[1]), len(indices[-1])
