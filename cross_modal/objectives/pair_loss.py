"""The objective over labelled pairs: two items and a verdict, a score between 0 and 1, or triplets.

The public door to the ``pair_…`` files. A pair is *same* with 1 and *different* with 0 (textbooks' contrastive loss has
it the other way round, see `PairObjectiveConfig`). The two sides are interchangeable to the last bit, and so is the
loss: turning any of the pairs round changes nothing. It is computed in float32 outside autocast, always, and every
embedding stays in its graph even in a step in which nothing could be compared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cross_modal.errors import CrossModalError
from cross_modal.objectives.cross_modal_loss import LossOutput
from cross_modal.objectives.pair_balance import Balance, balance, check_same_share
from cross_modal.objectives.pair_comparisons import Comparisons, within_batch, within_items, within_triplets
from cross_modal.objectives.pair_configuration import PairObjectiveConfig
from cross_modal.objectives.pair_graded import CoSENTLoss
from cross_modal.objectives.pair_head import PairHead, PairHeadLoss, SimilarityHead
from cross_modal.objectives.pair_losses import PAIR_LOSSES, build_pair_loss, find_pair_loss
from cross_modal.objectives.pair_miner import build_pair_miner
from cross_modal.objectives.pair_term import PairTerm, TupleTerm
from cross_modal.objectives.reducers import CountedReducer


class PairLoss(nn.Module):
    """Any registered loss over pairs × distance × reducer × miner.

    Args:
        config: The settings.
        dim: Size of the embeddings.
        normalise: Whether the twin scales embeddings to length one.

    Raises:
        CrossModalError: For a combination that cannot train, in one line.

    >>> loss = PairLoss(PairObjectiveConfig(), dim=2)
    >>> a, b = torch.eye(2), torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    >>> output = loss(a, b, torch.tensor([1, 0]))
    >>> int(output.parts["same_pairs"]), int(output.parts["different_pairs"])
    (1, 1)
    """

    def __init__(self, config: PairObjectiveConfig, dim: int, normalise: bool = True) -> None:
        super().__init__()
        self.name, self.entry, self.normalise = config.loss.name, find_pair_loss(config.loss.name), normalise
        if config.compare_within not in ("batch", "item"):
            raise CrossModalError(f"compare_within must be batch or item, found {config.compare_within!r}")
        check_same_share(config.same_share)
        self.compare_within, self.same_share = config.compare_within, config.same_share
        loss, distance = build_pair_loss(config, dim, normalise)
        if distance is None:
            self.term: nn.Module = loss
        else:
            self.term = TupleTerm(self.name, loss, distance, build_pair_miner(config.miner, distance, normalise))

    @property
    def head(self) -> PairHead | None:
        """The verification head, to be saved beside the twin (`save_pair_head`); None for losses without one."""
        return self.term.head if isinstance(self.term, PairHeadLoss) else None

    def forward(
        self, a: Tensor, b: Tensor, same: Tensor, a_ids: Tensor | None = None, b_ids: Tensor | None = None
    ) -> LossOutput:
        """The objective of one step over pairs (a_i, b_i).

        Args:
            a: Embeddings (P, dim) of any float type.
            b: Embeddings (P, dim).
            same: (P,) of any type: 1 or true for same, 0 or false for different, or a score between them for the losses
                that take scores.
            a_ids: Int64 (P,) numbers of the items, one numbering for both sides; needed to compare within items.
            b_ids: Int64 (P,).

        Returns:
            Its `loss`; in `parts`: ``pairs``, ``same_pairs``, ``different_pairs``, ``same_share`` (how unequal the
            verdicts are; of scores their mean), ``same_weight`` and ``different_weight`` (what a pair counts, where 1
            is the mean), ``kept_pairs``, ``kept_same``, ``kept_different`` (the pairs that took part), and
            ``active_fraction``, ``kept_triplets``, ``scale``, ``bias`` where there is one. `usable_anchors` counts
            items, or pairs where each pair counts by itself; `kept_pairs` is None without a miner.

        Raises:
            CrossModalError: Where rows, verdicts or ids do not fit each other, or the loss.
        """
        target = self._target(a, b, same)
        self._check_ids(len(a), a_ids, b_ids)
        verdicts = target > 0.5
        if self.compare_within == "item" and self.entry.form in ("anchors", "triplets"):
            if a_ids is None or b_ids is None:
                raise CrossModalError(
                    f"{self.name}: compare_within=item needs the items' numbers (a_ids and b_ids), found none; "
                    "give them, or set compare_within=batch"
                )
            comparisons = within_items(verdicts, a_ids.to(a.device), b_ids.to(a.device))
        else:
            comparisons = within_batch(verdicts)
        return self._compute(a, b, target, comparisons)

    def triplets(
        self, anchor: Tensor, positive: Tensor, negative: Tensor, anchor_ids: Tensor | None = None
    ) -> LossOutput:
        """The objective of one step over given triplets: (anchor, positive) is same, (anchor, negative) different.

        A loss that weighs the two verdicts against each other does so within a triplet (or an anchor's triplets, where
        `anchor_ids` names it), whatever `compare_within` says. The others take a triplet as two pairs.

        Args:
            anchor: Embeddings (T, dim) of any float type.
            positive: Embeddings (T, dim).
            negative: Embeddings (T, dim).
            anchor_ids: Int64 (T,), or None.

        Returns:
            As for pairs, of which there are 2 T.

        Raises:
            CrossModalError: Where the three do not fit each other.
        """
        if not anchor.shape == positive.shape == negative.shape:
            shapes = ", ".join(str(tuple(x.shape)) for x in (anchor, positive, negative))
            raise CrossModalError(f"triplets: anchors, positives and negatives must be of one shape, found {shapes}")
        if anchor_ids is not None and len(anchor_ids) != len(anchor):
            raise CrossModalError(f"triplets: {len(anchor)} anchors with {len(anchor_ids)} ids")
        verdicts = torch.cat([torch.ones(len(anchor)), torch.zeros(len(anchor))]).to(anchor.device)
        a, b = torch.cat([anchor, anchor]), torch.cat([positive, negative])
        target = self._target(a, b, verdicts)
        numbers = None if anchor_ids is None else anchor_ids.to(anchor.device)
        comparisons = within_triplets(len(anchor), numbers, anchor.device)
        return self._compute(a, b, target, within_batch(target > 0.5) if self.entry.form == "parts" else comparisons)

    def proxy_parameters(self) -> Iterator[nn.Parameter]:
        """Proxies and class weights: losses over pairs have none."""
        return iter([])

    def parameters_without_decay(self) -> Iterator[nn.Parameter]:
        """Every parameter of the objective: weights of the difference, scales, biases, learned boundaries.

        Decay would pull the head towards "all pairs are alike".
        """
        return iter(self.parameters())

    def _apply(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> PairLoss:
        """Moves to a device, never to another precision."""
        super()._apply(fn, *args, **kwargs)
        for parameter in self.parameters():
            parameter.data = parameter.data.float()
        for module in self.modules():
            for key, buffer in module._buffers.items():
                if buffer is not None and buffer.is_floating_point():
                    module._buffers[key] = buffer.float()
        return self

    def _compute(self, a: Tensor, b: Tensor, target: Tensor, comparisons: Comparisons) -> LossOutput:
        counter = getattr(getattr(self.term, "loss", None), "reducer", None)
        if isinstance(counter, CountedReducer):
            counter.reset()
        verdicts = target > 0.5
        graded = bool(((target > 0) & (target < 1)).any())
        weighing = balance(verdicts, None if graded else self.same_share)
        with torch.autocast(a.device.type, enabled=False):
            a, b = a.float(), b.float()
            tie = 0.0 * (a.sum() + b.sum()) + sum(0.0 * p.sum() for p in self.parameters() if p.requires_grad)
            if self.normalise:
                a, b = F.normalize(a, dim=-1), F.normalize(b, dim=-1)
            if not len(target):
                term = PairTerm(None, 0, (0, 0))
            elif isinstance(self.term, TupleTerm):
                term = self.term(a, b, verdicts, comparisons, weighing)
            else:
                term = self._own(a, b, target, weighing)
        parts = {"pairs": float(len(target))} | _imbalance(target, graded, weighing)
        return self._output(term, tie, parts, counter)

    def _own(self, a: Tensor, b: Tensor, target: Tensor, weighing: Balance) -> PairTerm:
        """A head, a regression or a ranking: every pair takes part, and in a ranking none where all are equal."""
        verdicts = target > 0.5
        if isinstance(self.term, CoSENTLoss) and bool((target == target[0]).all()):
            return PairTerm(None, 0, (0, 0))
        loss = self.term(a, b, target, weighing.weights(verdicts))
        return PairTerm(loss, len(target), (weighing.same, weighing.different))

    def _output(self, term: PairTerm, tie: Tensor, parts: dict[str, float], counter: Any) -> LossOutput:
        parts |= {"kept_pairs": sum(term.kept), "kept_same": term.kept[0], "kept_different": term.kept[1]}
        parts["usable_anchors"] = term.anchors
        if term.triplets is not None:
            parts["kept_triplets"] = term.triplets
        active = None
        if isinstance(counter, CountedReducer) and counter.total:
            active = parts["active_fraction"] = float(counter.active) / counter.total
        if isinstance(self.head, SimilarityHead):
            parts["scale"], parts["bias"] = float(self.head.log_scale.detach().exp()), float(self.head.bias.detach())
        mined = getattr(self.term, "miner", None) is not None
        kept = sum(term.kept) if term.triplets is None else term.triplets
        loss = tie if term.loss is None else tie + term.loss
        numbers = {key: torch.tensor(float(value)) for key, value in parts.items()}
        return LossOutput(loss, numbers, term.anchors, kept if mined else None, active)

    def _target(self, a: Tensor, b: Tensor, same: Tensor) -> Tensor:
        """Verdicts or scores as float32 (P,), checked."""
        if a.ndim != 2 or a.shape != b.shape or same.shape != a.shape[:1]:
            shapes = ", ".join(str(tuple(x.shape)) for x in (a, b, same))
            raise CrossModalError(f"pairs: expected embeddings (P, dim), (P, dim) and verdicts (P,), found {shapes}")
        target = same.to(a.device, torch.float32)
        outside = ~((target >= 0) & (target <= 1))  # NaN, too
        if bool(outside.any()):
            row = int(outside.nonzero()[0])
            raise CrossModalError(
                "pairs: the verdict must be 1 (same), 0 (different) or a score between them, found "
                f"{float(target[row])} in row {row} of the step"
            )
        between = (target > 0) & (target < 1)
        if not self.entry.scores and bool(between.any()):
            takers = ", ".join(name for name, entry in PAIR_LOSSES.items() if entry.scores)
            raise CrossModalError(
                f"{self.name}: needs verdicts (1 same, 0 different), found the score {float(target[between][0]):g}; "
                f"graded scores go with {takers}"
            )
        return target

    def _check_ids(self, pairs: int, a_ids: Tensor | None, b_ids: Tensor | None) -> None:
        """Ids fit the rows, and no item is paired with itself."""
        if (a_ids is None) != (b_ids is None):
            raise CrossModalError("pairs: expected the items' numbers of both sides (a_ids, b_ids), found one side's")
        if a_ids is None or b_ids is None:
            return
        if len(a_ids) != pairs or len(b_ids) != pairs:
            raise CrossModalError(f"pairs: {pairs} pairs with {len(a_ids)} and {len(b_ids)} items' numbers")
        alike = a_ids == b_ids
        if bool(alike.any()):
            row = int(alike.nonzero()[0])
            raise CrossModalError(
                f"pairs: expected two items, found item {int(a_ids[row])} on both sides in row {row} of the step"
            )


def _imbalance(target: Tensor, graded: bool, weighing: Balance) -> dict[str, float]:
    """How unequal the verdicts are, and what a pair of either counts."""
    if graded:
        return {"same_share": float(target.mean())}
    total = max(weighing.same + weighing.different, 1)
    return {
        "same_pairs": weighing.same,
        "different_pairs": weighing.different,
        "same_share": weighing.same / total,
        "same_weight": weighing.same_weight,
        "different_weight": weighing.different_weight,
    }
