"""One direction of the objective: anchors of one modality against references of another, or of the same.

Everything that pytorch-metric-learning leaves to chance here is decided before it is called: labels are copies (it
deletes the diagonal of matches when both are one object), only anchors with a positive and a negative take part, an
item never matches itself, the miner sees the loss's references, and an empty choice of the miner skips the term.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from cross_modal.errors import CrossModalError
from cross_modal.objectives.losses import Entry
from cross_modal.objectives.row_pairs import row_partners
from cross_modal.objectives.tuples import IndexTuple, Matches, all_pairs, counts, join, matches, select, triplets

LARGEST = 2**28  # elements of a positives × negatives table: 1 GB of float32


@dataclass
class Term:
    """One direction's result.

    Attributes:
        loss: Float32 scalar, None where nothing was usable.
        usable: Anchors that took part.
        positives: Positive pairs among all (without a miner, those of the usable anchors).
        negatives: Negative pairs likewise.
        kept: Positive and negative pairs, or triplets twice, that the miner kept; None without a miner.
        triplets: The miner gave triplets.
    """

    loss: Tensor | None
    usable: int
    positives: int = 0
    negatives: int = 0
    kept: tuple[int, int] | None = None
    triplets: bool = False


@dataclass
class References:
    """What anchors are compared with.

    Attributes:
        rows: Float32 (R, d): the live references, then the memory's.
        ids: Int64 (R,).
        live: How many are live.
    """

    rows: Tensor
    ids: Tensor
    live: int


class ReferenceTerm(nn.Module):
    """A reference loss with its miner.

    Args:
        name: The loss's name, for messages.
        entry: Its registry entry.
        loss: The loss.
        miner: The miner, or None.
    """

    loss: Any  # the library's losses are untyped

    def __init__(self, name: str, entry: Entry, loss: nn.Module, miner: nn.Module | None) -> None:
        super().__init__()
        self.name, self.entry = name, entry
        self.loss = loss
        self.miner = miner

    def forward(self, anchor: Tensor, ids: Tensor, references: References, within: bool) -> Term:
        """One direction.

        Args:
            anchor: Float32 (A, d).
            ids: Int64 (A,).
            references: What they are compared with; within a modality the live ones are the anchors.
            within: Whether they are.

        Raises:
            CrossModalError: Where the loss would need more memory than a machine has.
        """
        ids, references = ids.clone(), References(references.rows, references.ids.clone(), references.live)
        if self.name == "VICRegLoss":
            return self._by_rows(anchor, ids, references, within)
        masks = matches(ids, references.ids, within)
        positives = int((masks.positive.sum(1) * masks.usable).sum())
        negatives = int((masks.negative.sum(1) * masks.usable).sum())
        term = Term(None, int(masks.usable.sum()), positives, negatives)
        if positives <= 1 and negatives <= 1:  # none, or the lone pair for which the library returns 0
            term.usable = 0
        elif self.entry.family == "own":
            term.loss = self.loss(anchor, references.rows, masks)
        elif self.miner is not None:
            self._mined(term, anchor, ids, references, masks, within)
        else:
            self._guard(positives, negatives)
            term.loss = self._all(anchor, ids, references, masks, within)
        return term

    def _all(self, anchor: Tensor, ids: Tensor, references: References, masks: Matches, within: bool) -> Tensor:
        """Every tuple of the usable anchors."""
        if self.entry.matrix:
            return self._matrix(anchor, ids, references, masks)
        per_anchor = getattr(self.loss, "triplets_per_anchor", "all")
        if self.entry.tuples == "triplets" and per_anchor == "all":
            self._refuse(len(anchor) * len(references.rows) ** 2, "set triplets_per_anchor to 50, say, use a miner, or")
        alone = within and len(references.rows) == references.live
        every = bool(masks.usable.all())
        if alone and (self.name == "NCALoss" or (every and self.entry.library_indices)):
            return self.loss(anchor, ids)  # without references the library itself leaves the diagonal out
        keep = masks.usable
        if not within and self.entry.library_indices:
            anchor, ids = (anchor, ids) if every else (anchor[keep], ids[keep])
            return self.loss(anchor, ids, ref_emb=references.rows, ref_labels=references.ids)
        if self.entry.tuples == "triplets":
            return self._call(anchor, ids, references, select(triplets(masks, per_anchor), keep), keep)
        return self._call(anchor, ids, references, select(all_pairs(masks), keep), keep)

    def _matrix(self, anchor: Tensor, ids: Tensor, references: References, masks: Matches) -> Tensor:
        """Losses over the matrix of distances, fed the masks themselves.

        The library would list every pair's indices only to paint the very same masks from them, which costs more than
        the loss.
        """
        positive, negative = masks.positive, masks.negative
        if not bool(masks.usable.all()):
            anchor, ids = anchor[masks.usable], ids[masks.usable]
            positive, negative = positive[masks.usable], negative[masks.usable]
        distances = self.loss.distance(anchor, references.rows)  # (A, R)
        elements = self.loss._compute_loss(distances, positive.to(distances), negative.to(distances))
        return self.loss.reducer(elements, anchor, ids)

    def _mined(
        self, term: Term, anchor: Tensor, ids: Tensor, references: References, masks: Matches, within: bool
    ) -> None:
        """The miner's tuples; fills in the term."""
        indices, keep = self._mine(anchor, ids, references, within), masks.usable
        if self.entry.needs_both:  # an anchor that kept no positive would count as a loss of zero
            keep = keep & with_both(indices, len(ids))
        indices = select(indices, keep)
        term.kept, term.triplets, term.usable = counts(indices), len(indices) == 3, int(keep.sum())
        need = min(term.kept) if self.entry.needs_both or self.entry.tuples == "triplets" else max(term.kept)
        if not need or (max(term.kept) <= 1 and self.entry.tuples == "pairs"):  # the library returns 0 for these
            term.usable = 0
            return
        self._guard(*term.kept)
        if self.entry.tuples == "triplets" and len(indices) == 4:
            self._refuse(len(indices[0]) * len(indices[2]), "use a triplet miner (TripletMarginMiner), or")
        if self.name == "NCALoss" and within:
            keep = torch.ones_like(keep)
            indices = self._mine(anchor, ids, references, within)
            term.loss = self.loss(anchor, ids, indices)
        else:
            term.loss = self._call(anchor, ids, references, indices, keep)

    def _mine(self, anchor: Tensor, ids: Tensor, references: References, within: bool) -> IndexTuple:
        """The miner over the loss's references; within a modality it mines the live items and the memory in turn."""
        assert self.miner is not None
        if not within:
            return self.miner(anchor, ids, references.rows, references.ids)
        live = self.miner(anchor, ids)  # without references the library leaves the diagonal out
        rows, past = references.rows[references.live :], references.ids[references.live :]
        return join(live, self.miner(anchor, ids, rows, past), references.live) if len(rows) else live

    def _call(self, anchor: Tensor, ids: Tensor, references: References, indices: IndexTuple, keep: Tensor) -> Tensor:
        """The loss with explicit indices, whose anchors are numbered among the kept ones."""
        anchor, ids = anchor[keep], ids[keep]
        if self.name != "LiftedStructureLoss":
            return self.loss(anchor, ids, indices, ref_emb=references.rows, ref_labels=references.ids)
        # It looks up negatives of the positive by comparing anchor numbers with reference numbers, so both have to be
        # numbered in one space; and gives a positive its own negatives: the pairs read from the other end.
        if len(indices) == 3:
            indices = (indices[0], indices[1], indices[0], indices[2])
        shift = len(anchor)
        a1, p, a2, n = indices[0], indices[1] + shift, indices[2], indices[3] + shift
        rows, labels = torch.cat([anchor, references.rows]), torch.cat([ids, references.ids])
        return self.loss(rows, labels, (a1, p, torch.cat([a2, n]), torch.cat([n, a2])))

    def _by_rows(self, anchor: Tensor, ids: Tensor, references: References, within: bool) -> Term:
        """Losses without labels: row i of the anchors with row i of their partners."""
        anchors, partners = row_partners(ids, references.ids, within)
        if len(anchors) < 2:
            return Term(None, 0)
        loss = self.loss(anchor[anchors], ref_emb=references.rows[partners])
        return Term(loss, len(anchors), positives=len(anchors))

    def _guard(self, positives: int, negatives: int) -> None:
        if self.entry.quadratic:
            self._refuse(positives * negatives, "use SupConLoss, whose memory grows with the square of the batch, or")

    def _refuse(self, elements: int, remedy: str) -> None:
        if elements > LARGEST:
            raise CrossModalError(
                f"{self.name}: one step would build a table of {elements:,} elements, at most {LARGEST:,} are allowed; "
                f"{remedy} make batch.classes or memory.size smaller"
            )


def with_both(indices: IndexTuple, anchors: int) -> Tensor:
    """Bool (A,): anchors that occur with a positive and with a negative."""
    has = torch.zeros(2, anchors, dtype=torch.bool, device=indices[0].device)
    has[0, indices[0]] = True
    has[1, indices[0] if len(indices) == 3 else indices[2]] = True
    return has.all(0)
