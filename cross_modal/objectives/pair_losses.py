"""The registry of losses over labelled pairs: which pytorch-metric-learning losses take them, how, and our own.

Forms, which `PairLoss` feeds differently:

- ``parts``: a term for the same pairs and one for the different ones, each pair by itself;
- ``anchors``: same pairs weighed against different ones under an anchor (the batch, or an item);
- ``triplets``: likewise, one same and one different pair at a time;
- ``head``: binary cross-entropy, with parameters of its own;
- ``graded``: regression or ranking of scores.

A loss that is absent cannot be told by pairs what is same; `refusal` says why.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from pytorch_metric_learning.distances import BaseDistance
from torch import nn

from cross_modal.configuration import PartConfig
from cross_modal.errors import CrossModalError
from cross_modal.objectives.arguments import build, check_arguments
from cross_modal.objectives.distances import build_distance
from cross_modal.objectives.losses import FORBIDDEN, LOSSES, build_loss
from cross_modal.objectives.pair_configuration import PairObjectiveConfig
from cross_modal.objectives.pair_graded import CoSENTLoss, RegressionLoss
from cross_modal.objectives.pair_head import PairHeadLoss
from cross_modal.objectives.reducers import build_reducer

Form = Literal["parts", "anchors", "triplets", "head", "graded"]


@dataclass(frozen=True)
class PairEntry:
    """How a loss takes pairs.

    Attributes:
        form: How it is fed.
        own: Its class, where it is not one of pytorch-metric-learning.
        scores: It takes scores between 0 and 1, not verdicts only.
    """

    form: Form
    own: type[nn.Module] | None = None
    scores: bool = False


PAIR_LOSSES: dict[str, PairEntry] = {
    "PairHeadLoss": PairEntry("head", PairHeadLoss, scores=True),
    "RegressionLoss": PairEntry("graded", RegressionLoss, scores=True),
    "CoSENTLoss": PairEntry("graded", CoSENTLoss, scores=True),
    "ContrastiveLoss": PairEntry("parts"),
    "SignalToNoiseRatioContrastiveLoss": PairEntry("parts"),
    "IntraPairVarianceLoss": PairEntry("parts"),
    "MarginLoss": PairEntry("parts"),
    "MultiSimilarityLoss": PairEntry("anchors"),
    "CircleLoss": PairEntry("anchors"),
    "SupConLoss": PairEntry("anchors"),
    "GeneralizedLiftedStructureLoss": PairEntry("anchors"),
    "LiftedStructureLoss": PairEntry("anchors"),
    "NTXentLoss": PairEntry("anchors"),
    "TupletMarginLoss": PairEntry("anchors"),
    "TripletMarginLoss": PairEntry("triplets"),
    "DynamicSoftMarginLoss": PairEntry("triplets"),
}
INSTEAD = {
    "AngularLoss": "it takes every item of another class as a negative, and pairs name no classes; use CircleLoss",
    "NCALoss": "it compares every two items of a batch by their class, and pairs name none; use SupConLoss",
    "VICRegLoss": "it knows no different pairs; use ContrastiveLoss",
    "SigLIPLoss": "it takes all other pairs of a batch as different; use PairHeadLoss, its form for given pairs",
    "CLIPLoss": "it takes all other pairs of a batch as different; use SupConLoss",
}


def find_pair_loss(name: str) -> PairEntry:
    """The registry's entry.

    Raises:
        CrossModalError: For an unknown name, or a loss that cannot take pairs.

    >>> find_pair_loss("CircleLoss").form
    'anchors'
    """
    if name in PAIR_LOSSES:
        return PAIR_LOSSES[name]
    raise CrossModalError(refusal(name))


def refusal(name: str) -> str:
    """Why a loss takes no pairs, in one line."""
    if name in INSTEAD:
        return f"loss {name}: takes no labelled pairs, {INSTEAD[name]}"
    if name in FORBIDDEN:
        return f"loss {name}: refused, {FORBIDDEN[name]}"
    if name in LOSSES:
        kind = "proxies of classes" if LOSSES[name].family == "class" else "the classes of a whole batch"
        return f"loss {name}: takes no labelled pairs, it needs {kind}; expected one of: {', '.join(PAIR_LOSSES)}"
    return f"loss {name!r}: unknown for pairs, expected one of: {', '.join(PAIR_LOSSES)}"


def build_pair_loss(config: PairObjectiveConfig, dim: int, normalise: bool) -> tuple[Any, BaseDistance | None]:
    """Builds a loss over pairs with checked arguments.

    Args:
        config: The settings.
        dim: Size of the embeddings.
        normalise: Whether the twin scales embeddings to length one.

    Returns:
        The loss, and its distance; None for our own losses, which use the twin's score.

    Raises:
        CrossModalError: For a combination that cannot train, in one line.
    """
    part = config.loss
    entry = find_pair_loss(part.name)
    if entry.own is not None:
        return _own(config, entry.own, dim, normalise), None
    known = LOSSES[part.name]
    assert known.distance is not None
    if config.distance is not None and known.fixed:
        own = known.distance.name.replace("BoundedCosine", "CosineSimilarity")
        if config.distance.name != own or config.distance.arguments:
            raise CrossModalError(
                f"{part.name}: works with its own distance only ({own}), found {config.distance.name}; "
                "remove objective.distance"
            )
    if known.unit and not normalise:
        raise CrossModalError(f"{part.name}: assumes embeddings of length one; set twin.normalise=true")
    if part.arguments.get("triplets_per_anchor", "all") != "all":
        raise CrossModalError(
            f"{part.name}: triplets_per_anchor draws triplets from classes, and pairs bring their own; remove it"
        )
    bounded = known.distance.name == "BoundedCosine"
    distance = build_distance(None if bounded else config.distance, normalise, known.distance)
    return build_loss(part, distance, build_reducer(config.reducer), dim, num_classes=1), distance


def _own(config: PairObjectiveConfig, cls: type[nn.Module], dim: int, normalise: bool) -> nn.Module:
    """A head, a regression or a ranking."""
    part: PartConfig = config.loss
    for key in ("distance", "reducer", "miner"):
        if getattr(config, key) is not None:
            raise CrossModalError(
                f"{part.name}: works on the twin's own score of every pair and takes no {key}, found "
                f"{getattr(config, key).name}; remove objective.{key}"
            )
    check_arguments(cls, part.name, part.arguments, hidden=frozenset({"dim", "normalise"}))
    sizes = {"normalise": normalise} | ({"dim": dim} if cls is PairHeadLoss else {})
    return build(cls, part.name, part.arguments | sizes)
