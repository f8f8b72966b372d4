"""The space of heads: every point builds a classifier, and the default is in it."""

import json

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cross_modal.errors import CrossModalError
from cross_modal.fewshot.classifiers.prototype_mixture import TEXT_ALONE
from cross_modal.objectives.ranges import Choice, Range
from cross_modal_mlflow.sweep.head_space import HeadSpace


def drawn(space: HeadSpace, **parameters: object):
    return space.suggest(optuna.trial.FixedTrial({name.replace("__", "."): each for name, each in parameters.items()}))


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_every_drawn_head_is_a_classifier_and_has_no_parameters_of_another(seed: int) -> None:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed))
    trial = study.ask()
    head = HeadSpace.default().suggest(trial)
    model = head.classifier().fit([[1.0, 0.0], [0.0, 1.0]], ["a", "b"])
    assert model.predict([[0.9, 0.1]]).tolist() == ["a"]
    assert {name.split(".")[0] for name in trial.params} - {"method"} <= {head.method}
    again = HeadSpace.default().suggest(optuna.trial.FixedTrial(trial.params))
    assert again == head


def test_parameters_exist_only_where_they_mean_something() -> None:
    alone = drawn(HeadSpace.default(), method="prototypes", prototypes__evidence="pictures", prototypes__centre=False)
    assert alone.parameters == {"centre": False, "kappa": 0.0}
    names = drawn(HeadSpace.default(), method="prototypes", prototypes__evidence="names", prototypes__centre=True)
    assert names.parameters["kappa"] == TEXT_ALONE
    near = drawn(HeadSpace.default(), method="nearest_neighbours", nearest_neighbours__neighbours=3)
    assert (near.method, near.parameters) == ("nearest_neighbours", {"neighbours": 3})


def test_the_default_parameters_give_the_classifier_as_it_comes() -> None:
    space = HeadSpace.default()
    head = space.suggest(optuna.trial.FixedTrial(space.parameters_of_default()))
    assert head.classifier().get_params() == type(head.classifier())().get_params()
    study = optuna.create_study()
    study.enqueue_trial(space.parameters_of_default())
    trial = study.ask()
    assert space.suggest(trial) == head
    assert trial.params == space.parameters_of_default()


def test_a_space_survives_json_whatever_order_its_keys_come_in() -> None:
    space = HeadSpace.default()
    assert HeadSpace.from_dict(json.loads(json.dumps(space.to_dict(), sort_keys=True))) == space
    small = HeadSpace({"tip_adapter": {"beta": Range(1.0, 2.0)}, "prototypes": {"centre": Choice((True,))}})
    assert HeadSpace.from_dict(json.loads(json.dumps(small.to_dict()))) == small
    assert drawn(small, method="tip_adapter", tip_adapter__beta=1.5).settings["alpha"] == 1.0


def test_spaces_that_are_none_are_refused_in_one_line() -> None:
    with pytest.raises(CrossModalError, match="expected heads with their parameters, found None"):
        HeadSpace.from_dict({})
    with pytest.raises(CrossModalError, match=r"expected heads of prototypes, .* found 'zero_shot'"):
        HeadSpace.from_dict({"heads": {"zero_shot": {}}})
    with pytest.raises(CrossModalError, match=r"expected parameters of tip_adapter \(alpha, beta\), found 'gamma'"):
        HeadSpace.from_dict({"heads": {"tip_adapter": {"gamma": {"low": 0.0, "high": 1.0}}}})
    with pytest.raises(CrossModalError, match="expected prototypes among the heads, found tip_adapter"):
        HeadSpace({"tip_adapter": {}}).parameters_of_default()
    with pytest.raises(CrossModalError, match=r"expected the default 1.0 of prototypes.kappa inside it, found 2 to 3"):
        HeadSpace({"prototypes": {"kappa": Range(2.0, 3.0)}}).parameters_of_default()
