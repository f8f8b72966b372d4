import pytest

from cross_modal.configuration import PartConfig
from cross_modal.errors import CrossModalError
from cross_modal.objectives.losses import FORBIDDEN, LOSSES
from cross_modal.objectives.pair_configuration import PairObjectiveConfig
from cross_modal.objectives.pair_losses import PAIR_LOSSES, build_pair_loss, find_pair_loss

OWN = ["PairHeadLoss", "RegressionLoss", "CoSENTLoss"]


def build(name, arguments=None, normalise=True, **settings):
    return build_pair_loss(PairObjectiveConfig(PartConfig(name, arguments or {}), **settings), 8, normalise)


@pytest.mark.parametrize("name", PAIR_LOSSES)
def test_every_loss_builds_with_its_own_distance(name):
    loss, distance = build(name)
    assert (distance is None) == (name in OWN)
    assert loss is not None


@pytest.mark.parametrize("name", PAIR_LOSSES)
def test_an_unknown_argument_names_the_legal_ones(name):
    with pytest.raises(CrossModalError, match=f"{name}: unknown argument 'nonsense', expected one of: "):
        build(name, {"nonsense": 1})


@pytest.mark.parametrize("name", [*sorted(set(LOSSES) - set(PAIR_LOSSES)), *FORBIDDEN])
def test_losses_that_need_classes_are_refused_with_the_reason(name):
    with pytest.raises(CrossModalError, match=f"loss {name}: (takes no labelled pairs|refused), .{{20,}}") as raised:
        find_pair_loss(name)
    assert "\n" not in str(raised.value)


def test_an_unknown_loss_is_refused_with_the_known_ones():
    with pytest.raises(CrossModalError, match="loss 'Contrastive': unknown for pairs, expected one of: PairHeadLoss, "):
        find_pair_loss("Contrastive")


def test_contrastive_has_both_forms_and_margins_in_their_units():
    assert type(build("ContrastiveLoss")[1]).__name__ == "LpDistance"
    cosine = PartConfig("CosineSimilarity")
    assert type(build("ContrastiveLoss", {"pos_margin": 0.9, "neg_margin": 0.2}, distance=cosine)[1]).__name__ == (
        "CosineSimilarity"
    )
    with pytest.raises(CrossModalError, match="pos_margin must be larger"):
        build("ContrastiveLoss", distance=cosine)


@pytest.mark.parametrize("name", ["CircleLoss", "TupletMarginLoss"])
def test_a_loss_with_one_distance_takes_no_other(name):
    build(name, distance=PartConfig("CosineSimilarity"))
    with pytest.raises(CrossModalError, match=rf"{name}: works with its own distance only \(CosineSimilarity\), found"):
        build(name, distance=PartConfig("LpDistance"))


@pytest.mark.parametrize("name", OWN)
@pytest.mark.parametrize(
    ("key", "part"), [("distance", "LpDistance"), ("miner", "HDCMiner"), ("reducer", "MeanReducer")]
)
def test_our_own_losses_take_no_parts(name, key, part):
    with pytest.raises(CrossModalError, match=f"{name}: .* takes no {key}, found {part}; remove objective.{key}"):
        build(name, **{key: PartConfig(part)})


def test_values_that_cannot_train_are_one_line():
    with pytest.raises(CrossModalError, match="PairHeadLoss: head must be one of similarity, difference, found 'x'"):
        build("PairHeadLoss", {"head": "x"})
    with pytest.raises(CrossModalError, match="TripletMarginLoss: triplets_per_anchor draws triplets from classes"):
        build("TripletMarginLoss", {"triplets_per_anchor": 10})
    with pytest.raises(CrossModalError, match="DynamicSoftMarginLoss: assumes embeddings of length one"):
        build("DynamicSoftMarginLoss", normalise=False)
    with pytest.raises(CrossModalError, match="CoSENTLoss: scale must be above 0, found -1"):
        build("CoSENTLoss", {"scale": -1})
