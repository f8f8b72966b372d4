"""The registry of losses: which pytorch-metric-learning losses work across two towers, how, and with what distance.

Four families, which `CrossModalLoss` feeds differently:

- ``reference``: anchors of one modality against references of another (16 losses that honour ``ref_emb``);
- ``class``: learned proxies or class weights, shared by both modalities, which are given at once;
- ``batch``: losses over one batch without references: both modalities at once, too;
- ``own``: SigLIP and CLIP's InfoNCE, which pytorch-metric-learning does not have.

A loss that is absent here cannot be used, on purpose; `FORBIDDEN` says why.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from pytorch_metric_learning import losses as pml
from pytorch_metric_learning.distances import BaseDistance
from pytorch_metric_learning.reducers import BaseReducer, MeanReducer
from torch import nn

from cross_modal.configuration import PartConfig
from cross_modal.errors import CrossModalError
from cross_modal.objectives.arguments import build, check_arguments
from cross_modal.objectives.clip_loss import CLIPLoss
from cross_modal.objectives.dynamic_soft_margin import DynamicSoftMarginLoss
from cross_modal.objectives.histogram import HistogramLoss
from cross_modal.objectives.loss_values import check_values
from cross_modal.objectives.nca import NCALoss, ProxyNCALoss
from cross_modal.objectives.reducers import CountedReducer
from cross_modal.objectives.siglip import SigLIPLoss

Family = Literal["reference", "class", "batch", "own"]
COSINE = PartConfig("CosineSimilarity")
BOUNDED = PartConfig("BoundedCosine")
EUCLIDEAN = PartConfig("LpDistance", {"p": 2})
SQUARED = PartConfig("LpDistance", {"p": 2, "power": 2})
DOT = PartConfig("DotProductSimilarity")
SNR = PartConfig("SNRDistance")


@dataclass(frozen=True)
class Entry:
    """How a loss is used.

    Attributes:
        cls: Its class.
        family: How it is fed.
        distance: Its own distance, taken where the user names none.
        fixed: It works with its own distance only.
        mean: Its elements are anchors: the mean is the reducer where the user names none (else the loss's own).
        tuples: What it is given where indices are needed: pairs, triplets, or only weights of anchors.
        miner: It can use a miner.
        needs_both: It needs a positive and a negative among the mined tuples, for every anchor it averages over.
        unit: It needs embeddings of length one (its formula assumes it, whatever the distance).
        quadratic: It builds positives × negatives, O(B³): the size is guarded.
        reducer: The user may name a reducer.
        library_indices: The library may enumerate the tuples itself; else the adapter numbers them.
        matrix: Its formula takes the matrix of distances and two masks, which it can be given without any indices.
    """

    cls: type[nn.Module]
    family: Family
    distance: PartConfig | None
    fixed: bool = False
    mean: bool = False
    tuples: Literal["pairs", "triplets", "weights"] = "pairs"
    miner: bool = True
    needs_both: bool = False
    unit: bool = False
    quadratic: bool = False
    reducer: bool = True
    library_indices: bool = True
    matrix: bool = False


def _reference(cls: type[nn.Module], distance: PartConfig | None = COSINE, **how: Any) -> Entry:
    return Entry(cls, "reference", distance, **how)


def _class(cls: type[nn.Module], distance: PartConfig | None = BOUNDED, **how: Any) -> Entry:
    return Entry(cls, "class", distance, **{"fixed": True, "tuples": "weights", **how})


def _batch(cls: type[nn.Module], distance: PartConfig | None = COSINE, **how: Any) -> Entry:
    return Entry(cls, "batch", distance, **{"fixed": True, "tuples": "weights", "miner": False, **how})


LOSSES: dict[str, Entry] = {
    "SupConLoss": _reference(pml.SupConLoss, matrix=True, mean=True, needs_both=True),
    "MultiSimilarityLoss": _reference(pml.MultiSimilarityLoss, matrix=True, mean=True),
    "CircleLoss": _reference(pml.CircleLoss, matrix=True, fixed=True, mean=True, needs_both=True),
    "ContrastiveLoss": _reference(pml.ContrastiveLoss, EUCLIDEAN),
    "TripletMarginLoss": _reference(pml.TripletMarginLoss, EUCLIDEAN, tuples="triplets"),
    "MarginLoss": _reference(pml.MarginLoss, EUCLIDEAN, tuples="triplets"),
    "AngularLoss": _reference(pml.AngularLoss, EUCLIDEAN, fixed=True, mean=True, unit=True, quadratic=True),
    "NCALoss": _reference(NCALoss, SQUARED, mean=True, tuples="weights"),
    "LiftedStructureLoss": _reference(
        pml.LiftedStructureLoss, EUCLIDEAN, mean=True, needs_both=True, quadratic=True, library_indices=False
    ),
    "GeneralizedLiftedStructureLoss": _reference(
        pml.GeneralizedLiftedStructureLoss, EUCLIDEAN, matrix=True, mean=True, needs_both=True
    ),
    "SignalToNoiseRatioContrastiveLoss": _reference(pml.SignalToNoiseRatioContrastiveLoss, SNR, fixed=True),
    "IntraPairVarianceLoss": _reference(pml.IntraPairVarianceLoss, mean=True),
    "DynamicSoftMarginLoss": _reference(
        DynamicSoftMarginLoss, EUCLIDEAN, fixed=True, tuples="triplets", unit=True, reducer=False
    ),
    "NTXentLoss": _reference(pml.NTXentLoss, mean=True, fixed=True, needs_both=True, quadratic=True),
    "TupletMarginLoss": _reference(
        pml.TupletMarginLoss, BOUNDED, mean=True, fixed=True, needs_both=True, quadratic=True
    ),
    "VICRegLoss": _reference(pml.VICRegLoss, None, fixed=True, mean=True, miner=False),
    "ArcFaceLoss": _class(pml.ArcFaceLoss),
    "SubCenterArcFaceLoss": _class(pml.SubCenterArcFaceLoss),
    "CosFaceLoss": _class(pml.CosFaceLoss),
    "SphereFaceLoss": _class(pml.SphereFaceLoss),
    "LargeMarginSoftmaxLoss": _class(pml.LargeMarginSoftmaxLoss),
    "NormalizedSoftmaxLoss": _class(pml.NormalizedSoftmaxLoss, DOT),
    "ProxyAnchorLoss": _class(pml.ProxyAnchorLoss),
    "ProxyNCALoss": _class(ProxyNCALoss, SQUARED, fixed=False),
    "SoftTripleLoss": _class(pml.SoftTripleLoss),
    "ManifoldLoss": _class(pml.ManifoldLoss, COSINE, miner=False, reducer=False),
    "P2SGradLoss": _class(pml.P2SGradLoss, COSINE, miner=False, reducer=False),
    "FastAPLoss": _batch(pml.FastAPLoss, SQUARED, unit=True, miner=True),
    "SmoothAPLoss": _batch(pml.SmoothAPLoss, COSINE, quadratic=True),
    "HistogramLoss": _batch(HistogramLoss, BOUNDED, reducer=False),
    "InstanceLoss": _batch(pml.InstanceLoss),
    "NPairsLoss": _batch(pml.NPairsLoss, DOT, fixed=False),
    "PNPLoss": _batch(pml.PNPLoss, COSINE, reducer=False, quadratic=True),
    "RankedListLoss": _batch(pml.RankedListLoss, EUCLIDEAN),
    "SigLIPLoss": Entry(SigLIPLoss, "own", COSINE, fixed=True, miner=False, reducer=False),
    "CLIPLoss": Entry(CLIPLoss, "own", COSINE, fixed=True, miner=False, reducer=False),
}
FORBIDDEN = {
    "ThresholdConsistentMarginLoss": "it accepts references and ignores them, so one tower gets no gradient",
    "CrossBatchMemory": "its memory is detached and lost on resume; set objective.memory.size instead",
    "SelfSupervisedLoss": "it is SimCLR over both views, not a loss across modalities; use SupConLoss or CLIPLoss",
    "MultipleLosses": "it fails with references; train one loss, with the terms' weights",
}


def find_loss(name: str) -> Entry:
    """The registry's entry.

    Raises:
        CrossModalError: For an unknown or forbidden name.
    """
    if name in FORBIDDEN:
        raise CrossModalError(f"loss {name}: refused, {FORBIDDEN[name]}")
    if name not in LOSSES:
        raise CrossModalError(f"loss {name!r}: unknown, expected one of: {', '.join(LOSSES)}")
    return LOSSES[name]


def build_loss(
    part: PartConfig, distance: BaseDistance | None, reducer: BaseReducer | None, dim: int, num_classes: int
) -> nn.Module:
    """Builds a loss with checked arguments.

    Args:
        part: Name and arguments.
        distance: The distance shared with the miner.
        reducer: The user's reducer; None takes the mean or the loss's own, as the entry says.
        dim: Size of the embeddings.
        num_classes: Number of training classes.

    Raises:
        CrossModalError: For unknown names, unknown or mistyped arguments, and values out of the distance's range.
    """
    entry = find_loss(part.name)
    # MarginLoss's num_classes and TripletMarginLoss's swap are checked by value, with a sentence of their own.
    check_arguments(entry.cls, part.name, part.arguments)
    check_values(part.name, entry.cls, part.arguments, distance)
    if reducer is not None and not entry.reducer:
        raise CrossModalError(f"{part.name}: takes no reducer, it already gives one number; remove objective.reducer")
    if reducer is not None and entry.mean and type(reducer).__name__ == "AvgNonZeroReducer":
        raise CrossModalError(
            f"{part.name}: AvgNonZeroReducer drops anchors whose loss is exactly zero and so overstates the loss; "
            "use MeanReducer"
        )
    if type(reducer).__name__ == "DivisorReducer" and part.name not in ("MarginLoss", "ProxyAnchorLoss"):
        raise CrossModalError(f"{part.name}: DivisorReducer needs MarginLoss or ProxyAnchorLoss; use MeanReducer")
    arguments = dict(part.arguments) | _sizes(part, entry, dim, num_classes)
    if entry.family == "own":
        return build(entry.cls, part.name, arguments)
    if distance is not None:
        arguments["distance"] = distance
    if reducer is not None or entry.mean:
        arguments["reducer"] = reducer or MeanReducer()
    loss = build(entry.cls, part.name, arguments)
    loss.reducer = CountedReducer(loss.reducer)
    return loss


def _sizes(part: PartConfig, entry: Entry, dim: int, num_classes: int) -> dict[str, int]:
    """Constructor arguments that depend on the data."""
    if entry.family != "class":
        return {}
    if part.name == "ManifoldLoss":
        return {"l": dim, "K": int(part.arguments.get("K", min(50, num_classes)))}
    if part.name == "P2SGradLoss":
        return {"descriptors_dim": dim, "num_classes": num_classes}
    return {"embedding_size": dim, "num_classes": num_classes}
