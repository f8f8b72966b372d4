import math
from typing import Any

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.trial import FrozenTrial, TrialState, create_trial
from toys.sweep_studies import heads_study, training_study

from cross_modal_mlflow.sweep.trial_facts import (
    Target,
    ending_of,
    pareto_front,
    rank,
    ranked,
    settings_of,
    tally,
    targets_of,
)

SCORE, EER = Target(0, "score", "validation score", True), Target(1, "eer", "equal error rate", False)


def trial(number: int = 0, state: TrialState = TrialState.COMPLETE, values: Any = None, **more: Any) -> FrozenTrial:
    made = create_trial(
        state=state, values=values if values is not None or state != TrialState.COMPLETE else [0.5], **more
    )
    made.number = number
    return made


@pytest.mark.parametrize(
    ("made", "ending"),
    [
        (trial(), "complete"),
        (trial(constraints={"latency": 0.0}), "complete"),
        (trial(constraints={"latency": 0.1, "memory": -1.0}), "outside"),
        (trial(state=TrialState.PRUNED), "pruned"),
        (trial(state=TrialState.FAIL, user_attrs={"error": "no pairs"}), "failed"),
        (trial(state=TrialState.FAIL), "died"),
        (trial(state=TrialState.FAIL, user_attrs={"interrupted": True}), "interrupted"),
        (trial(state=TrialState.WAITING), "waiting"),
    ],
)
def test_a_trial_ends_in_one_word(made: FrozenTrial, ending: str) -> None:
    assert ending_of(made) == ending


def test_the_best_trial_keeps_to_the_constraints_and_of_equals_the_first_leads() -> None:
    trials = [
        trial(0, values=[0.4]),
        trial(1, values=[0.9], constraints={"memory": 3.0}),
        trial(2, values=[0.6]),
        trial(3, values=[0.6]),
        trial(4, values=[math.inf]),
        trial(5, state=TrialState.PRUNED, intermediate_values={10: 0.95}),
    ]
    assert [each.number for each in rank([SCORE], trials)] == [2, 3, 0]
    assert [each.number for each in rank([Target(0, "seconds", "s", False)], trials)] == [0, 2, 3]


def test_the_pareto_front_leads_and_its_first_target_leads_inside_it() -> None:
    values = [[0.5, 0.3], [0.6, 0.4], [0.55, 0.45], [0.4, 0.2], [0.5, 0.3]]
    trials = [trial(number, values=each) for number, each in enumerate(values)]
    assert {each.number for each in pareto_front([SCORE, EER], trials)} == {0, 1, 3, 4}
    assert [each.number for each in rank([SCORE, EER], trials)] == [1, 0, 4, 3, 2]


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=12))
def test_the_front_is_the_one_that_optuna_finds(values: list[tuple[float, float]]) -> None:
    study = optuna.create_study(directions=["maximize", "minimize"])
    study.add_trials([create_trial(values=list(each)) for each in values])
    ours = {each.number for each in pareto_front(targets_of(study), study.trials)}
    assert ours == {each.number for each in study.best_trials}


def test_a_trial_that_was_stopped_is_worth_what_it_reported_last() -> None:
    stopped = trial(state=TrialState.PRUNED, intermediate_values={30: 0.2, 60: 0.3})
    assert SCORE.value(stopped) == 0.3
    assert EER.value(stopped) is None
    assert SCORE.value(trial(state=TrialState.FAIL)) is None


def test_targets_have_the_names_that_the_study_was_started_with() -> None:
    targets = targets_of(training_study(2, targets=("score", "seconds")))
    assert [(each.label, each.maximise) for each in targets] == [
        ("validation score", True),
        ("training seconds", False),
    ]
    assert targets_of(heads_study(2))[0].label == "validation accuracy"


def test_a_study_of_another_program_is_read_too() -> None:
    study = optuna.create_study(directions=["minimize", "maximize"])
    assert settings_of(study) is None
    assert [each.name for each in targets_of(study)] == ["value_0", "value_1"]
    study.set_metric_names(["loss", "accuracy"])
    assert [each.name for each in targets_of(study)] == ["loss", "accuracy"]
    assert ranked(study) == []


def test_endings_are_counted() -> None:
    counted = tally(training_study(30).trials)
    assert list(counted) == ["complete", "pruned", "failed", "died"]
    assert sum(counted.values()) == 30
