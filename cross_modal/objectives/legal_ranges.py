"""The bounds outside which an argument of a loss or miner means nothing: to refuse a search before its first trial."""

from __future__ import annotations

import math

from cross_modal.objectives.distance_units import kind_of, measure_of
from cross_modal.objectives.losses import LOSSES
from cross_modal.objectives.range_table import COSINE, EUCLIDEAN, SNR, SQUARED
from cross_modal.objectives.ranges import Bounds

#: Arguments that count something.
WHOLE = frozenset(
    {"num_bins", "n_bins", "sub_centers", "centers_per_class", "K", "pos_per_bin", "neg_per_bin", "triplets_per_anchor"}
)


def is_whole(name: str, argument: str) -> bool:
    """Whether an argument of a loss or miner counts something, or multiplies an angle by a whole number.

    >>> is_whole("SphereFaceLoss", "margin"), is_whole("ArcFaceLoss", "margin")
    (True, False)
    """
    return argument in WHOLE or (name, argument) in {("SphereFaceLoss", "margin"), ("LargeMarginSoftmaxLoss", "margin")}


def legal_range(name: str, argument: str, distance: str | None = None, *, normalise: bool = True) -> Bounds | None:
    """The outermost bounds within which an argument means anything.

    Args:
        name: The loss's or miner's name.
        argument: Its argument, or ``gap``.
        distance: The distance's name; None is the loss's own, for a miner cosine.
        normalise: Whether embeddings have length one; without, distances have no upper end.

    Returns:
        None where any number may mean something.

    Raises:
        CrossModalError: For an unknown name or distance.

    >>> str(legal_range("TripletMarginLoss", "margin")), str(legal_range("ArcFaceLoss", "margin"))
    ('(0, 2)', '(0, 90)')
    """
    measure = distance or (measure_of(name) if name in LOSSES else "CosineSimilarity")
    kind = kind_of(measure)
    if (name, argument) in _OWN_BOUNDS:
        return _OWN_BOUNDS[name, argument]
    unlimited = not normalise and measure != "CosineSimilarity"
    if (name, argument) == ("MarginLoss", "beta") and kind == COSINE:
        return Bounds(-0.5, 0.9)
    if argument in ("pos_margin", "neg_margin") or (name, argument) in _THRESHOLDS:
        ends = {COSINE: (-1, 1), EUCLIDEAN: (0, 2), SQUARED: (0, 4), SNR: (0, math.inf)}[kind]
        return Bounds(-math.inf if unlimited and kind == COSINE else ends[0], math.inf if unlimited else ends[1])
    if argument == "gap" or (argument == "margin" and name in _GAPS):
        widest = {COSINE: 2, EUCLIDEAN: 2, SQUARED: 4, SNR: math.inf}[kind]
        return Bounds(0, math.inf if unlimited else widest, open_low=True, open_high=True)
    if argument in WHOLE:
        return Bounds(1, math.inf)
    return Bounds(0, math.inf, open_low=True) if argument in _POSITIVE else None


_THRESHOLDS = {("MultiSimilarityLoss", "base"), ("MarginLoss", "beta")}
_GAPS = {"TripletMarginLoss", "MarginLoss", "TripletMarginMiner", "RankedListLoss"}
_POSITIVE = {
    "temperature", "scale", "gamma", "softmax_scale", "la", "anneal", "Tn", "alpha", "beta", "delta",
    "invariance_lambda", "variance_mu", "covariance_v", "initial_scale", "momentum", "lambdaC",
}  # fmt: skip
_ANGLE = Bounds(0, 90, open_low=True, open_high=True)
_OWN_BOUNDS = {
    ("CircleLoss", "m"): Bounds(-1, 1),
    ("AngularLoss", "alpha"): _ANGLE,
    ("AngularMiner", "angle"): _ANGLE,
    ("ArcFaceLoss", "margin"): _ANGLE,
    ("SubCenterArcFaceLoss", "margin"): _ANGLE,
    ("TupletMarginLoss", "margin"): _ANGLE,
    ("CosFaceLoss", "margin"): Bounds(0, 1),
    ("ProxyAnchorLoss", "margin"): Bounds(-1, 1),
    ("SoftTripleLoss", "margin"): Bounds(0, 1),
    ("ManifoldLoss", "margin"): Bounds(0, 1),
    ("SphereFaceLoss", "margin"): Bounds(1, 6),
    ("LargeMarginSoftmaxLoss", "margin"): Bounds(1, 6),
    ("IntraPairVarianceLoss", "pos_eps"): Bounds(0, 1, open_low=True),
    ("IntraPairVarianceLoss", "neg_eps"): Bounds(0, 1, open_low=True),
    ("NTXentLoss", "temperature"): Bounds(0.03, math.inf),
    ("CLIPLoss", "temperature"): Bounds(0.01, 1),
    ("RankedListLoss", "alpha"): Bounds(0, 2, open_low=True, open_high=True),
    ("RankedListLoss", "imbalance"): Bounds(0, 1),
    ("MultiSimilarityMiner", "epsilon"): Bounds(0, 2),
    ("DistanceWeightedMiner", "cutoff"): Bounds(0, 2, open_low=True),
    ("DistanceWeightedMiner", "nonzero_loss_cutoff"): Bounds(0, 2, open_low=True),
    ("HDCMiner", "filter_percentage"): Bounds(0, 1, open_low=True),
}
