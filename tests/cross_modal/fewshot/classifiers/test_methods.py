"""What holds of every method: the invariants of few-shot classification."""

import numpy as np
import pytest
from sklearn.base import clone
from toys.few_shots import few_shots

from cross_modal.fewshot.classifiers import METHODS

SHORT = {"cross_modal_probe": {"steps": 60}, "tip_adapter_f": {"epochs": 4}, "linear_probe_plus_plus": {"epochs": 20}}
CLOSED = [name for name, method in METHODS.items() if method.closed_form]
every_method = pytest.mark.parametrize("name", METHODS)


def build(name, toy=None, texts=True, **changed):
    texts = toy.texts if toy is not None and texts is True else texts
    arguments = {} if texts is False or texts is None else {"texts": texts}
    return METHODS[name](classes=None if toy is None else toy.classes, **arguments, **(SHORT.get(name, {}) | changed))


def close(found, expected, tolerance=1e-6):
    scale = np.abs(expected).max()
    np.testing.assert_allclose(found, expected, atol=tolerance * scale)


def test_there_are_eight():
    assert list(METHODS) == [
        "zero_shot",
        "prototypes",
        "nearest_neighbours",
        "tip_adapter",
        "tip_adapter_f",
        "cross_modal_probe",
        "gaussian_discriminant",
        "linear_probe_plus_plus",
    ]


def test_those_in_closed_form():
    assert CLOSED == ["zero_shot", "prototypes", "nearest_neighbours", "tip_adapter", "gaussian_discriminant"]


@every_method
@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("shots", [1, [1, 4, 2, 7, 3, 5], [2, 2, 0, 2, 2, 2], [3, 3, 3, 3, 3, 0], 0])
def test_any_number_of_shots_is_legal(name, shots, metric):
    toy = few_shots(shots=shots, noise=0.3, text_noise=0.3, gap=0.5)
    model = build(name, toy, metric=metric).fit(toy.X, toy.y)
    scores = model.scores(toy.queries)
    assert scores.shape == (len(toy.queries), 6)
    assert np.isfinite(scores).all()
    assert (model.predict(toy.queries) == toy.truth).mean() > 0.6


@every_method
def test_a_class_without_a_text_is_legal(name):
    toy = few_shots(noise=0.3, text_noise=0.3, gap=0.5)
    texts = toy.texts.copy()
    texts[[1, 5]] = np.nan
    model = build(name, toy, texts).fit(toy.X, toy.y)
    assert (model.predict(toy.queries) == toy.truth).mean() > 0.6


@pytest.mark.parametrize("name", [name for name, method in METHODS.items() if not method.needs_texts])
def test_without_texts_pictures_are_enough(name):
    toy = few_shots(shots=[1, 4, 2, 7, 3, 5], noise=0.3)
    model = build(name, toy, texts=None).fit(toy.X, toy.y)
    assert (model.predict(toy.queries) == toy.truth).mean() > 0.6


@every_method
def test_the_order_of_shots_and_classes_changes_nothing(name):
    toy = few_shots(shots=[1, 4, 2, 7, 3, 5])
    random = np.random.default_rng(3)
    rows, order = random.permutation(len(toy.X)), random.permutation(6)
    straight = build(name, toy).fit(toy.X, toy.y)
    shuffled = clone(straight).set_params(texts=toy.texts[order], classes=toy.classes[order])
    shuffled.fit(toy.X[rows], toy.y[rows])
    close(shuffled.scores(toy.queries), straight.scores(toy.queries))


@every_method
def test_the_names_of_classes_change_nothing(name):
    toy = few_shots(shots=[1, 4, 2, 7, 3, 5])
    renamed = dict(zip(toy.classes.tolist(), "vzxwuy", strict=True))
    straight = build(name, toy).fit(toy.X, toy.y)
    other = clone(straight).set_params(classes=[renamed[label] for label in toy.classes])
    other.fit(toy.X, [renamed[label] for label in toy.y])
    columns = [other.classes_.tolist().index(renamed[label]) for label in toy.classes]
    close(other.scores(toy.queries)[:, columns], straight.scores(toy.queries))


@every_method
def test_a_query_is_scored_alike_alone_and_in_company(name):
    toy = few_shots()
    model = build(name, toy).fit(toy.X, toy.y)
    close(np.concatenate([model.scores(row[None]) for row in toy.queries]), model.scores(toy.queries))


@every_method
def test_single_precision_says_the_same(name):
    toy, single = few_shots(), few_shots(dtype=np.float32)
    model, other = build(name, toy).fit(toy.X, toy.y), build(name, single).fit(single.X, single.y)
    assert other.scores(single.queries).dtype == np.float32
    close(other.scores(single.queries), model.scores(toy.queries), 1e-2)


@every_method
def test_the_grid_names_hyper_parameters_of_the_method(name):
    assert set(METHODS[name].grid) <= set(METHODS[name]().get_params())


@pytest.mark.parametrize("name", CLOSED)
def test_adding_shots_texts_and_classes_equals_fitting_on_all(name):
    toy = few_shots(shots=[3, 4, 2, 7, 0, 5])
    first = np.isin(toy.y, toy.classes[:3]) & (np.arange(len(toy.y)) % 2 == 0)
    known = np.isin(toy.classes, [*toy.y[first], "kind a"])
    model = build(name, toy).set_params(texts=toy.texts[known], classes=toy.classes[known])
    model.fit(toy.X[first], toy.y[first])
    model.add(toy.X[~first], toy.y[~first], texts=toy.texts[~known], classes=toy.classes[~known])
    whole = build(name, toy).fit(toy.X, toy.y)
    assert model.classes_.tolist() == whole.classes_.tolist()
    assert model.shots_.tolist() == whole.shots_.tolist()
    close(model.scores(toy.queries), whole.scores(toy.queries))


@pytest.mark.parametrize("name", CLOSED)
@pytest.mark.parametrize("gone", [["kind c"], ["kind a", "kind f"], ["kind a", "kind b", "kind c", "kind d", "kind e"]])
def test_removing_classes_equals_fitting_without_them(name, gone):
    toy = few_shots(shots=[3, 4, 2, 7, 0, 5])
    model = build(name, toy).fit(toy.X, toy.y).remove(gone)
    left, rows = ~np.isin(toy.classes, gone), ~np.isin(toy.y, gone)
    fresh = build(name, toy).set_params(texts=toy.texts[left], classes=toy.classes[left]).fit(toy.X[rows], toy.y[rows])
    assert model.classes_.tolist() == fresh.classes_.tolist()
    close(model.scores(toy.queries), fresh.scores(toy.queries))


@pytest.mark.parametrize("name", [name for name in CLOSED if name != "zero_shot"])
def test_classes_of_pictures_alone_are_added_too(name):
    toy = few_shots(shots=[3, 4, 2, 7, 1, 5])
    first = toy.y < "kind d"
    model = METHODS[name]().fit(toy.X[first], toy.y[first]).add(toy.X[~first], toy.y[~first])
    close(model.scores(toy.queries), METHODS[name]().fit(toy.X, toy.y).scores(toy.queries))


@pytest.mark.parametrize("name", CLOSED)
def test_what_was_added_can_be_removed(name):
    toy = few_shots()
    model = build(name, toy).fit(toy.X, toy.y)
    before = model.scores(toy.queries)
    model.add(toy.queries[:3], ["new"] * 3, texts=toy.texts[:1] + 1, classes=["new"]).remove(["new"])
    close(model.scores(toy.queries), before)
