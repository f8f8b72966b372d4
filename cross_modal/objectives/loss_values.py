"""Values of a loss's arguments that are legal by type and still wrong: margins that point the other way.

A distance grows with dissimilarity and a similarity with likeness; the thresholds of pair losses have to be chosen
anew with the distance. pytorch-metric-learning accepts them all, and trains nothing, or pure attraction.
"""

from __future__ import annotations

from typing import Any

from pytorch_metric_learning.distances import BaseDistance, CosineSimilarity

from cross_modal.errors import CrossModalError
from cross_modal.objectives.arguments import legal_arguments

POSITIVE = ("temperature", "scale", "gamma", "softmax_scale", "alpha", "centers_per_class", "sub_centers", "num_bins",
            "n_bins", "delta", "K", "anneal", "la", "initial_scale")  # fmt: skip


def check_values(name: str, cls: type, arguments: dict[str, Any], distance: BaseDistance | None) -> None:
    """Refuses values that silently train the wrong thing.

    Raises:
        CrossModalError: With what the value would do and the range that works.
    """
    legal = legal_arguments(cls)
    given = {key: parameter.default for key, parameter in legal.items()} | arguments
    for key in POSITIVE:
        if key in arguments and arguments[key] is not None and not arguments[key] > 0:
            raise CrossModalError(f"{name}: {key} must be above 0, found {arguments[key]!r}")
    if given.get("swap") is True:
        raise CrossModalError(
            f"{name}: swap=true is refused, it reads distances between the wrong rows across modalities; leave it false"
        )
    per_anchor = given.get("triplets_per_anchor", "all")
    if per_anchor != "all" and not (isinstance(per_anchor, int) and per_anchor > 0):
        raise CrossModalError(f'{name}: triplets_per_anchor must be "all" or a whole number, found {per_anchor!r}')
    if name in ("LargeMarginSoftmaxLoss", "SphereFaceLoss") and float(given["margin"]) not in (1, 2, 3, 4, 5, 6):
        raise CrossModalError(
            f"{name}: margin multiplies the angle and must be a whole number from 1 to 6, found {given['margin']!r}"
        )
    if name == "NTXentLoss" and given["temperature"] < 0.03:
        raise CrossModalError(
            f"NTXentLoss: temperature {given['temperature']} is below 0.03, where its gradient vanishes for the "
            "hardest negatives; use SupConLoss, which is exact"
        )
    if distance is not None:
        check_pair_margins(name, given, distance)
        _check_beta(name, given, distance)


def check_pair_margins(name: str, given: dict[str, Any], distance: BaseDistance) -> None:
    """The two thresholds of contrastive losses and of PairMarginMiner."""
    if "pos_margin" not in given or "neg_margin" not in given:
        return
    positive, negative = given["pos_margin"], given["neg_margin"]
    kind = type(distance).__name__
    if distance.is_inverted and positive <= negative:
        raise CrossModalError(
            f"{name}: with {kind} positives are pulled above pos_margin and negatives pushed below neg_margin, so "
            f"pos_margin must be larger (0.8 and 0.2, say), found pos_margin={positive}, neg_margin={negative}"
        )
    if not distance.is_inverted and positive >= negative:
        raise CrossModalError(
            f"{name}: with {kind} positives are pulled below pos_margin and negatives pushed above neg_margin, so "
            f"pos_margin must be smaller (0 and 1, say), found pos_margin={positive}, neg_margin={negative}"
        )


def _check_beta(name: str, given: dict[str, Any], distance: BaseDistance) -> None:
    """MarginLoss's boundary between positives and negatives has to lie inside the range of the distance."""
    if name != "MarginLoss":
        return
    beta = given["beta"]
    if isinstance(distance, CosineSimilarity) and not -0.5 <= beta <= 0.9:
        raise CrossModalError(
            f"MarginLoss: beta={beta} with CosineSimilarity makes every positive active and no negative ever; "
            "a cosine boundary lies in [-0.5, 0.9], usually 0 to 0.5"
        )
    if not distance.is_inverted and distance.normalize_embeddings and not 0 < beta < 2:
        raise CrossModalError(
            f"MarginLoss: beta={beta} lies outside the distances of unit vectors, 0 to 2; usually 0.8 to 1.4"
        )
