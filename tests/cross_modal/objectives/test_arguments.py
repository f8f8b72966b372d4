import pytest
from pytorch_metric_learning import losses

from cross_modal.errors import CrossModalError
from cross_modal.objectives.arguments import build, check_arguments, legal_arguments


@pytest.mark.parametrize(
    ("cls", "expected"),
    [
        (losses.SupConLoss, {"temperature"}),
        (losses.SignalToNoiseRatioContrastiveLoss, {"pos_margin", "neg_margin"}),
        (losses.SubCenterArcFaceLoss, {"margin", "scale", "sub_centers"}),
        (losses.ProxyNCALoss, {"softmax_scale"}),
        (losses.ManifoldLoss, {"K", "lambdaC", "alpha", "margin"}),
    ],
)
def test_legal_arguments_come_from_the_whole_hierarchy(cls, expected):
    assert set(legal_arguments(cls)) == expected


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"margins": 1}, "unknown argument 'margins', expected one of: margin, swap, smooth_loss, triplets_per_anchor"),
        ({"distance": None}, "unknown argument 'distance'"),
        ({"margin": True}, "margin must be a number, found True"),
        ({"margin": [1]}, "must be a number"),
        ({"smooth_loss": 1}, "must be true or false"),
        ({"triplets_per_anchor": None}, "a word or a number"),
    ],
)
def test_wrong_arguments_are_one_line(arguments, message):
    with pytest.raises(CrossModalError, match=message):
        check_arguments(losses.TripletMarginLoss, "TripletMarginLoss", arguments)


def test_a_constructor_s_refusal_becomes_one_line():
    with pytest.raises(CrossModalError, match="PNPLoss: variant=X but must be one of"):
        build(losses.PNPLoss, "PNPLoss", {"variant": "X"})
