"""The table behind `search_ranges`: for every loss and miner what is worth searching, in which unit.

Directions. On unit vectors d² = 2 − 2·cos, so that distances lie in [0, 2] and random pairs near √2, while cosines of
random pairs lie near 0. A threshold therefore has one range for cosines and another for distances. Pairs of thresholds
are drawn as the positives' one and a ``gap``: negatives belong beyond it, ``neg = pos + gap`` for distances and
``neg = pos − gap`` for similarities, so that no drawn pair points the wrong way. Margins of triplets are gaps between
two scores and keep their range.

Ranges bracket the defaults of pytorch-metric-learning and of the papers: Circle (Sun et al., CVPR 2020: m 0.25–0.4,
γ 64–256), ArcFace (Deng et al., CVPR 2019: 28.6°, s 64), CosFace (Wang et al., CVPR 2018: 0.35, s 64), multi-similarity
(Wang et al., CVPR 2019: α 2, β 50, λ 0.5), ranked list (Wang et al., CVPR 2019: m 0.4), distance-weighted sampling and
the margin loss (Wu et al., ICCV 2017: β 1.2, α 0.2).
"""

from __future__ import annotations

from typing import Any

from cross_modal.objectives.ranges import Choice, Range

COSINE, EUCLIDEAN, SQUARED, SNR = "cosine", "L2 distance", "squared L2 distance", "variance ratio"
ByKind = dict[str, Range]  # kind of distance → range; a kind that is absent has the Euclidean one


def _any_kind(low: float, high: float, log: bool = False) -> ByKind:
    """The same numbers in the unit of each kind."""
    return {kind: Range(low, high, log, unit=kind) for kind in (COSINE, EUCLIDEAN, SQUARED, SNR)}


def _kinds(cosine: tuple[float, float], **others: tuple[float, float]) -> ByKind:
    """One range for cosines, others for distances."""
    units = {"euclidean": EUCLIDEAN, "squared": SQUARED, "snr": SNR}
    return {COSINE: Range(*cosine, unit=COSINE)} | {units[k]: Range(*v, unit=units[k]) for k, v in others.items()}


TEMPERATURE = Range(0.01, 0.5, log=True, unit="temperature")
SCALE = Range(16.0, 64.0, log=True)
_CONTRASTIVE = {
    "pos_margin": _kinds((0.5, 1.0), euclidean=(0.0, 0.6), squared=(0.0, 0.4), snr=(0.0, 0.3)),
    "gap": _kinds((0.2, 1.0), euclidean=(0.2, 1.0), squared=(0.2, 1.6), snr=(0.5, 2.0)),
}
_LIFTED = {"gap": _any_kind(0.5, 1.5)}  # its formula knows the difference of its two margins only
_ANGULAR_CLASSES = {"margin": Range(5.0, 40.0, unit="degrees"), "scale": SCALE}
_MULTIPLE = {"margin": Choice((2, 3, 4)), "scale": Range(1.0, 64.0, log=True)}

LOSS_RANGES: dict[str, dict[str, Any]] = {
    "SupConLoss": {"temperature": TEMPERATURE},
    "MultiSimilarityLoss": {
        "alpha": Range(0.5, 20.0, log=True),
        "beta": Range(10.0, 100.0, log=True),
        "base": _kinds((0.0, 0.8), euclidean=(0.6, 1.4), squared=(0.4, 2.0)),
    },
    "CircleLoss": {"m": Range(0.1, 0.5, unit=COSINE), "gamma": Range(16.0, 256.0, log=True)},
    "ContrastiveLoss": _CONTRASTIVE,
    "TripletMarginLoss": {
        "margin": _any_kind(0.02, 0.5, log=True),
        "smooth_loss": Choice((False, True)),
        "triplets_per_anchor": Choice(("all", 50, 10)),
    },
    "MarginLoss": {
        "beta": _kinds((0.0, 0.5), euclidean=(0.8, 1.4), squared=(0.6, 1.9), snr=(0.5, 1.5)),
        "margin": _any_kind(0.05, 0.3),
    },
    "AngularLoss": {"alpha": Range(30.0, 55.0, unit="degrees")},
    "NCALoss": {"softmax_scale": Range(1.0, 32.0, log=True)},
    "LiftedStructureLoss": _LIFTED,
    "GeneralizedLiftedStructureLoss": _LIFTED,
    "SignalToNoiseRatioContrastiveLoss": _CONTRASTIVE,
    "IntraPairVarianceLoss": {
        "pos_eps": Range(0.001, 0.1, log=True, unit="share of the mean"),
        "neg_eps": Range(0.001, 0.1, log=True, unit="share of the mean"),
    },
    "DynamicSoftMarginLoss": {"num_bins": Range(10, 100)},
    "NTXentLoss": {"temperature": Range(0.03, 0.5, log=True, unit="temperature")},
    "TupletMarginLoss": {
        "margin": Range(2.0, 15.0, unit="degrees"),
        "scale": Range(16.0, 128.0, log=True),
    },
    "VICRegLoss": {
        "invariance_lambda": Range(5.0, 50.0),
        "variance_mu": Range(5.0, 50.0),
        "covariance_v": Range(0.1, 10.0, log=True),
    },
    "ArcFaceLoss": _ANGULAR_CLASSES,
    "SubCenterArcFaceLoss": _ANGULAR_CLASSES | {"sub_centers": Range(1, 5)},
    "CosFaceLoss": {"margin": Range(0.05, 0.5, unit=COSINE), "scale": SCALE},
    "SphereFaceLoss": _MULTIPLE,
    "LargeMarginSoftmaxLoss": _MULTIPLE,
    "NormalizedSoftmaxLoss": {"temperature": Range(0.01, 0.2, log=True, unit="temperature")},
    "ProxyAnchorLoss": {"margin": Range(0.0, 0.4, unit=COSINE), "alpha": Range(8.0, 64.0, log=True)},
    "ProxyNCALoss": {"softmax_scale": Range(1.0, 32.0, log=True)},
    "SoftTripleLoss": {
        "centers_per_class": Range(1, 10),
        "la": Range(5.0, 40.0, log=True),
        "gamma": Range(0.05, 0.5, log=True),
        "margin": Range(0.0, 0.1, unit=COSINE),
    },
    "ManifoldLoss": {"margin": Range(1e-4, 1e-2, log=True, unit=COSINE)},
    "P2SGradLoss": {},
    "FastAPLoss": {"num_bins": Range(5, 20)},
    "SmoothAPLoss": {"temperature": Range(0.005, 0.1, log=True, unit="temperature")},
    "HistogramLoss": {"n_bins": Range(50, 200)},
    "InstanceLoss": {"gamma": Range(16.0, 256.0, log=True)},
    "NPairsLoss": {},
    "PNPLoss": {
        "anneal": Range(0.005, 0.1, log=True, unit="temperature"),
        "variant": Choice(("O", "Ds", "Dq", "Iu", "Ib")),
    },
    "RankedListLoss": {"margin": Range(0.1, 0.8, unit=EUCLIDEAN), "Tn": Range(0.5, 5.0, log=True)},
    "SigLIPLoss": {"initial_scale": Range(2.0, 30.0, log=True), "initial_bias": Range(-15.0, 0.0)},
    "CLIPLoss": {"temperature": Range(0.02, 0.5, log=True, unit="temperature")},
}
MINER_RANGES: dict[str, dict[str, Any]] = {
    "MultiSimilarityMiner": {"epsilon": _any_kind(0.02, 0.3, log=True)},
    "TripletMarginMiner": {
        "margin": _any_kind(0.05, 0.5),
        "type_of_triplets": Choice(("all", "semihard", "hard")),
    },
    "PairMarginMiner": {
        "pos_margin": _kinds((0.5, 0.9), euclidean=(0.2, 1.0), squared=(0.04, 1.0), snr=(0.1, 0.5)),
        "gap": _kinds((0.2, 0.9), euclidean=(0.3, 0.8), squared=(0.3, 1.5), snr=(0.3, 1.5)),
    },
    "BatchHardMiner": {},
    "BatchEasyHardMiner": {
        "pos_strategy": Choice(("easy", "hard")),  # semihard positives fit hard negatives only, and "all" nothing here
        "neg_strategy": Choice(("semihard", "hard")),
    },
    "AngularMiner": {"angle": Range(20.0, 60.0, unit="degrees")},
    "DistanceWeightedMiner": {
        "cutoff": Range(0.3, 0.8, unit=EUCLIDEAN),
        "nonzero_loss_cutoff": Range(1.1, 1.45, unit=EUCLIDEAN),
    },
    "HDCMiner": {"filter_percentage": Range(0.1, 0.8, unit="share of the pairs")},
    "UniformHistogramMiner": {
        "num_bins": Range(20, 100),
        "pos_per_bin": Range(5, 20),
        "neg_per_bin": Range(5, 20),
    },
}

#: Worth a look once margins and scales are found; a short search does better without them.
SECONDARY = frozenset(
    {("TripletMarginLoss", "smooth_loss"), ("TripletMarginLoss", "triplets_per_anchor"), ("PNPLoss", "variant")}
)
#: Where positives end and negatives begin. Scales, temperatures and weights are none of it.
MARGINS: dict[str, tuple[str, ...]] = {
    "MultiSimilarityLoss": ("base",),
    "CircleLoss": ("m",),
    "MarginLoss": ("beta", "margin"),
    "AngularLoss": ("alpha",),
    "IntraPairVarianceLoss": ("pos_eps", "neg_eps"),
    "RankedListLoss": ("margin", "alpha"),
    "MultiSimilarityMiner": ("epsilon",),
    "AngularMiner": ("angle",),
}
MARGIN_NAMES = ("margin", "pos_margin", "neg_margin", "gap")

#: Defaults in place of the library's, where it has none or one that another distance turns into nonsense.
SENSIBLE: dict[str, dict[str, dict[str, Any]]] = {
    "ContrastiveLoss": {COSINE: {"pos_margin": 0.8, "neg_margin": 0.2}},
    "LiftedStructureLoss": {COSINE: {"pos_margin": 1.0, "neg_margin": 0.0}},
    "GeneralizedLiftedStructureLoss": {COSINE: {"pos_margin": 1.0, "neg_margin": 0.0}},
    "PairMarginMiner": {COSINE: {"pos_margin": 0.8, "neg_margin": 0.2}},
    "MarginLoss": {COSINE: {"beta": 0.28}},  # the cosine of two unit vectors at a distance of 1.2
    "MultiSimilarityLoss": {EUCLIDEAN: {"base": 1.0}, SQUARED: {"base": 1.0}, SNR: {"base": 1.0}},  # cosine 0.5
    "RankedListLoss": {EUCLIDEAN: {"margin": 0.4, "Tn": 2.0}},
    "HistogramLoss": {COSINE: {"n_bins": 100}},
}
