"""Which same pairs a loss weighs against which different ones: index tuples whose references are pairs.

An anchor of such a tuple is what the two verdicts share: an item that occurs in several pairs, the anchor of a given
triplet, or, where pairs share nothing, the batch as a whole (Sun et al., "Circle Loss", CVPR 2020, §3.1 builds its
unified loss from one set of within-class and one of between-class similarities; CoSENT does the same over a batch of
pairs). A reference is a pair's row number.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from cross_modal.objectives.tuples import IndexTuple


@dataclass
class Comparisons:
    """Anchors and the pairs they are in.

    Attributes:
        anchors: How many anchors there are.
        indices: Pairs (anchor, same pair, anchor, different pair) or triplets (anchor, same pair, different pair),
            int64 each.
        partners: Int64 (P, 2): the two items of each pair, by anchor number; −1 for what is no anchor.
    """

    anchors: int
    indices: IndexTuple
    partners: Tensor

    def as_pairs(self) -> IndexTuple:
        """The tuple as pairs; of triplets, each pair once, however many of them it is in.

        The library repeats it with every triplet, which turns P pairs into P² and their softmax into another one.
        """
        if len(self.indices) == 4:
            return self.indices
        anchor, same, different = self.indices
        a1, p = torch.unique(torch.stack([anchor, same]), dim=1)
        a2, n = torch.unique(torch.stack([anchor, different]), dim=1)
        return a1, p, a2, n

    def kept(self) -> tuple[int, int]:
        """Distinct same and different pairs that take part."""
        return len(torch.unique(self.indices[1])), len(torch.unique(self.indices[-1]))

    def with_both(self) -> Comparisons:
        """Only anchors that occur with both verdicts, numbered anew."""
        a1, p, a2, n = self.as_pairs()
        has = torch.zeros(2, self.anchors, dtype=torch.bool, device=a1.device)
        has[0, a1], has[1, a2] = True, True
        keep = has.all(0)
        number = torch.where(keep, torch.cumsum(keep, 0) - 1, -1)
        first, second = keep[a1], keep[a2]
        indices = number[a1[first]], p[first], number[a2[second]], n[second]
        partners = torch.where(self.partners >= 0, number[self.partners.clamp(min=0)], -1)
        return Comparisons(int(keep.sum()), indices, partners)


def within_batch(same: Tensor) -> Comparisons:
    """All pairs of a step under one anchor.

    Args:
        same: Bool (P,).

    >>> [x.tolist() for x in within_batch(torch.tensor([True, False, False])).indices]
    [[0], [0], [0, 0], [1, 2]]
    """
    p, n = same.nonzero().squeeze(1), (~same).nonzero().squeeze(1)
    nobody = torch.full((len(same), 2), -1, device=same.device)
    return Comparisons(1, (torch.zeros_like(p), p, torch.zeros_like(n), n), nobody)


def within_items(same: Tensor, a_ids: Tensor, b_ids: Tensor) -> Comparisons:
    """Each item an anchor of the pairs it is in; every pair has two.

    The order of the tuple depends on the ids alone, not on which side an item stands, so sums come out the same to the
    last bit when a pair is turned round.

    Args:
        same: Bool (P,).
        a_ids: Int64 (P,) items of one numbering.
        b_ids: Int64 (P,).

    >>> found = within_items(torch.tensor([True, False]), torch.tensor([5, 9]), torch.tensor([7, 5]))
    >>> [x.tolist() for x in found.indices]
    [[0, 1], [0, 0], [0, 2], [1, 1]]
    """
    items, numbers = torch.unique(torch.cat([a_ids, b_ids]), return_inverse=True)
    low, high = torch.minimum(*numbers.chunk(2)), torch.maximum(*numbers.chunk(2))
    p, n = same.nonzero().squeeze(1), (~same).nonzero().squeeze(1)
    indices = torch.cat([low[p], high[p]]), p.repeat(2), torch.cat([low[n], high[n]]), n.repeat(2)
    return Comparisons(len(items), indices, torch.stack([low, high], dim=1))


def within_triplets(triplets: int, anchor_ids: Tensor | None, device: torch.device) -> Comparisons:
    """Given triplets: pair t is (anchor, positive) of triplet t, pair T + t its (anchor, negative).

    Args:
        triplets: T.
        anchor_ids: Int64 (T,): triplets of one anchor are weighed together; None keeps each to itself.
        device: Where the indices are wanted.
    """
    rows = torch.arange(triplets, device=device)
    numbers = rows if anchor_ids is None else torch.unique(anchor_ids, return_inverse=True)[1]
    anchors = int(numbers.max()) + 1 if triplets else 0
    partners = torch.stack([numbers, torch.full_like(numbers, -1)], dim=1).repeat(2, 1)
    return Comparisons(anchors, (numbers, rows, numbers, rows + triplets), partners)
