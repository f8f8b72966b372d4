"""Tuple miners: which pairs or triplets of a batch the loss sees.

A miner shares the loss's distance and references. Its thresholds are in that distance's unit, and default thresholds
are refused where they point the wrong way.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pytorch_metric_learning import miners as pml
from pytorch_metric_learning.distances import BaseDistance, LpDistance
from pytorch_metric_learning.miners import BaseMiner

from cross_modal.configuration import PartConfig
from cross_modal.errors import CrossModalError
from cross_modal.objectives.arguments import build, check_arguments
from cross_modal.objectives.loss_values import check_pair_margins


@dataclass(frozen=True)
class MinerEntry:
    """How a miner is used.

    Attributes:
        cls: Its class.
        euclidean: Its formula is one of Euclidean distances of unit vectors; it keeps that distance. On unit vectors
            it orders pairs as cosine does.
    """

    cls: type[BaseMiner]
    euclidean: bool = False


MINERS: dict[str, MinerEntry] = {
    "MultiSimilarityMiner": MinerEntry(pml.MultiSimilarityMiner),
    "TripletMarginMiner": MinerEntry(pml.TripletMarginMiner),
    "PairMarginMiner": MinerEntry(pml.PairMarginMiner),
    "BatchHardMiner": MinerEntry(pml.BatchHardMiner),
    "BatchEasyHardMiner": MinerEntry(pml.BatchEasyHardMiner),
    "AngularMiner": MinerEntry(pml.AngularMiner, euclidean=True),
    "DistanceWeightedMiner": MinerEntry(pml.DistanceWeightedMiner, euclidean=True),
    "HDCMiner": MinerEntry(pml.HDCMiner),
    "UniformHistogramMiner": MinerEntry(pml.UniformHistogramMiner),
}
FORBIDDEN = {
    "EmbeddingsAlreadyPackagedAsTriplets": "it ignores labels and reads every three rows as a triplet",
}


def build_miner(part: PartConfig | None, distance: BaseDistance, normalise: bool) -> BaseMiner | None:
    """Builds a miner around the loss's distance.

    Args:
        part: Name and arguments; None mines nothing.
        distance: The loss's distance.
        normalise: Whether embeddings have length one.

    Raises:
        CrossModalError: For an unknown name, an illegal argument, or thresholds that do not fit the distance.
    """
    if part is None:
        return None
    if part.name in FORBIDDEN:
        raise CrossModalError(f"miner {part.name}: refused, {FORBIDDEN[part.name]}")
    if part.name not in MINERS:
        raise CrossModalError(f"miner {part.name!r}: unknown, expected one of: {', '.join(MINERS)}")
    entry = MINERS[part.name]
    hidden = frozenset({"pos_strategy", "neg_strategy"}) if part.name == "BatchHardMiner" else frozenset()
    check_arguments(entry.cls, part.name, part.arguments, hidden=hidden)
    _check_values(part, distance)
    if entry.euclidean:
        if not normalise or type(distance).__name__ == "SNRDistance":
            raise CrossModalError(
                f"{part.name}: works on unit vectors with Euclidean or cosine distance only; set twin.normalise=true "
                "and one of these distances"
            )
        distance = LpDistance(p=2)
    return build(entry.cls, part.name, {**part.arguments, "distance": distance})


def _check_values(part: PartConfig, distance: BaseDistance) -> None:
    """Thresholds against the direction of the distance."""
    given: dict[str, Any] = part.arguments
    if part.name == "PairMarginMiner":
        check_pair_margins(part.name, {"pos_margin": 0.2, "neg_margin": 0.8} | given, distance)
    if part.name == "TripletMarginMiner":
        kinds = ("all", "hard", "semihard", "easy")
        if given.get("type_of_triplets", "all") not in kinds:
            raise CrossModalError(
                f"TripletMarginMiner: type_of_triplets must be one of {', '.join(kinds)}, "
                f"found {given['type_of_triplets']!r}"
            )
    if part.name == "HDCMiner" and not 0 < given.get("filter_percentage", 0.5) <= 1:
        raise CrossModalError(f"HDCMiner: filter_percentage must lie in (0, 1], found {given['filter_percentage']!r}")
    for key in ("allowed_pos_range", "allowed_neg_range"):
        value = given.get(key)
        if value is not None and not (isinstance(value, (list, tuple)) and len(value) == 2 and value[0] < value[1]):
            raise CrossModalError(f"{part.name}: {key} must be two rising numbers, found {value!r}")
