import dataclasses
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import optuna
import pytest
from toys.toy_worker import SETTINGS

from cross_modal_mlflow.sweep.sampling import STARTUP, build_pruner, build_sampler, pruner_note

TRAINING = dataclasses.replace(SETTINGS, experiment={"training": {"steps": 120, "validate_every": 30}})
HEADS = dataclasses.replace(SETTINGS, kind="heads")


@contextmanager
def silence() -> Iterator[None]:
    """Whatever Optuna has to say fails the test."""
    with warnings.catch_warnings():
        for category in (UserWarning, FutureWarning, optuna.exceptions.ExperimentalWarning):
            warnings.simplefilter("error", category)
        yield


def conditional(trial: optuna.Trial) -> float:
    """Parameters as a sweep has them: some exist for one loss only."""
    loss = trial.suggest_categorical("loss", ["triplet", "circle"])
    margin = trial.suggest_float(f"{loss}.margin", 0.01, 1, log=True)
    return -abs(margin - 0.3) - (loss == "circle") * trial.suggest_float("circle.gamma", 0, 1)


@pytest.mark.parametrize("name", ["tpe", "gp", "random"])
def test_a_sampler_by_name_draws_the_same_from_the_same_seed_without_a_word(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def drawn(seed: int) -> list[dict[str, float]]:
        with silence():
            sampler = build_sampler(dataclasses.replace(SETTINGS, sampler=name), seed)
            study = optuna.create_study(sampler=sampler, direction="maximize")
            study.optimize(conditional, n_trials=12)
        return [trial.params for trial in study.trials]

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    assert drawn(3) == drawn(3) != drawn(4)
    assert capsys.readouterr().err == ""


def test_the_default_sampler_keeps_away_from_where_others_search() -> None:
    sampler = build_sampler(dataclasses.replace(SETTINGS, sampler="tpe"), 0)
    assert isinstance(sampler, optuna.samplers.TPESampler)
    assert (sampler._multivariate, sampler._group, sampler._constant_liar) == (True, True, True)


def curve(study: optuna.Study, values: list[float]) -> list[float]:
    """Reports a trial's values at the validations; returns those that it came to."""
    trial = study.ask()
    for index, value in enumerate(values):
        trial.report(value, (index + 1) * 30)
        if trial.should_prune():
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)
            return values[: index + 1]
    study.tell(trial, values[-1])
    return values


def test_the_median_pruner_stops_a_poor_trial_at_a_validation_once_some_have_ended() -> None:
    study = optuna.create_study(
        direction="maximize", pruner=build_pruner(dataclasses.replace(TRAINING, pruner="median"))
    )
    poor, good = [0.1, 0.1, 0.1, 0.1], [0.5, 0.6, 0.7, 0.8]
    assert [curve(study, poor if number == 2 else good) for number in range(STARTUP)][2] == poor
    assert len(curve(study, poor)) < 4
    assert curve(study, [0.6, 0.7, 0.8, 0.9]) == [0.6, 0.7, 0.8, 0.9]


def test_hyperband_has_steps_for_its_resource() -> None:
    pruner = build_pruner(dataclasses.replace(TRAINING, pruner="hyperband"))
    study = optuna.create_study(study_name="birds", direction="maximize", pruner=pruner)
    lengths = [len(curve(study, [0.9 - 0.04 * number] * 4)) for number in range(20)]
    assert min(lengths) < 4 == max(lengths)


def test_hyperband_bears_a_budget_without_validations() -> None:
    for training in ({"steps": 10, "validate_every": 250}, {"steps": 0, "validate_every": 0}, {}):
        settings = dataclasses.replace(TRAINING, pruner="hyperband", experiment={"training": training})
        study = optuna.create_study(study_name="birds", direction="maximize", pruner=build_pruner(settings))
        assert curve(study, [0.5])


def test_heads_are_compared_episode_by_episode_whatever_was_asked_for_but_none() -> None:
    with silence():
        for name in ("median", "wilcoxon", "hyperband"):
            pruner = build_pruner(dataclasses.replace(HEADS, pruner=name))
            assert isinstance(pruner, optuna.pruners.WilcoxonPruner)
    none = build_pruner(dataclasses.replace(HEADS, pruner="none"))
    assert isinstance(none, optuna.pruners.NopPruner)


def test_several_targets_prune_nothing_and_say_so() -> None:
    both = dataclasses.replace(TRAINING, pruner="median", targets=["score", "seconds"])
    assert isinstance(build_pruner(both), optuna.pruners.NopPruner)
    assert "no trial is pruned" in str(pruner_note(both))
    assert pruner_note(dataclasses.replace(both, pruner="none")) is None
    assert pruner_note(dataclasses.replace(TRAINING, pruner="median")) is None
