import math

import optuna
import pytest
from toys.sweep_studies import training_study

from cross_modal_mlflow.sweep.importance import importances
from cross_modal_mlflow.sweep.trial_facts import targets_of


def study(trials: int, directions: tuple[str, ...] = ("maximize",)) -> optuna.Study:
    """A steep setting, a flat one, and one that is seldom drawn."""
    made = optuna.create_study(directions=directions, sampler=optuna.samplers.RandomSampler(seed=0))
    for number in range(trials):
        trial = made.ask()
        steep, flat = trial.suggest_float("steep", 0, 1), trial.suggest_float("flat", 0, 1)
        if number % 6 == 0:
            trial.suggest_float("seldom", 0, 1)
        made.tell(trial, [steep + 0.01 * flat, flat][: len(directions)])
    return made


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_the_setting_that_decides_comes_first(direction: str) -> None:
    made = study(40, (direction,))
    shares = importances(made, targets_of(made)[0])
    assert next(iter(shares)) == "steep"
    assert shares["steep"] > 0.8
    assert sum(shares.values()) == pytest.approx(1)


def test_each_target_has_its_own() -> None:
    made = study(40, ("maximize", "minimize"))
    assert [next(iter(importances(made, target))) for target in targets_of(made)] == ["steep", "flat"]


def test_it_is_the_best_trials_that_are_asked_not_the_worst() -> None:
    made = optuna.create_study(direction="maximize", sampler=optuna.samplers.RandomSampler(seed=0))
    for _ in range(60):
        trial = made.ask()
        x, y = trial.suggest_float("x", 0, 1), trial.suggest_float("y", 0, 1)
        # y matters among good trials (x high), x among bad ones
        made.tell(trial, y if y > 0.8 else -x * 0.01)
    assert next(iter(importances(made, targets_of(made)[0]))) == "y"


def test_a_setting_that_few_trials_drew_is_left_out() -> None:
    made = study(40)
    assert "seldom" not in importances(made, targets_of(made)[0])


def test_too_few_trials_or_equal_values_say_nothing() -> None:
    made = study(3)
    assert importances(made, targets_of(made)[0]) == {}
    flat = optuna.create_study()
    for number in range(10):
        trial = flat.ask()
        trial.suggest_int("x", number, number)
        flat.tell(trial, 1.0)
    assert importances(flat, targets_of(flat)[0]) == {}


def test_a_sweep_with_conditional_settings_has_importances() -> None:
    made = training_study(30)
    shares = importances(made, targets_of(made)[0])
    assert "training.learning_rate" in shares
    assert all(math.isfinite(share) for share in shares.values())
