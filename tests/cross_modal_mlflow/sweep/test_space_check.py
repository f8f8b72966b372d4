import copy

import pytest
import torch

from cross_modal.configuration import Experiment, MemoryConfig, PartConfig
from cross_modal.errors import CrossModalError
from cross_modal_mlflow.sweep.options import SweepOptions
from cross_modal_mlflow.sweep.space import SearchSpace
from cross_modal_mlflow.sweep.space_file import space_from

OPTIONS = SweepOptions()


def refusal(content: dict, base: Experiment | None = None) -> str:
    base = base or Experiment()
    space = space_from(content, base)
    with pytest.raises(CrossModalError) as caught:
        space.check(base)
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


def test_the_built_in_space_passes_and_leaves_the_random_numbers_alone() -> None:
    base = Experiment()
    before, state = copy.deepcopy(base), torch.random.get_rng_state()
    SearchSpace.default([*OPTIONS.losses, "ProxyAnchorLoss"], OPTIONS.miners, base).check(base)
    assert base == before
    assert torch.equal(state, torch.random.get_rng_state())


def test_a_range_outside_the_losses_meaning_names_bounds_loss_and_distance() -> None:
    margin = "objective.loss.arguments.margin"
    assert refusal({"losses": "TripletMarginLoss", margin: {"low": 0.01, "high": 5.0}}) == (
        f"search space: {margin}: expected numbers in (0, 2) for TripletMarginLoss with LpDistance, found 0.01 to 5"
    )
    assert "in (0, 90) for ArcFaceLoss" in refusal({"losses": "ArcFaceLoss", margin: {"low": 5, "high": 120}})
    assert "in [-1, 1] for CircleLoss" in refusal({"losses": "CircleLoss", "CircleLoss.m": [0.2, 1.4]})
    assert "in [1, 64]" in refusal({"twin.pooling.queries": [0, 2]})
    assert "training.learning_rate: expected numbers in (0, 1]" in refusal(
        {"training.learning_rate": {"low": 0.1, "high": 3}}
    )


def test_bounds_are_those_of_every_distance_that_is_drawn() -> None:
    content = {"losses": "MarginLoss", "MarginLoss.beta": {"low": 0.8, "high": 1.4}}
    space_from(content, Experiment()).check(Experiment())
    both = content | {"objective.distance": ["LpDistance", "CosineSimilarity"]}
    assert "in [-0.5, 0.9] for MarginLoss with CosineSimilarity" in refusal(both)


def test_without_unit_vectors_distances_may_be_long() -> None:
    base = Experiment()
    base.twin.normalise = False
    space_from({"losses": "TripletMarginLoss", "TripletMarginLoss.margin": {"low": 1, "high": 9}}, base).check(base)


def test_margins_that_can_cross_are_refused_by_what_could_be_drawn() -> None:
    ends = {"low": 0.1, "high": 0.9}
    crossing = {"losses": "ContrastiveLoss", "ContrastiveLoss.pos_margin": ends, "ContrastiveLoss.neg_margin": ends}
    assert "a trial could draw what cannot train: ContrastiveLoss: with LpDistance positives" in refusal(crossing)
    wide = {
        "losses": "ContrastiveLoss",
        "ContrastiveLoss.pos_margin": {"low": 0.1, "high": 1.5},
        "ContrastiveLoss.gap": 0.9,
    }
    assert "expected neg_margin in [0, 2], found 2.4 at the end of the ranges" in refusal(wide)


@pytest.mark.parametrize(
    ("losses", "change", "says"),
    [
        ("VICRegLoss", {}, "set twin.normalise=false"),
        ("ArcFaceLoss", {"memory": MemoryConfig(size=64)}, "cannot use a memory"),
        ("CLIPLoss", {"reducer": PartConfig("MeanReducer")}, "takes no reducer"),
    ],
)
def test_what_cannot_train_with_the_other_settings_is_refused_before_the_first_trial(losses, change, says) -> None:
    base = Experiment()
    for name, value in change.items():
        setattr(base.objective, name, value)
    space = SearchSpace.default([losses], ["none"], base)
    with pytest.raises(CrossModalError) as caught:
        space.check(base)
    assert says in str(caught.value)
    assert str(caught.value).startswith("search space: a trial could draw what cannot train: ")


def test_losses_without_a_miner_stand_beside_others_that_have_one() -> None:
    space = SearchSpace.default(["CLIPLoss", "TripletMarginLoss"], ["TripletMarginMiner"], Experiment())
    space.check(Experiment())
