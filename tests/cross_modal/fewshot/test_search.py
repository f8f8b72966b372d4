import inspect
import math

import numpy as np
import pytest
from toys.few_shots import few_shots

from cross_modal.errors import CrossModalError
from cross_modal.fewshot.classifiers import METHODS, NearestNeighbours, Prototypes, TipAdapter, ZeroShot
from cross_modal.fewshot.search import search


def test_it_has_no_argument_for_test_items():
    assert list(inspect.signature(search).parameters) == [
        "classifier",
        "X",
        "y",
        "X_validation",
        "y_validation",
        "grid",
    ]


def test_the_best_point_is_fitted_and_all_trials_are_kept():
    toy = few_shots(noise=1.2)
    model = Prototypes(toy.texts, toy.classes)
    found = search(model, toy.X, toy.y, toy.X_validation, toy.y_validation)
    assert len(found.trials) == math.prod(len(values) for values in Prototypes.grid.values())
    assert found.accuracy == max(accuracy for _, accuracy in found.trials)
    assert found.accuracy == (found.classifier.predict(toy.X_validation) == toy.y_validation).mean()
    assert found.classifier.get_params().items() >= found.parameters.items()
    assert not found.note


def test_of_equal_points_the_first_wins():
    toy = few_shots(noise=0.01, gap=0, text_noise=0.01)
    grid = {"kappa": [4.0, 1.0], "centre": [False, True]}
    found = search(Prototypes(toy.texts, toy.classes), toy.X, toy.y, toy.X_validation, toy.y_validation, grid)
    assert found.accuracy == 1
    assert found.parameters == {"kappa": 4.0, "centre": False}


def test_the_classifier_is_left_as_it_was():
    toy = few_shots()
    model = Prototypes(toy.texts, toy.classes, kappa=3)
    search(model, toy.X, toy.y, toy.X_validation, toy.y_validation)
    assert model.kappa == 3
    assert not hasattr(model, "classes_")


@pytest.mark.parametrize("validation", [(), (None, None), (np.zeros((0, 12)), np.zeros(0))])
def test_without_validation_its_own_hyper_parameters_stay(validation):
    toy = few_shots()
    found = search(Prototypes(kappa=3), toy.X, toy.y, *validation)
    assert found.classifier.kappa == 3
    assert (found.parameters, found.trials) == ({}, [])
    assert math.isnan(found.accuracy)
    assert found.note == "Prototypes: no validation items, so its own hyper-parameters are kept"


def test_a_method_without_a_grid_is_measured_once():
    toy = few_shots()
    found = search(ZeroShot(toy.texts, toy.classes), toy.X, toy.y, toy.X_validation, toy.y_validation)
    assert found.trials == [({}, found.accuracy)]


@pytest.mark.parametrize("name", [name for name in METHODS if name != "cross_modal_probe"])
def test_validation_labels_that_are_unknown_count_as_wrong(name):
    toy = few_shots()
    model = METHODS[name](toy.texts, toy.classes)
    found = search(model, toy.X, toy.y, toy.X_validation, np.full(len(toy.X_validation), "stranger"))
    assert found.accuracy == 0


@pytest.mark.parametrize(
    ("grid", "message"),
    [
        ({"gamma": [1]}, "TipAdapter: expected a grid over some of alpha, beta, .*, found 'gamma'"),
        ({"texts": [None]}, "found 'texts'"),
        ({"alpha": []}, "grid of alpha: expected one value or more, found none"),
    ],
)
def test_grids_are_checked(grid, message):
    toy = few_shots()
    with pytest.raises(CrossModalError, match=message):
        search(TipAdapter(), toy.X, toy.y, toy.X_validation, toy.y_validation, grid)


@pytest.mark.parametrize("method", [NearestNeighbours, TipAdapter, Prototypes])
def test_bad_validation_is_one_sentence(method):
    toy = few_shots()
    broken = toy.X_validation.copy()
    broken[3, 1] = np.nan
    with pytest.raises(CrossModalError, match="NaN or infinity in row 3"):
        search(method(), toy.X, toy.y, broken, toy.y_validation)
    with pytest.raises(CrossModalError, match="n labels, found"):
        search(method(), toy.X, toy.y, toy.X_validation, toy.y_validation[1:])
    with pytest.raises(ValueError, match="11"):
        search(method(), toy.X, toy.y, toy.X_validation[:, :11], toy.y_validation)
