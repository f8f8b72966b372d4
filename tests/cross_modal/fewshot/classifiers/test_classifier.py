"""What all few-shot classifiers share, seen through prototypes and names."""

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError
from toys.few_shots import few_shots, lengths_one

from cross_modal.errors import CrossModalError
from cross_modal.fewshot.classifiers import CrossModalProbe, Prototypes, TipAdapter, ZeroShot
from cross_modal.fewshot.classifiers.classifier import grid_points


def test_fitting_says_what_was_learned_from():
    toy = few_shots(shots=[3, 1, 2, 4, 1, 5])
    texts = toy.texts.copy()
    texts[2] = np.nan
    model = Prototypes(texts, toy.classes).fit(toy.X, toy.y)
    assert model.classes_.tolist() == toy.classes.tolist()
    assert model.shots_.tolist() == [3, 1, 2, 4, 1, 5]
    assert model.n_features_in_ == toy.X.shape[1]
    assert (model.temperature_, model.threshold_) == (1.0, None)
    np.testing.assert_allclose(model.support_, lengths_one(toy.X))
    np.testing.assert_array_equal(model.classes_[model.support_classes_], toy.y)
    assert np.isnan(model.texts_[2]).all()
    np.testing.assert_allclose(model.texts_[[0, 1, 3, 4, 5]], lengths_one(texts[[0, 1, 3, 4, 5]]))


def test_parameters_are_stored_untouched():
    toy = few_shots()
    model = Prototypes(toy.texts, toy.classes.tolist()).fit(toy.X, toy.y)
    assert model.texts is toy.texts
    assert model.get_params()["classes"] == toy.classes.tolist()


def test_euclidean_distance_keeps_lengths():
    toy = few_shots()
    model = Prototypes(toy.texts, toy.classes, metric="euclidean").fit(toy.X, toy.y)
    np.testing.assert_array_equal(model.support_, toy.X)
    np.testing.assert_array_equal(model.texts_, toy.texts)


def test_texts_follow_the_classes_that_they_are_given_for():
    toy = few_shots()
    order = np.random.default_rng(1).permutation(len(toy.classes))
    straight = Prototypes(toy.texts, toy.classes).fit(toy.X, toy.y)
    shuffled = Prototypes(toy.texts[order], toy.classes[order]).fit(toy.X, toy.y)
    np.testing.assert_array_equal(shuffled.classes_, straight.classes_)
    np.testing.assert_allclose(shuffled.scores(toy.queries), straight.scores(toy.queries), atol=1e-9)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_scores_keep_the_dtype_of_the_input(dtype):
    toy = few_shots(dtype=dtype)
    assert Prototypes(toy.texts, toy.classes).fit(toy.X, toy.y).scores(toy.queries).dtype == dtype


def test_probabilities_are_the_softmax_of_scores_over_the_temperature():
    toy = few_shots()
    model = Prototypes(scale=3.0).fit(toy.X, toy.y)
    model.temperature_ = 2.0
    expected = np.exp(model.scores(toy.queries) / 2)
    np.testing.assert_allclose(model.predict_proba(toy.queries), expected / expected.sum(1, keepdims=True), rtol=1e-9)


def test_probabilities_do_not_overflow():
    toy = few_shots()
    proba = Prototypes(scale=1e6).fit(toy.X, toy.y).predict_proba(toy.queries)
    np.testing.assert_allclose(proba.sum(1), 1)


def test_two_classes_have_one_column_of_decisions():
    toy = few_shots(classes=2)
    model = Prototypes().fit(toy.X, toy.y)
    decision = model.decision_function(toy.queries)
    assert decision.shape == (len(toy.queries),)
    np.testing.assert_array_equal(model.predict(toy.queries), model.classes_[(decision > 0).astype(int)])


@pytest.mark.parametrize("method", [Prototypes, TipAdapter, ZeroShot])
def test_texts_alone_need_no_support(method):
    toy = few_shots()
    expected = lengths_one(toy.queries) @ lengths_one(toy.texts).T
    nothing = np.zeros((0, toy.X.shape[1]))
    for model in (
        method(toy.texts, toy.classes).fit(),
        method(toy.texts, toy.classes).fit(nothing, toy.y[:0]),
    ):
        np.testing.assert_allclose(model.scores(toy.queries), 100 * expected, atol=1e-9)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"metric": "manhattan"}, 'expected "cosine" or "euclidean", found \'manhattan\''),
        ({"classes": ["kind a", "kind b"], "texts": None}, "expected labels among its classes, found 'kind c'"),
        ({"classes": ["kind a"] * 6}, "that differ"),
        ({"texts": np.ones((5, 12))}, "expected 6 texts, one a class, found 5"),
        ({"texts": np.ones((6, 11))}, r"expected texts \(C, 12\) of floats, found float64 \(6, 11\)"),
        ({"texts": np.ones((6, 12), int)}, "of floats, found int64"),
        (
            {"texts": np.where(np.eye(6, 12), np.nan, 1.0)},
            "text of class 'kind a': expected finite numbers or all NaN",
        ),
        (
            {"classes": [*(f"kind {letter}" for letter in "abcdef"), "kind z"], "texts": None},
            "'kind z': .*found neither",
        ),
    ],
)
def test_bad_settings_are_named(change, message):
    toy = few_shots()
    arguments = {"texts": toy.texts, "classes": toy.classes} | change
    with pytest.raises(CrossModalError, match=message) as raised:
        Prototypes(**arguments).fit(toy.X, toy.y)
    assert "\n" not in str(raised.value)


def test_a_class_with_neither_shot_nor_text_is_named():
    toy = few_shots(shots=[2, 2, 0, 2, 2, 2])
    texts = toy.texts.copy()
    texts[2] = np.nan
    with pytest.raises(CrossModalError, match=r"class 'kind c': expected a shot or a text, found neither"):
        Prototypes(texts, toy.classes).fit(toy.X, toy.y)


def test_texts_without_classes_must_match_the_labels():
    toy = few_shots(shots=[2, 2, 2, 2, 2, 0])
    with pytest.raises(CrossModalError, match="expected 5 texts, one a class, found 6; classes=… says"):
        Prototypes(toy.texts).fit(toy.X, toy.y)


def test_numbers_that_are_no_classes_are_refused():
    with pytest.raises(ValueError, match="Unknown label type"):
        Prototypes().fit(np.eye(3), [0.1, 0.2, 0.7])


def test_one_shot_a_class_raises_no_warning(recwarn):
    toy = few_shots(shots=1)
    Prototypes().fit(toy.X, np.arange(6))
    assert not recwarn.list


def test_scores_come_after_fitting():
    for name in ("scores", "predict", "predict_proba", "decision_function"):
        with pytest.raises(NotFittedError):
            getattr(Prototypes(), name)(np.eye(3))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_queries_and_support_must_be_finite(bad):
    toy = few_shots()
    broken = toy.X.copy()
    broken[1, 2] = bad
    with pytest.raises(ValueError, match=r"NaN|infinity"):
        Prototypes().fit(broken, toy.y)
    with pytest.raises(ValueError, match=r"NaN|infinity"):
        Prototypes().fit(toy.X, toy.y).scores(broken)


def test_queries_of_another_width_are_refused():
    toy = few_shots()
    with pytest.raises(ValueError, match="11 features"):
        Prototypes().fit(toy.X, toy.y).scores(toy.queries[:, :11])


def test_what_is_added_is_forgotten_by_the_calibration():
    toy = few_shots()
    model = Prototypes().fit(toy.X, toy.y)
    model.temperature_, model.threshold_ = 3.0, 0.5
    model.add(toy.X[:1] + 1, ["new"])
    assert (model.temperature_, model.threshold_) == (1.0, None)
    model.temperature_, model.threshold_ = 3.0, 0.5
    model.remove(["new"])
    assert (model.temperature_, model.threshold_) == (1.0, None)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"X": np.ones((1, 12)), "y": [7]}, "expected labels like 'kind a', found 7"),
        ({"X": np.ones((2, 12)), "y": ["x"]}, "expected 2 labels, one an embedding, found 1"),
        ({"X": None, "y": ["x"]}, "expected 0 labels"),
        ({"texts": np.ones((1, 12))}, r"expected texts \(0, 12\)"),
        ({"classes": ["x"]}, r"expected texts \(1, 12\)"),
        ({"classes": ["x", "x"], "texts": np.ones((2, 12))}, r"expected texts \(1, 12\)"),
        ({"classes": ["x"], "texts": np.full((1, 12), np.nan)}, "class 'x': .*found neither"),
        ({"classes": ["x"], "texts": np.where(np.eye(1, 12), np.nan, 1)}, "text of class 'x': .*all NaN"),
    ],
)
def test_a_refused_addition_changes_nothing(arguments, message):
    toy = few_shots()
    model = Prototypes(toy.texts, toy.classes).fit(toy.X, toy.y)
    before = model.scores(toy.queries)
    with pytest.raises(CrossModalError, match=message):
        model.add(**arguments)
    assert model.classes_.tolist() == toy.classes.tolist()
    np.testing.assert_array_equal(model.scores(toy.queries), before)


def test_removing_needs_known_classes_and_leaves_one():
    toy = few_shots()
    model = Prototypes().fit(toy.X, toy.y)
    with pytest.raises(CrossModalError, match="expected classes that it knows, found 'kind z'"):
        model.remove(["kind z"])
    with pytest.raises(CrossModalError, match="at least one class to be left"):
        model.remove(toy.classes)


def test_methods_that_are_trained_cannot_be_added_to():
    toy = few_shots()
    model = CrossModalProbe(steps=2).fit(toy.X, toy.y)
    with pytest.raises(CrossModalError, match="CrossModalProbe: cannot add to it without refitting"):
        model.add(toy.X, toy.y)
    with pytest.raises(CrossModalError, match="cannot remove from it without refitting"):
        model.remove(toy.classes[:1])


def test_a_text_can_come_later():
    toy = few_shots()
    model = ZeroShot(toy.texts, toy.classes).fit()
    model.add(texts=-toy.texts[:1], classes=toy.classes[:1])
    np.testing.assert_allclose(model.texts_[0], -lengths_one(toy.texts[:1])[0])


def test_the_last_name_of_a_grid_runs_fastest():
    assert list(grid_points({"b": (1, 2), "a": (3, 4)})) == [
        {"b": 1, "a": 3},
        {"b": 1, "a": 4},
        {"b": 2, "a": 3},
        {"b": 2, "a": 4},
    ]
