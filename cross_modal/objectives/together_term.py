"""Losses that see both modalities at once: proxies and class weights shared by the two, and losses over one batch.

Pictures and texts are concatenated with their class ids, so the one proxy of a class pulls both modalities to it. The
batch losses of pytorch-metric-learning assume an order of the rows that they do not check; it is made here.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from cross_modal.errors import CrossModalError
from cross_modal.objectives.losses import Entry
from cross_modal.objectives.reference_term import LARGEST, Term
from cross_modal.objectives.tuples import counts, matches

NEEDS_PAIRS = frozenset({"FastAPLoss", "HistogramLoss", "PNPLoss", "RankedListLoss", "SmoothAPLoss", "NPairsLoss"})


class TogetherTerm(nn.Module):
    """A class or batch loss with its miner.

    Args:
        name: The loss's name, for messages.
        entry: Its registry entry.
        loss: The loss.
        miner: The miner, or None; here it weighs items.
        num_classes: Number of classes that the proxies stand for.
    """

    loss: Any  # the library's losses are untyped

    def __init__(self, name: str, entry: Entry, loss: nn.Module, miner: nn.Module | None, num_classes: int) -> None:
        super().__init__()
        self.name, self.entry, self.num_classes = name, entry, num_classes
        self.loss = loss
        self.miner = miner

    def forward(self, rows: Tensor, ids: Tensor, is_text: Tensor) -> Term:
        """The loss of both modalities.

        Args:
            rows: Float32 (B, d), both modalities.
            ids: Int64 (B,).
            is_text: Bool (B,), which rows are texts.

        Raises:
            CrossModalError: Where an id has no proxy, or the loss would need too much memory.
        """
        if self.entry.family == "class":
            self._check_ids(ids)
        if self.name in ("SmoothAPLoss", "InstanceLoss"):
            order = same_size_classes(ids, is_text) if self.name == "SmoothAPLoss" else representatives_first(ids)
            rows, ids, is_text = rows[order], ids[order], is_text[order]
        if self.entry.quadratic and len(rows) ** 3 > LARGEST:
            raise CrossModalError(
                f"{self.name}: one step would build a table of {len(rows) ** 3:,} elements, at most {LARGEST:,} are "
                "allowed; make batch.classes smaller, or use FastAPLoss"
            )
        masks = matches(ids, ids, within=True)
        term = Term(None, len(rows), int(masks.positive.sum()), int(masks.negative.sum()))
        if self.entry.family == "batch":
            term.usable = int(masks.usable.sum())
            if self.name in NEEDS_PAIRS and not term.usable:
                return term
        indices = self.miner(rows, ids.clone()) if self.miner is not None else None
        if indices is not None:
            term.kept, term.triplets = counts(indices), len(indices) == 3
            if not max(term.kept):  # the library would weigh every item with 1
                term.usable = 0
                return term
        if self.name == "ManifoldLoss":  # without labels; its proxies are drawn at random unless they are named
            term.loss = self.loss(rows, indices_tuple=ids % self.loss.K)
        elif self.name == "NPairsLoss":
            term.loss = self.loss(rows, ids, cross_pairs(ids, is_text))
        else:
            term.loss = self.loss(rows, ids.clone(), indices)
        return term

    def _check_ids(self, ids: Tensor) -> None:
        largest, smallest = int(ids.max()), int(ids.min())
        if smallest < 0 or largest >= self.num_classes:
            wrong = smallest if smallest < 0 else largest
            raise CrossModalError(
                f"{self.name}: class id {wrong} has no proxy, expected ids from 0 to {self.num_classes - 1}"
            )


def same_size_classes(ids: Tensor, is_text: Tensor) -> Tensor:
    """Rows sorted by class, equally many of each class that has two, both modalities among them where they are there.

    Args:
        ids: Int64 (B,).
        is_text: Bool (B,).

    Returns:
        Int64 row numbers.
    """
    kind = ids * 2 + is_text
    by_kind = torch.argsort(kind, stable=True)
    rank = torch.empty_like(ids)
    rank[by_kind] = torch.arange(len(ids), device=ids.device) - torch.searchsorted(kind[by_kind], kind[by_kind])
    order = torch.argsort(rank * 2 + is_text, stable=True)  # first picture, first text, second picture, ...
    order = order[torch.argsort(ids[order], stable=True)]
    sorted_ids = ids[order].contiguous()
    first = torch.searchsorted(sorted_ids, sorted_ids)
    size = torch.searchsorted(sorted_ids, sorted_ids, right=True) - first
    if not bool((size > 1).any()):
        return order[:0]
    place = torch.arange(len(ids), device=ids.device) - first
    return order[(size > 1) & (place < size[size > 1].min())]


def representatives_first(ids: Tensor) -> Tensor:
    """Rows reordered so that row c is of the c-th class: InstanceLoss takes a class's number for a column's."""
    order = torch.argsort(ids, stable=True)
    sorted_ids = ids[order]
    first = torch.ones_like(sorted_ids, dtype=torch.bool)
    first[1:] = sorted_ids[1:] != sorted_ids[:-1]
    return torch.cat([order[first], order[~first]])


def cross_pairs(ids: Tensor, is_text: Tensor) -> tuple[Tensor, ...]:
    """Positive pairs of NPairsLoss, which uses the first of each class only: picture to text where there are both."""
    masks = matches(ids, ids, within=True)
    crossing = masks.positive & ~is_text[:, None] & is_text[None, :]
    a, p = torch.where(crossing if bool(crossing.any()) else masks.positive)
    return a, p, a[:0], p[:0]
