"""Every drawn point of every loss, distance and miner builds, and trains both towers."""

import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cross_modal.configuration import ObjectiveConfig, PartConfig
from cross_modal.errors import CrossModalError
from cross_modal.objectives.arguments import legal_arguments
from cross_modal.objectives.cross_modal_loss import CrossModalLoss
from cross_modal.objectives.losses import LOSSES
from cross_modal.objectives.miners import MINERS
from cross_modal.objectives.range_table import LOSS_RANGES, MINER_RANGES, SECONDARY
from cross_modal.objectives.search_ranges import (
    Choice,
    Range,
    argument_names,
    arguments_from,
    default_arguments,
    depends_on_distance,
    distances_of,
    drawn_from,
    is_margin,
    legal_range,
    loss_ranges,
    measure_of,
    miner_ranges,
    takes_miner,
)

IMAGE_IDS = torch.tensor([0, 0, 1, 1, 2, 2, 3, 3])
TEXT_IDS = torch.tensor([0, 1, 2, 2, 3])
ALL = {**LOSSES, **MINERS}
DISTANCES = ["CosineSimilarity", "LpDistance", "SquaredLpDistance", "SNRDistance", "DotProductSimilarity"]


def ends(domain: Range | Choice, where: float):
    """The value at a share `where` of a range."""
    if isinstance(domain, Choice):
        return domain.values[min(int(where * len(domain.values)), len(domain.values) - 1)]
    if domain.log:
        return domain.nearest(domain.low * (domain.high / domain.low) ** where)
    return domain.nearest(domain.low + where * (domain.high - domain.low))


def drawn(ranges: dict, where) -> dict:
    return {name: ends(domain, where()) for name, domain in ranges.items()}


def parts(name: str) -> list[tuple[PartConfig | None, str, str | None]]:
    """All distances and miners with which a loss can be searched."""
    distances = [PartConfig(each) for each in distances_of(name)] or [None]
    combined = itertools.product(distances, [None, *MINERS])
    found = [(distance, measure_of(name, distance), miner) for distance, miner in combined]
    return [each for each in found if each[2] is None or takes_miner(name, each[2], each[1])]


@pytest.mark.parametrize("name", LOSSES)
def test_every_drawn_point_trains_both_towers(name: str) -> None:
    generator = torch.Generator().manual_seed(list(LOSSES).index(name))
    for distance, measure, miner in parts(name):
        for where in (lambda: 0.0, lambda: 1.0, lambda: float(torch.rand((), generator=generator))):
            arguments = arguments_from(name, measure, {}, drawn(loss_ranges(name, measure), where))
            mined = None
            if miner is not None:
                mined = PartConfig(
                    miner, arguments_from(miner, measure, {}, drawn(miner_ranges(miner, measure), where))
                )
            config = ObjectiveConfig(loss=PartConfig(name, arguments), distance=distance, miner=mined)
            loss = CrossModalLoss(config, dim=6, num_classes=4, normalise=name != "VICRegLoss")
            image = torch.randn(8, 6, generator=generator).requires_grad_()
            text = torch.randn(5, 6, generator=generator).requires_grad_()
            output = loss(image, IMAGE_IDS, text, TEXT_IDS)
            output.loss.backward()
            for gradient in (image.grad, text.grad):
                assert output.loss.isfinite(), config
                assert gradient is not None, config
                assert gradient.isfinite().all(), config
                assert miner is not None or gradient.norm() > 0, config


def test_every_loss_and_miner_has_its_row() -> None:
    assert list(LOSS_RANGES) == list(LOSSES)
    assert list(MINER_RANGES) == list(MINERS)
    for name, ranges in (LOSS_RANGES | MINER_RANGES).items():
        assert set(ranges) <= set(argument_names(name)), name


def test_secondary_arguments_are_in_the_table() -> None:
    assert all(argument in LOSS_RANGES[name] for name, argument in SECONDARY)


@pytest.mark.parametrize("name", ALL)
def test_defaults_lie_inside_the_ranges_of_every_distance(name: str) -> None:
    ranges_of = loss_ranges if name in LOSSES else miner_ranges
    measures = {measure for _, measure, _ in parts(name)} if name in LOSSES else {"CosineSimilarity", "LpDistance"}
    for measure in measures:
        defaults = drawn_from(name, measure, {})
        for argument, domain in ranges_of(name, measure).items():
            value = defaults[argument]
            value = domain.nearest(value) if isinstance(value, float) and domain.contains(round(value, 12)) else value
            assert domain.contains(value), (name, measure, argument, defaults[argument])


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("measure", DISTANCES)
def test_ranges_lie_inside_what_means_anything(name: str, measure: str) -> None:
    if name in LOSSES and not distances_of(name):
        measure = measure_of(name)
    for argument, domain in (loss_ranges if name in LOSSES else miner_ranges)(name, measure).items():
        bounds = legal_range(name, argument, measure)
        if bounds is not None:
            numbers = domain.values if isinstance(domain, Choice) else (domain.low, domain.high)
            assert all(bounds.contains(number) for number in numbers if number != "all"), (argument, domain, bounds)


@given(st.sampled_from(["CosineSimilarity", "LpDistance"]), st.floats(0.2, 0.9), st.floats(0.01, 1.0))
def test_negatives_lie_beyond_positives_and_arguments_come_back(measure: str, positive: float, gap: float) -> None:
    arguments = arguments_from("ContrastiveLoss", measure, {}, {"pos_margin": positive, "gap": gap})
    assert "gap" not in arguments
    assert (arguments["neg_margin"] < positive) == (measure == "CosineSimilarity")
    again = drawn_from("ContrastiveLoss", measure, arguments)
    assert again["gap"] == pytest.approx(gap, abs=1e-9)
    assert (
        arguments_from("ContrastiveLoss", measure, {}, {key: again[key] for key in ("pos_margin", "gap")}) == arguments
    )


def test_a_gap_alone_starts_from_the_positive_margin_that_was_given_or_makes_sense() -> None:
    assert arguments_from("LiftedStructureLoss", "LpDistance", {}, {"gap": 0.7})["neg_margin"] == 0.7
    assert arguments_from("LiftedStructureLoss", "CosineSimilarity", {}, {"gap": 0.7}) == {
        "pos_margin": 1.0, "neg_margin": 0.3,
    }  # fmt: skip
    assert arguments_from("ContrastiveLoss", "LpDistance", {"pos_margin": 0.1}, {"gap": 0.7})["neg_margin"] == 0.8


def test_defaults_that_point_the_wrong_way_are_replaced() -> None:
    assert default_arguments("ContrastiveLoss")["neg_margin"] == 1
    assert default_arguments("ContrastiveLoss", "CosineSimilarity") == {"pos_margin": 0.8, "neg_margin": 0.2}
    assert default_arguments("MarginLoss", "CosineSimilarity")["beta"] == pytest.approx(1 - 1.2**2 / 2)
    assert default_arguments("RankedListLoss")["margin"] == 0.4, "the library has none"


@pytest.mark.parametrize("name", LOSSES)
def test_default_arguments_build_with_every_distance(name: str) -> None:
    for distance, measure, _ in parts(name):
        given_ = {key: value for key, value in default_arguments(name, measure).items() if value is not None}
        given_.pop("delta", None)
        given_.pop("K", None)  # no more proxies than classes
        CrossModalLoss(ObjectiveConfig(loss=PartConfig(name, given_), distance=distance), 6, 4, name != "VICRegLoss")


def test_distances_are_those_in_which_a_loss_can_be_searched_its_own_first() -> None:
    assert distances_of("SupConLoss") == ("CosineSimilarity", "LpDistance")
    assert distances_of("ContrastiveLoss") == ("LpDistance", "CosineSimilarity")
    assert distances_of("CircleLoss") == distances_of("VICRegLoss") == distances_of("SigLIPLoss") == ()
    assert distances_of("NPairsLoss") == (), "dot products are its own"


def test_the_measure_is_the_unit_of_the_thresholds() -> None:
    assert measure_of("ArcFaceLoss") == "CosineSimilarity"
    assert measure_of("FastAPLoss") == "SquaredLpDistance"
    assert measure_of("SupConLoss", PartConfig("LpDistance", {"p": 2, "power": 2})) == "SquaredLpDistance"
    assert measure_of("VICRegLoss") == "CosineSimilarity"


def test_margins_are_told_from_scales_and_temperatures() -> None:
    margins = {(name, argument) for name in ALL for argument in argument_names(name) if is_margin(name, argument)}
    assert ("TripletMarginLoss", "margin") in margins
    assert {("ContrastiveLoss", each) for each in ("pos_margin", "neg_margin", "gap")} <= margins
    assert {
        ("CircleLoss", "m"),
        ("MultiSimilarityLoss", "base"),
        ("MarginLoss", "beta"),
        ("ArcFaceLoss", "margin"),
    } <= margins
    assert {("AngularLoss", "alpha"), ("MultiSimilarityMiner", "epsilon"), ("AngularMiner", "angle")} <= margins
    assert not {each for each in margins if each[1] in ("temperature", "scale", "gamma", "softmax_scale", "nu")}
    assert ("MultiSimilarityLoss", "beta") not in margins
    assert ("ProxyAnchorLoss", "alpha") not in margins


@pytest.mark.parametrize(
    ("name", "argument", "distance", "says"),
    [
        ("TripletMarginLoss", "margin", None, "(0, 2)"),
        ("TripletMarginLoss", "margin", "SquaredLpDistance", "(0, 4)"),
        ("ContrastiveLoss", "pos_margin", "CosineSimilarity", "[-1, 1]"),
        ("ContrastiveLoss", "neg_margin", "LpDistance", "[0, 2]"),
        ("ContrastiveLoss", "gap", "LpDistance", "(0, 2)"),
        ("CircleLoss", "m", None, "[-1, 1]"),
        ("MarginLoss", "beta", "CosineSimilarity", "[-0.5, 0.9]"),
        ("ArcFaceLoss", "margin", None, "(0, 90)"),
        ("AngularMiner", "angle", None, "(0, 90)"),
        ("PairMarginMiner", "neg_margin", None, "[-1, 1]"),
        ("NTXentLoss", "temperature", None, "[0.03, inf)"),
        ("SupConLoss", "temperature", None, "(0, inf)"),
        ("HDCMiner", "filter_percentage", None, "(0, 1]"),
    ],
)
def test_legal_ranges(name: str, argument: str, distance: str | None, says: str) -> None:
    assert str(legal_range(name, argument, distance)) == says


def test_without_unit_vectors_distances_have_no_upper_end() -> None:
    bounds = legal_range("TripletMarginLoss", "margin", "LpDistance", normalise=False)
    assert bounds is not None
    assert math.isinf(bounds.high)
    assert str(legal_range("ContrastiveLoss", "pos_margin", "CosineSimilarity", normalise=False)) == "[-1, 1]"
    assert legal_range("SigLIPLoss", "initial_bias") is None


def test_only_ranges_in_other_numbers_depend_on_the_distance() -> None:
    assert not depends_on_distance("TripletMarginLoss", "margin"), "a gap means the same either way"
    assert not depends_on_distance("SupConLoss", "temperature")
    assert all(depends_on_distance("ContrastiveLoss", each) for each in ("pos_margin", "neg_margin", "gap"))
    assert loss_ranges("TripletMarginLoss", "LpDistance")["margin"].unit == "L2 distance"
    assert loss_ranges("TripletMarginLoss", "CosineSimilarity")["margin"].unit == "cosine"


@pytest.mark.parametrize("function", [loss_ranges, miner_ranges, default_arguments])
def test_unknown_names_are_one_line(function) -> None:
    for name in ("NoLoss", "NoMiner"):
        with pytest.raises(CrossModalError, match=f"'{name}': unknown, expected one of: "):
            function(name)
    with pytest.raises(CrossModalError, match="distance 'Manhattan': unknown"):
        function("TripletMarginLoss" if function is loss_ranges else "HDCMiner", "Manhattan")


def test_the_table_covers_every_legal_argument_it_names_with_the_libraries_type() -> None:
    for name, ranges in (LOSS_RANGES | MINER_RANGES).items():
        for argument in ranges:
            if argument != "gap":
                assert argument in legal_arguments(ALL[name].cls)
