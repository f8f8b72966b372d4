"""In which unit a loss and its miner measure: cosines, distances, their squares, or a ratio of variances.

Loss and miner share one distance; a threshold means nothing without its unit.
"""

from __future__ import annotations

from cross_modal.configuration import PartConfig
from cross_modal.errors import CrossModalError
from cross_modal.objectives.losses import find_loss
from cross_modal.objectives.miners import FORBIDDEN, MINERS, MinerEntry
from cross_modal.objectives.range_table import COSINE, EUCLIDEAN, SNR, SQUARED

#: LpDistance with power 2, whose thresholds are squares.
SQUARED_DISTANCE = "SquaredLpDistance"
KINDS = {
    "CosineSimilarity": COSINE, "BoundedCosine": COSINE, "DotProductSimilarity": COSINE,
    "LpDistance": EUCLIDEAN, SQUARED_DISTANCE: SQUARED, "SNRDistance": SNR,
}  # fmt: skip


def measure_of(loss: str, distance: PartConfig | None = None) -> str:
    """The name of the distance in whose unit the thresholds of a loss and its miner are.

    Args:
        loss: The loss's name.
        distance: The user's distance; None is the loss's own.

    Raises:
        CrossModalError: For an unknown loss.

    >>> measure_of("TripletMarginLoss"), measure_of("NCALoss"), measure_of("NCALoss", PartConfig("LpDistance"))
    ('LpDistance', 'SquaredLpDistance', 'LpDistance')
    """
    part = distance or find_loss(loss).distance or PartConfig("CosineSimilarity")
    if part.name == "BoundedCosine":
        return "CosineSimilarity"
    return SQUARED_DISTANCE if part.name == "LpDistance" and part.arguments.get("power", 1) == 2 else part.name


def distances_of(loss: str) -> tuple[str, ...]:
    """The distances worth searching with a loss, its own first; none where it works with its own only.

    Raises:
        CrossModalError: For an unknown loss.

    >>> distances_of("TripletMarginLoss"), distances_of("CircleLoss")
    (('LpDistance', 'CosineSimilarity'), ())
    """
    entry, both = find_loss(loss), ("CosineSimilarity", "LpDistance")
    if entry.fixed or entry.distance is None or entry.distance.name not in both:
        return ()
    return (entry.distance.name, *(name for name in both if name != entry.distance.name))


def takes_miner(loss: str, miner: str, distance: str | None = None, *, normalise: bool = True) -> bool:
    """Whether a loss can be searched together with a miner.

    Args:
        loss: The loss's name.
        miner: The miner's name.
        distance: The distance's name that they share; None is the loss's own.
        normalise: Whether embeddings have length one.

    Raises:
        CrossModalError: For an unknown loss or miner.

    >>> takes_miner("TripletMarginLoss", "AngularMiner"), takes_miner("CLIPLoss", "AngularMiner")
    (True, False)
    """
    fits = not find_miner(miner).euclidean or (normalise and (distance or measure_of(loss)) != "SNRDistance")
    return find_loss(loss).miner and fits


def kind_of(distance: str) -> str:
    """The unit of a distance.

    Raises:
        CrossModalError: For an unknown distance.

    >>> kind_of("LpDistance")
    'L2 distance'
    """
    if distance not in KINDS:
        raise CrossModalError(f"distance {distance!r}: unknown, expected one of: {', '.join(KINDS)}")
    return KINDS[distance]


def find_miner(name: str) -> MinerEntry:
    """The registry's entry of a miner.

    Raises:
        CrossModalError: For an unknown or forbidden name.

    >>> find_miner("AngularMiner").euclidean
    True
    """
    if name in FORBIDDEN:
        raise CrossModalError(f"miner {name}: refused, {FORBIDDEN[name]}")
    if name not in MINERS:
        raise CrossModalError(f"miner {name!r}: unknown, expected one of: {', '.join(MINERS)}")
    return MINERS[name]


def class_of(name: str) -> type:
    """The class of a loss or miner.

    Raises:
        CrossModalError: For an unknown or forbidden name.

    >>> class_of("HDCMiner").__name__
    'HDCMiner'
    """
    if name in MINERS or name in FORBIDDEN or name.endswith("Miner"):
        return find_miner(name).cls
    return find_loss(name).cls
