"""Settings of an objective over labelled pairs: two items and a verdict, or a score between 0 and 1.

Read by the command line, so no torch here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from cross_modal.part_configuration import PartConfig


@dataclass
class PairObjectiveConfig:
    """What training on labelled pairs makes small.

    A pair is *same* with 1 and *different* with 0, everywhere. Textbooks often write the contrastive loss the other way
    round (Hadsell, Chopra & LeCun, CVPR 2006: y = 0 for a similar pair), since their y is a wanted distance; labels of
    that kind are to be turned round (``same = 1 − y``) before they come here, else training pushes like items apart.

    Attributes:
        loss: "PairHeadLoss" (binary cross-entropy on a learned head: ``head`` "similarity" or "difference"),
            "RegressionLoss" or "CoSENTLoss" (graded scores), or a pytorch-metric-learning loss that takes pairs:
            "ContrastiveLoss", "MarginLoss", "MultiSimilarityLoss", "CircleLoss", "TripletMarginLoss", ... In all of
            them a pair is the same with 1; where labels follow textbooks whose y is 0 for alike, give 1 − y.
        distance: The distance of a pytorch-metric-learning loss and its miner; None takes the loss's own. Margins are
            in its unit: ContrastiveLoss has both forms, Euclidean (its own) and cosine.
        miner: A tuple miner that picks among the given pairs, or none.
        reducer: How the loss's elements become one number; None takes the loss's own.
        compare_within: What a loss that weighs same pairs against different ones takes them from: "batch", all the
            pairs of a step (one threshold for all, as verification wants it), or "item", the pairs that share an item
            (needs item ids, and items that occur in several pairs).
        same_share: Share of the loss's weight that falls to the same pairs, whatever their number; 0.5 balances the two
            verdicts, None gives each pair the same weight.
    """

    loss: PartConfig = field(default_factory=lambda: PartConfig("PairHeadLoss"))
    distance: PartConfig | None = None
    miner: PartConfig | None = None
    reducer: PartConfig | None = None
    compare_within: Literal["batch", "item"] = "batch"
    same_share: float | None = 0.5
