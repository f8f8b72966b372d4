import numpy as np
import pytest
from toys.few_shots import few_shots, lengths_one

from cross_modal.errors import CrossModalError
from cross_modal.fewshot.classifiers import ZeroShot


def test_scores_are_scaled_cosines_to_the_texts():
    toy = few_shots()
    expected = 20 * lengths_one(toy.queries) @ lengths_one(toy.texts).T
    found = ZeroShot(toy.texts, toy.classes, scale=20).fit(toy.X, toy.y).scores(toy.queries)
    np.testing.assert_allclose(found, expected, atol=1e-9)


def test_euclidean_scores_are_squared_distances():
    toy = few_shots()
    expected = -2.0 * np.square(toy.queries[:, None] - toy.texts).sum(-1)
    found = ZeroShot(toy.texts, toy.classes, scale=2, metric="euclidean").fit().scores(toy.queries)
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_shots_have_no_say_where_every_class_has_a_text():
    toy = few_shots()
    model = ZeroShot(toy.texts, toy.classes)
    with_shots = model.fit(toy.X, toy.y).scores(toy.queries)
    np.testing.assert_array_equal(model.fit().scores(toy.queries), with_shots)


def test_a_class_without_a_text_is_known_by_its_shots():
    toy = few_shots(noise=0.3, text_noise=0.3, gap=6.0)
    texts = toy.texts.copy()
    texts[4] = np.nan
    found = ZeroShot(texts, toy.classes).fit(toy.X, toy.y).predict(toy.queries)
    assert (found == toy.truth).mean() > 0.8
    assert (found[toy.truth == "kind e"] == "kind e").all()


def test_it_cannot_do_without_texts():
    toy = few_shots()
    with pytest.raises(CrossModalError, match=r"ZeroShot: expected texts \(C, D\), one row a class, found none"):
        ZeroShot().fit(toy.X, toy.y)
