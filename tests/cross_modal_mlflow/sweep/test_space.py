"""What a sweep draws: only what applies, always something that trains, and the defaults among it."""

import copy
import json

import optuna
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cross_modal.configuration import Experiment, ObjectiveConfig, PartConfig
from cross_modal.errors import CrossModalError
from cross_modal.objectives.cross_modal_loss import CrossModalLoss
from cross_modal.objectives.losses import LOSSES
from cross_modal.objectives.miners import MINERS
from cross_modal_mlflow.sweep.options import SweepOptions
from cross_modal_mlflow.sweep.space import SearchSpace, with_default_margins

OPTIONS = SweepOptions()
TRAINABLE = [name for name in LOSSES if name != "VICRegLoss"]  # it cannot train on unit vectors


def experiment(
    loss: str = "SupConLoss", distance: str | None = None, miner: str | None = None, **arguments
) -> Experiment:
    return Experiment(
        objective=ObjectiveConfig(
            loss=PartConfig(loss, arguments),
            distance=PartConfig(distance) if distance else None,
            miner=PartConfig(miner) if miner else None,
        )
    )


def usual(base: Experiment | None = None) -> SearchSpace:
    return SearchSpace.default(OPTIONS.losses, OPTIONS.miners, base or Experiment())


def everything() -> SearchSpace:
    return SearchSpace.default(TRAINABLE, ["none", *MINERS], Experiment())


def drawn(space: SearchSpace, base: Experiment, trials: int, sampler: optuna.samplers.BaseSampler) -> list[tuple]:
    study = optuna.create_study(sampler=sampler)
    found = []
    for _ in range(trials):
        trial = study.ask()
        found.append((space.suggest(trial, base), trial.params))
        study.tell(trial, float(len(found)))
    return found


def test_the_built_in_space_tunes_loss_margins_miner_scale_rate_and_queries() -> None:
    names = dict(usual().rows())
    assert names["objective.loss"] == ", ".join(OPTIONS.losses)
    assert names["objective.distance"] == "CosineSimilarity, LpDistance"
    assert names["objective.miner"] == "none, MultiSimilarityMiner, TripletMarginMiner"
    assert names["TripletMarginLoss.margin"] == "0.02 to 0.5, log, cosine or L2 distance"
    assert names["ContrastiveLoss[CosineSimilarity].gap"] == "0.2 to 1, cosine"
    assert names["ContrastiveLoss[LpDistance].pos_margin"] == "0 to 0.6, L2 distance"
    assert names["training.learning_rate"] == "0.0001 to 0.01, log"
    assert names["twin.pooling.queries"] == "1, 2, 4, 8"
    assert "SupConLoss.temperature" in names
    assert "TripletMarginLoss.smooth_loss" not in names, "worth a look once the margin is found"


def test_every_draw_of_every_loss_and_miner_builds_and_says_only_what_applies() -> None:
    space, base = everything(), Experiment()
    untouched = copy.deepcopy(base)
    for found, parameters in drawn(space, base, 150, optuna.samplers.RandomSampler(seed=1)):
        CrossModalLoss(found.objective, dim=6, num_classes=64)
        assert found.objective.loss.name == parameters["objective.loss"]
        mined = [value for name, value in parameters.items() if name.startswith("objective.miner")]
        assert [found.objective.miner.name if found.objective.miner else "none"] == (mined or ["none"])
        assert found.training.learning_rate == parameters["training.learning_rate"]
        assert found.twin.pooling.queries == parameters["twin.pooling.queries"]
        parts = {name.partition(".")[0].partition("[")[0] for name in parameters} - {"objective", "training", "twin"}
        assert parts <= {parameters["objective.loss"], *mined}
        assert "gap" not in found.objective.loss.arguments
        if not LOSSES[found.objective.loss.name].miner:
            assert found.objective.miner is None
            assert not mined
        if LOSSES[found.objective.loss.name].fixed:
            assert found.objective.distance is None
            assert "objective.distance" not in parameters
    assert base == untouched


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_the_multivariate_sampler_takes_the_conditions() -> None:
    sampler = optuna.samplers.TPESampler(multivariate=True, group=True, constant_liar=True, n_startup_trials=5, seed=0)
    for found, _ in drawn(usual(), Experiment(), 25, sampler):
        CrossModalLoss(found.objective, dim=6, num_classes=4)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6))
def test_whatever_was_drawn_has_parameters_that_draw_it_again(seed: int) -> None:
    space = everything()
    for found, parameters in drawn(space, Experiment(), 1, optuna.samplers.RandomSampler(seed=seed)):
        again = space.parameters_of(found)
        assert again == pytest.approx(parameters)
        assert space.differences(found) == []
        assert space.suggest(optuna.trial.FixedTrial(again), Experiment()) == found


@pytest.mark.parametrize(
    "base",
    [
        Experiment(),
        experiment("TripletMarginLoss"),
        experiment("TripletMarginLoss", "CosineSimilarity", "TripletMarginMiner"),
        experiment("ContrastiveLoss", pos_margin=0.0, neg_margin=0.7),
        experiment("ContrastiveLoss", "CosineSimilarity", pos_margin=0.8, neg_margin=0.2),
        experiment("CircleLoss", m=0.25),
        experiment("MultiSimilarityLoss", "LpDistance"),
        experiment("TripletMarginLoss", triplets_per_anchor=50),
    ],
    ids=lambda each: f"{each.objective.loss.name}-{each.objective.distance and each.objective.distance.name}",
)
def test_the_default_trial_is_the_experiment_itself_with_its_defaults_written_out(base: Experiment) -> None:
    space = usual(base)
    assert space.differences(base) == []
    again = space.suggest(optuna.trial.FixedTrial(space.parameters_of(base)), base)
    for part, before in ((again.objective.loss, base.objective.loss), (again.objective.miner, base.objective.miner)):
        if before is not None:
            assert part is not None
            assert part.name == before.name
            assert part.arguments.items() >= before.arguments.items()
            part.arguments = before.arguments
    assert again == base
    CrossModalLoss(again.objective, dim=6, num_classes=4)


def test_the_built_in_space_is_widened_to_hold_the_settings_it_starts_from() -> None:
    base = experiment("TripletMarginLoss", margin=0.9)
    base.training.learning_rate, base.twin.pooling.queries = 0.05, 3
    space = usual(base)
    rows = dict(space.rows())
    assert rows["TripletMarginLoss.margin"].startswith("0.02 to 0.9")
    assert rows["training.learning_rate"] == "0.0001 to 0.05, log"
    assert rows["twin.pooling.queries"] == "1, 2, 3, 4, 8"
    assert space.differences(base) == []
    space.check(base)


def test_a_loss_outside_the_space_becomes_its_first_one_with_defaults_and_that_is_said() -> None:
    base = experiment("SupConLoss", temperature=0.07)
    space = SearchSpace.default(["ContrastiveLoss", "CircleLoss"], ["none"], base)
    parameters = space.parameters_of(base)
    assert parameters["objective.loss"] == "ContrastiveLoss"
    assert parameters["objective.distance"] == "LpDistance", "its own"
    assert parameters["ContrastiveLoss[LpDistance].gap"] == 1.0
    assert space.differences(base) == [
        "objective.loss: SupConLoss lies outside ContrastiveLoss, CircleLoss; the default trial takes ContrastiveLoss"
    ]


def test_arguments_that_are_not_drawn_stay_with_their_loss_and_leave_with_it() -> None:
    base = experiment("TripletMarginLoss", triplets_per_anchor=50)
    space = SearchSpace.default(["TripletMarginLoss", "CircleLoss"], ["none"], base)
    parameters = space.parameters_of(base)
    kept = space.suggest(optuna.trial.FixedTrial(parameters), base)
    assert kept.objective.loss.arguments == {"triplets_per_anchor": 50, "margin": 0.05}
    parameters |= {"objective.loss": "CircleLoss", "CircleLoss.m": 0.3, "CircleLoss.gamma": 80.0}
    other = space.suggest(optuna.trial.FixedTrial(parameters), base)
    assert other.objective.loss.arguments == {"m": 0.3, "gamma": 80.0}


def test_the_distance_of_the_experiment_keeps_its_arguments_and_its_own_thresholds() -> None:
    base = experiment("ContrastiveLoss")
    base.objective.distance = PartConfig("LpDistance", {"power": 2})
    space = usual(base)
    assert "ContrastiveLoss[SquaredLpDistance].gap" in dict(space.rows())
    again = space.suggest(optuna.trial.FixedTrial(space.parameters_of(base)), base)
    assert again.objective.distance == base.objective.distance


def test_miners_that_do_not_fit_the_distance_are_no_choice_for_it() -> None:
    names = ["none", "HDCMiner", "AngularMiner"]
    space = SearchSpace.default(["SignalToNoiseRatioContrastiveLoss", "TripletMarginLoss"], names, Experiment())
    space.check(Experiment())
    for found, parameters in drawn(space, Experiment(), 30, optuna.samplers.RandomSampler(seed=0)):
        if found.objective.loss.name.startswith("Signal"):
            assert parameters["objective.miner[SNRDistance]"] in ("none", "HDCMiner")
        else:
            assert parameters["objective.miner"] in names


def test_a_space_is_json() -> None:
    for space in (usual(), everything()):
        assert SearchSpace.from_dict(json.loads(json.dumps(space.to_dict()))) == space


def test_parameters_of_another_study_fit_where_name_and_range_do() -> None:
    space = SearchSpace.default(["TripletMarginLoss"], ["none"], Experiment())
    theirs = {"objective.loss": "CircleLoss", "objective.distance": "LpDistance", "TripletMarginLoss.margin": 0.1,
              "training.learning_rate": 5.0, "twin.pooling.queries": 2, "unheard.of": 1}  # fmt: skip
    assert space.fitting(theirs) == {
        "objective.distance": "LpDistance", "TripletMarginLoss.margin": 0.1, "twin.pooling.queries": 2,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("losses", "miners", "says"),
    [
        (["TripletLoss"], ["none"], "loss 'TripletLoss': unknown, expected one of: "),
        (["ThresholdConsistentMarginLoss"], ["none"], "refused, it accepts references and ignores them"),
        (["CircleLoss", "CircleLoss"], ["none"], "losses: expected distinct names, found CircleLoss twice"),
        (["CircleLoss"], ["SupConLoss"], "miner 'SupConLoss': unknown"),
        (["CircleLoss"], [], "miners: expected at least one name"),
    ],
)
def test_names_that_are_none_are_refused(losses: list, miners: list, says: str) -> None:
    with pytest.raises(CrossModalError) as caught:
        SearchSpace.default(losses, miners, Experiment())
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("base", "default"),
    [
        (experiment("TripletMarginLoss", margin=0.3, smooth_loss=True), {"margin": 0.05, "smooth_loss": True}),
        (experiment("CircleLoss", m=0.1, gamma=33), {"m": 0.4, "gamma": 33}),
        (experiment("ContrastiveLoss", pos_margin=0.3, neg_margin=0.6), {"pos_margin": 0, "neg_margin": 1}),
        (
            experiment("ContrastiveLoss", "CosineSimilarity", pos_margin=0.9, neg_margin=0.6),
            {"pos_margin": 0.8, "neg_margin": 0.2},
        ),
        (experiment("MultiSimilarityLoss", alpha=3, base=0.1), {"alpha": 3, "base": 0.5}),
        (experiment("SupConLoss", temperature=0.2), {"temperature": 0.2}),
    ],
)
def test_default_margins_change_margins_alone(base: Experiment, default: dict) -> None:
    base.objective.miner = PartConfig("TripletMarginMiner", {"margin": 0.4})
    before = copy.deepcopy(base)
    changed = with_default_margins(base)
    assert changed.objective.loss.arguments == default
    assert base == before
    changed.objective.loss = base.objective.loss
    assert changed == base, "the miner and all else stay"


@pytest.mark.parametrize("loss", LOSSES)
def test_default_margins_build_for_every_loss(loss: str) -> None:
    torch.manual_seed(0)
    changed = with_default_margins(experiment(loss, Tn=2.0) if loss == "RankedListLoss" else experiment(loss))
    CrossModalLoss(changed.objective, dim=6, num_classes=60, normalise=loss != "VICRegLoss")
