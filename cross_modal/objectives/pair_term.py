"""A pytorch-metric-learning loss over given pairs, fed through index tuples whose references are the pairs themselves.

No two items are compared that nobody judged, and a step costs P distances, not the matrix of all items. The library's
silent zeros are avoided: a lone pair counts, an anchor without both verdicts takes no part where it would count as a
loss of zero, and MarginLoss, which the library builds on triplets, is summed over pairs, as its paper has it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from pytorch_metric_learning.distances import BaseDistance
from pytorch_metric_learning.losses import GenericPairLoss
from torch import Tensor, nn

from cross_modal.errors import CrossModalError
from cross_modal.objectives.losses import LOSSES
from cross_modal.objectives.pair_balance import Balance
from cross_modal.objectives.pair_comparisons import Comparisons
from cross_modal.objectives.pair_distances import PairTable, pair_distances
from cross_modal.objectives.pair_losses import find_pair_loss
from cross_modal.objectives.pair_miner import mine
from cross_modal.objectives.reference_term import LARGEST


@dataclass
class PairTerm:
    """A step's result.

    Attributes:
        loss: Float32 scalar, None where nothing could be compared.
        anchors: Anchors that took part; pairs where each pair counts by itself.
        kept: Distinct same and different pairs that took part.
        triplets: Triplets that the miner kept; None where it gave no triplets.
    """

    loss: Tensor | None
    anchors: int
    kept: tuple[int, int]
    triplets: int | None = None


class TupleTerm(nn.Module):
    """A library loss with its miner.

    Args:
        name: The loss's name.
        loss: The loss, from `build_pair_loss`.
        distance: Its distance.
        miner: A miner from `build_pair_miner`, or None.
    """

    loss: Any  # the library's losses are untyped

    def __init__(self, name: str, loss: nn.Module, distance: BaseDistance, miner: Any = None) -> None:
        super().__init__()
        self.name, self.form, self.entry = name, find_pair_loss(name).form, LOSSES[name]
        self.loss, self.miner = loss, miner
        self.measure = distance
        if self.form == "triplets":
            self.loss.distance = PairTable(distance)

    def forward(self, a: Tensor, b: Tensor, same: Tensor, comparisons: Comparisons, weighing: Balance) -> PairTerm:
        """The loss of a step.

        Args:
            a: Float32 (P, d).
            b: Float32 (P, d).
            same: Bool (P,).
            comparisons: Which same pairs are weighed against which different ones.
            weighing: What a pair of either verdict counts.

        Raises:
            CrossModalError: Where the loss would need more memory than a machine has.
        """
        distances = pair_distances(self.measure, a, b)
        if self.miner is not None:
            comparisons = mine(self.miner, distances, same, comparisons)
        triplets = len(comparisons.indices[0]) if len(comparisons.indices) == 3 else None
        if self.entry.needs_both and self.name != "LiftedStructureLoss":
            comparisons = comparisons.with_both()
        kept = comparisons.kept()
        need = max(kept) if self.form == "parts" or self.name == "MultiSimilarityLoss" else min(kept)
        if not need:
            return PairTerm(None, 0, (0, 0), triplets)
        if self.form == "triplets":
            loss = self._by_triplets(distances, comparisons)
        elif self.form == "parts":
            loss = self._by_parts(distances, comparisons, weighing)
        else:
            loss = self._by_anchors(distances, same, comparisons, weighing)
        if loss is None:
            return PairTerm(None, 0, (0, 0), triplets)
        a1, _, a2, _ = comparisons.as_pairs()
        anchors = sum(kept) if self.form == "parts" else len(torch.unique(torch.cat([a1, a2])))
        return PairTerm(loss.reshape(()), anchors, kept, triplets)

    def _by_parts(self, distances: Tensor, comparisons: Comparisons, weighing: Balance) -> Tensor:
        """Each pair by itself; the means over the same and the different ones are weighed as the balance says."""
        a1, p, a2, n = comparisons.as_pairs()
        if self.name == "MarginLoss":
            return self._margin(distances, p, n, weighing)
        elements = self.loss.loss_method(distances[None, :], (a1, p, a2, n))
        for part, factor in (("pos_loss", weighing.same_factor), ("neg_loss", weighing.different_factor)):
            if torch.is_tensor(elements[part]["losses"]):
                elements[part]["losses"] = factor * elements[part]["losses"]
        return self.loss.reducer(elements, distances, None)

    def _margin(self, distances: Tensor, p: Tensor, n: Tensor, weighing: Balance) -> Tensor:
        """Σ (margin ± (distance − β))₊ over the pairs by the number of active ones.

        Wu et al., "Sampling Matters in Deep Embedding Learning", ICCV 2017, equation 5.
        """
        measure, beta = self.measure, self.loss.beta.to(distances)
        same = torch.relu(measure.margin(distances[p], beta) + self.loss.margin)
        different = torch.relu(measure.margin(beta, distances[n]) + self.loss.margin)
        active = (same > 0).sum() + (different > 0).sum()
        elements = torch.cat([weighing.same_weight * same, weighing.different_weight * different])
        pairs = torch.cat([p, n])
        parts = {
            "margin_loss": {
                "losses": elements, "indices": (pairs, pairs), "reduction_type": "pos_pair", "divisor": active
            },
            "beta_reg_loss": self.loss.compute_reg_loss(beta, None, active),
        }  # fmt: skip
        return self.loss.reducer(parts, distances, None)

    def _by_anchors(
        self, distances: Tensor, same: Tensor, comparisons: Comparisons, weighing: Balance
    ) -> Tensor | None:
        """Anchors' same pairs against their different ones."""
        a1, p, a2, n = comparisons.as_pairs()
        assert isinstance(self.loss, GenericPairLoss)
        if self.name == "LiftedStructureLoss":
            return self._lifted(distances, comparisons)
        if not self.entry.matrix:
            self._guard(len(p) * len(n))
        self._guard(comparisons.anchors * len(distances))
        table = distances.expand(comparisons.anchors, -1)
        elements = self.loss.loss_method(table, (a1, p, a2, n))
        if self.name == "MultiSimilarityLoss":  # an anchor may have one verdict only: it counts as its pairs do
            weights = weighing.weights(same)
            mean = weights.new_zeros(2, comparisons.anchors)
            anchor, pair = torch.cat([a1, a2]), torch.cat([p, n])
            mean[0].index_add_(0, anchor, weights[pair])
            mean[1].index_add_(0, anchor, torch.ones_like(weights)[pair])
            part = elements["loss"]
            present = (mean[1] > 0).nonzero().squeeze(1)
            part["losses"] = (part["losses"].reshape(-1) * mean[0] / mean[1].clamp(min=1))[present]
            part["indices"] = present
        return self.loss.reducer(elements, distances, None)

    def _lifted(self, distances: Tensor, comparisons: Comparisons) -> Tensor | None:
        """Every same pair against the different pairs of either of its items.

        The library finds those by comparing item numbers, so its tuple is given items, not pairs.
        """
        a1, p, a2, n = comparisons.as_pairs()
        self._guard(len(p) * len(n))
        other = comparisons.partners[p].sum(1) - a1  # the item at the pair's other end
        reachable = torch.isin(a1, a2) | torch.isin(other, a2)
        a1, p, other = a1[reachable], p[reachable], other[reachable]
        if not len(p):
            return None
        elements = self.loss._compute_loss(distances[p], distances[n], (a1, other, a2, n))
        return self.loss.reducer(elements, distances, None)

    def _by_triplets(self, distances: Tensor, comparisons: Comparisons) -> Tensor | None:
        """One same pair against one different pair of the same anchor; the library joins the two where they are pairs.

        Its anchors are placeholders: `PairTable` reads the pairs' distances off the references.
        """
        indices = comparisons.indices
        if len(indices) == 4:
            per_anchor = [torch.bincount(indices[i], minlength=comparisons.anchors) for i in (0, 2)]
            count = int((per_anchor[0] * per_anchor[1]).sum())
            if not count:
                return None
            self._guard(max(count, comparisons.anchors * len(distances)))
        anchors = distances.new_zeros(comparisons.anchors, 1)
        labels = torch.zeros(comparisons.anchors, dtype=torch.long, device=distances.device)
        references = distances[:, None]
        return self.loss(anchors, labels, indices, ref_emb=references, ref_labels=labels.new_zeros(len(distances)))

    def _guard(self, elements: int) -> None:
        if elements > LARGEST:
            raise CrossModalError(
                f"{self.name}: one step would build a table of {elements:,} elements, at most {LARGEST:,} are allowed; "
                "use a miner or ContrastiveLoss, or make the batch smaller"
            )
