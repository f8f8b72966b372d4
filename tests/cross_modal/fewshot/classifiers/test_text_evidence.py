import numpy as np
from toys.clouds import clouds, unit

from cross_modal.fewshot.classifiers.gaussian_discriminant import GaussianDiscriminant
from cross_modal.fewshot.classifiers.text_evidence import text_scores, texts_as_shots


def test_euclidean_scores_are_minus_squared_distances() -> None:
    toy = clouds([3, 4], 6)
    expected = -np.square(toy.X[:, None] - toy.texts).sum(-1)
    np.testing.assert_allclose(text_scores(toy.X, toy.texts, "euclidean"), expected)


def test_an_item_that_is_its_text_is_never_nearer_than_zero() -> None:
    rows = np.full((1, 3), 1e4, np.float32) + np.float32(0.1)
    assert text_scores(rows, rows, "euclidean").max() <= 0


def test_a_text_is_moved_by_the_gap_between_the_modalities() -> None:
    toy = clouds([3, 0, 2], 6)
    model = GaussianDiscriminant(toy.texts, np.arange(3), metric="euclidean").fit(toy.X, toy.y)
    alone, rows = texts_as_shots(model)
    gap = np.mean([toy.X[toy.y == label].mean(0) - toy.texts[label] for label in (0, 2)], axis=0)
    assert alone.tolist() == [1]
    np.testing.assert_allclose(rows, toy.texts[[1]] + gap)


def test_a_moved_text_has_length_one_for_cosine() -> None:
    toy = clouds([3, 0, 2], 6)
    _, rows = texts_as_shots(GaussianDiscriminant(toy.texts, np.arange(3)).fit(toy.X, toy.y))
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1)


def test_without_a_class_of_both_the_text_stays_where_it_is() -> None:
    toy = clouds([3, 0], 6)
    texts = toy.texts.copy()
    texts[0] = np.nan
    _, rows = texts_as_shots(GaussianDiscriminant(texts, np.arange(2)).fit(toy.X, toy.y))
    np.testing.assert_allclose(rows, unit(toy.texts[[1]]))


def test_nothing_stands_in_where_there_is_no_shot_at_all() -> None:
    toy = clouds([1, 1], 6)
    alone, rows = texts_as_shots(GaussianDiscriminant(toy.texts, np.arange(2)).fit())
    assert len(alone) == len(rows) == 0
