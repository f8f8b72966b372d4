import dataclasses
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState, create_trial
from toys.shapes import experiment, shapes
from toys.toy_worker import SETTINGS

from cross_modal.configuration import Experiment
from cross_modal_mlflow.sweep.objective import TrainingObjective, changed_settings, keeps_to_constraints
from cross_modal_mlflow.sweep.space import SearchSpace


def objective(study: optuna.Study, **settings: Any) -> TrainingObjective:
    space = SearchSpace.default(["CircleLoss"], ["none"], experiment())
    about = {"experiment": dataclasses.asdict(experiment()), "space": space.to_dict()}
    return TrainingObjective(dataclasses.replace(SETTINGS, **{**about, **settings}), study, shapes(per_class=2))


def finished(value: float, **excess: float) -> optuna.trial.FrozenTrial:
    return create_trial(state=TrialState.COMPLETE, value=value, constraints=excess or None)


def test_trials_get_no_item_of_the_test_split() -> None:
    assert set(objective(optuna.create_study()).items.splits) == {"train", "validation"}


@pytest.mark.parametrize(("targets", "better", "worse"), [(["score"], 0.9, 0.7), (["eer"], 0.1, 0.3)])
def test_a_twin_is_kept_where_none_is_better_by_the_first_target(
    targets: list[str], better: float, worse: float
) -> None:
    study = optuna.create_study(direction="maximize" if targets == ["score"] else "minimize")
    study.add_trial(finished(0.8 if targets == ["score"] else 0.2))
    one = objective(study, targets=targets)
    assert one._is_best(better, {})
    assert not one._is_best(worse, {})


def test_a_better_trial_that_breaks_a_constraint_does_not_keep_the_winner_from_being_kept() -> None:
    study = optuna.create_study(direction="maximize")
    study.add_trial(finished(0.9, memory=5.0))
    one = objective(study, constraints={"memory": 10.0})
    assert one._is_best(0.5, {"memory": 9.0})
    assert not one._is_best(0.95, {"memory": 11.0})
    assert not keeps_to_constraints(study.trials[0])


def test_a_run_shows_the_objective_and_what_differs_from_the_sweeps_own_settings() -> None:
    base = Experiment()
    changed = dataclasses.replace(base, training=dataclasses.replace(base.training, learning_rate=0.5))
    shown = changed_settings(changed, base)
    assert shown["training.learning_rate"] == "0.5"
    assert shown["objective.loss.name"] == "SupConLoss"
    assert "training.steps" not in shown
