"""Settings of training on pairs: labelled ones, triplets, or pairs that are made of classes.

Read by the command line, so no torch here.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from cross_modal.objectives.pair_configuration import PairObjectiveConfig


@dataclass
class PairBatchConfig:
    """What one step over pairs sees.

    Attributes:
        pairs: Pairs (or triplets) a step.
        same: Share of them that are the same, where pairs have verdicts; none takes pairs as the data has them.
    """

    pairs: int = 128
    same: float | None = 0.5


@dataclass
class PairConfig:
    """Training on pairs.

    Attributes:
        objective: The loss over pairs.
        batch: What one step over pairs sees.
        from_classes: Train items with classes on pairs made of them: same class or not. Which modalities meet is
            weighed as objective.terms says, as far as the data have them.
        hard_negatives: Share of the different pairs made of classes that are hard: a skilled forgery of its writer
            where there are some (genuine = 0), else an item of a class that the present model takes for a near one.
        refresh: Steps after which the near classes are looked up anew; 0 never looks.
    """

    objective: PairObjectiveConfig = field(default_factory=PairObjectiveConfig)
    batch: PairBatchConfig = field(default_factory=PairBatchConfig)
    from_classes: bool = False
    hard_negatives: float = 0.5
    refresh: int = 100
