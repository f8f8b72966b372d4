import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from toys.few_shots import few_shots, lengths_one

from cross_modal.errors import CrossModalError
from cross_modal.fewshot.classifiers import Prototypes, ZeroShot
from cross_modal.fewshot.classifiers.classifier import grid_points
from cross_modal.fewshot.search import search


def restated(toy, kappa, centre, blend, metric):
    """The formula, class by class; every class has shots and a text."""
    cosine = metric == "cosine"
    norm = lengths_one if cosine else lambda rows: rows
    X, texts, queries = norm(toy.X), norm(toy.texts), norm(toy.queries)
    means = np.stack([X[toy.y == name].mean(0) for name in toy.classes])
    if centre:
        middle, text_middle = means.mean(0), texts.mean(0)
        means, texts, queries = means - middle, norm(texts - text_middle), norm(queries - middle)
    means = norm(means)
    similar = (lambda a, b: a @ b) if cosine else (lambda a, b: -np.square(a - b).sum(-1))
    columns = []
    for p, t, name in zip(means, texts, toy.classes, strict=True):
        weight = 1.0 if kappa == math.inf else kappa / (kappa + (toy.y == name).sum())
        if blend == "embeddings":
            v = norm((weight * t + (1 - weight) * p)[None])[0]
            columns.append(similar(queries, v))
        else:
            columns.append(weight * similar(queries, t) + (1 - weight) * similar(queries, p))
    return 100 * np.stack(columns, 1)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("blend", ["embeddings", "scores"])
@pytest.mark.parametrize("centre", [False, True])
@pytest.mark.parametrize("kappa", [0.0, 0.7, 2.0, math.inf])
def test_scores_equal_the_restated_formula_with_uneven_shots(kappa, centre, blend, metric):
    toy = few_shots(shots=[1, 4, 2, 7, 3, 5])
    model = Prototypes(toy.texts, toy.classes, kappa=kappa, centre=centre, blend=blend, metric=metric)
    found = model.fit(toy.X, toy.y).scores(toy.queries)
    np.testing.assert_allclose(found, restated(toy, kappa, centre, blend, metric), rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("blend", ["embeddings", "scores"])
@pytest.mark.parametrize("centre", [False, True])
def test_kappa_0_is_pictures_alone(centre, blend):
    toy = few_shots()
    both = Prototypes(toy.texts, toy.classes, kappa=0, centre=centre, blend=blend).fit(toy.X, toy.y)
    alone = Prototypes(centre=centre).fit(toy.X, toy.y)
    np.testing.assert_allclose(both.scores(toy.queries), alone.scores(toy.queries), atol=1e-9)


@pytest.mark.parametrize("kappa", [1e9, math.inf])
def test_kappa_without_end_is_zero_shot(kappa):
    toy = few_shots()
    model = Prototypes(toy.texts, toy.classes, kappa=kappa, centre=False).fit(toy.X, toy.y)
    expected = ZeroShot(toy.texts, toy.classes).fit().scores(toy.queries)
    np.testing.assert_allclose(model.scores(toy.queries), expected, atol=1e-9)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.floats(0, 6), st.floats(0, 3))
def test_both_are_never_worse_on_validation_than_either_alone(seed, gap, text_noise):
    toy = few_shots(shots=2, gap=gap, text_noise=text_noise, noise=1.0, seed=seed)
    found = search(Prototypes(toy.texts, toy.classes), toy.X, toy.y, toy.X_validation, toy.y_validation)
    for alone in (Prototypes(centre=False), Prototypes(), ZeroShot(toy.texts, toy.classes)):
        accuracy = (alone.fit(toy.X, toy.y).predict(toy.X_validation) == toy.y_validation).mean()
        assert found.accuracy >= accuracy


def test_centring_makes_uneven_shots_fair_across_a_wide_gap():
    """A class with one shot is mostly text, and texts lie far away: without centring it wins nothing, or everything."""
    accuracies = []
    for centre in (False, True):
        right = 0.0
        for seed in range(10):
            toy = few_shots(shots=[1, 16, 1, 16, 1, 16], gap=6.0, noise=0.5, text_noise=0.5, seed=seed)
            model = Prototypes(toy.texts, toy.classes, centre=centre, kappa=2, blend="scores").fit(toy.X, toy.y)
            right += (model.predict(toy.queries) == toy.truth).mean() / 10
        accuracies.append(right)
    assert accuracies[1] > accuracies[0] + 0.1


@pytest.mark.parametrize("centre", [False, True])
@pytest.mark.parametrize("blend", ["embeddings", "scores"])
@pytest.mark.parametrize("lacking", ["shots", "text"])
def test_a_class_with_one_modality_stands_at_the_level_of_all_others(lacking, blend, centre):
    toy = few_shots(20, [4, 4, 0 if lacking == "shots" else 4, *[4] * 17], 32, noise=0.5, text_noise=0.5)
    texts = toy.texts.copy()
    if lacking == "text":
        texts[2] = np.nan
    for kappa in (0.0, 2.0, math.inf):
        model = Prototypes(texts, toy.classes, kappa=kappa, centre=centre, blend=blend).fit(toy.X, toy.y)
        found = model.predict(toy.queries)
        assert (found[toy.truth == "kind c"] == "kind c").all()
        assert (found == toy.truth).mean() > 0.9


def test_the_search_equals_fitting_each_point_anew():
    toy = few_shots(shots=[1, 4, 2, 7, 3, 5], noise=1.2)
    model = Prototypes(toy.texts, toy.classes)
    trials = model._search(toy.X, toy.y, toy.X_validation, toy.y_validation, model.grid)
    assert [point for point, _ in trials] == list(grid_points(model.grid))
    for point, accuracy in trials:
        anew = clone(model).set_params(**point).fit(toy.X, toy.y)
        assert accuracy == (anew.predict(toy.X_validation) == toy.y_validation).mean()
    assert len({accuracy for _, accuracy in trials}) > 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kappa": -1}, "expected kappa of at least 0, found -1"),
        ({"kappa": math.nan}, "expected kappa of at least 0, found nan"),
        ({"blend": "sums"}, "expected blend"),
    ],
)
def test_bad_settings_are_named(change, message):
    toy = few_shots()
    with pytest.raises(CrossModalError, match=message):
        Prototypes(**change).fit(toy.X, toy.y)
