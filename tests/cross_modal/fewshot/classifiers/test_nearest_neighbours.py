import numpy as np
import pytest
from toys.few_shots import few_shots, lengths_one

from cross_modal.errors import CrossModalError
from cross_modal.fewshot.classifiers import NearestNeighbours, nearest_neighbours


def restated(toy, k):
    """Mean of the k largest cosines of each class, one class and one query at a time."""
    X, queries = lengths_one(toy.X), lengths_one(toy.queries)
    return np.array([[np.sort(X[toy.y == name] @ query)[::-1][:k].mean() for name in toy.classes] for query in queries])


@pytest.mark.parametrize("k", [1, 2, 3, 9])
def test_scores_equal_the_restated_formula_with_uneven_shots(k):
    toy = few_shots(shots=[1, 4, 2, 7, 3, 5])
    found = NearestNeighbours(neighbours=k).fit(toy.X, toy.y).scores(toy.queries)
    np.testing.assert_allclose(found, 100 * restated(toy, k), atol=1e-9)


@pytest.mark.parametrize("k", [1, 3])
def test_euclidean_scores_are_squared_distances(k):
    toy = few_shots(shots=3)
    distances = np.square(toy.queries[:, None, None] - toy.X.reshape(6, 3, -1)).sum(-1)
    expected = -np.sort(distances, axis=-1)[..., :k].mean(-1)
    found = NearestNeighbours(neighbours=k, scale=1, metric="euclidean").fit(toy.X, toy.y).scores(toy.queries)
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_chunks_of_queries_change_nothing(monkeypatch):
    toy = few_shots()
    model = NearestNeighbours(neighbours=2).fit(toy.X, toy.y)
    whole = model.scores(toy.queries)
    monkeypatch.setattr(nearest_neighbours, "CELLS", 50)
    np.testing.assert_allclose(model.scores(toy.queries), whole, atol=1e-9)


def test_texts_have_no_say_where_there_are_shots():
    toy = few_shots()
    np.testing.assert_array_equal(
        NearestNeighbours(toy.texts, toy.classes).fit(toy.X, toy.y).scores(toy.queries),
        NearestNeighbours().fit(toy.X, toy.y).scores(toy.queries),
    )


def test_a_class_without_shots_falls_back_to_its_text_across_the_gap():
    toy = few_shots(20, [4, 4, 0, *[4] * 17], 32, noise=0.5, text_noise=0.5)
    found = NearestNeighbours(toy.texts, toy.classes).fit(toy.X, toy.y).predict(toy.queries)
    assert (found[toy.truth == "kind c"] == "kind c").all()
    assert (found == toy.truth).mean() > 0.9


def test_texts_alone_are_compared_as_they_are():
    toy = few_shots()
    found = NearestNeighbours(toy.texts, toy.classes, neighbours=3).fit().scores(toy.queries)
    np.testing.assert_allclose(found, 100 * lengths_one(toy.queries) @ lengths_one(toy.texts).T, atol=1e-9)


@pytest.mark.parametrize("neighbours", [0, -1, 1.5, True])
def test_it_needs_a_whole_number_of_neighbours(neighbours):
    toy = few_shots()
    with pytest.raises(CrossModalError, match="expected 1 neighbour or more"):
        NearestNeighbours(neighbours=neighbours).fit(toy.X, toy.y)
