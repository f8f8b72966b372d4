import numpy as np
import pytest

from cross_modal.errors import CrossModalError
from cross_modal.fewshot.classifiers.gaussian_discriminant import GaussianDiscriminant
from cross_modal.fewshot.classifiers.grouped_search import (
    accuracies_of_weights,
    placed_validation,
    search_by_groups,
)


def test_points_that_share_work_are_measured_together_and_come_back_in_grid_order() -> None:
    calls = []

    def measure(common: dict, points: list[dict]) -> list[tuple[dict, float]]:
        calls.append((common, len(points)))
        return [(point, point["a"] + 10 * point["b"]) for point in points]

    trials = search_by_groups({"a": [1, 2, 3], "b": [0, 1]}, {"a"}, measure)
    assert calls == [({"b": 0}, 3), ({"b": 1}, 3)]
    assert [accuracy for _, accuracy in trials] == [1, 11, 2, 12, 3, 13]


def test_a_group_that_answers_for_too_few_points_is_an_error() -> None:
    with pytest.raises(ValueError, match="shorter"):
        search_by_groups({"a": [1, 2]}, {"a"}, lambda common, points: [])


def test_weights_are_tried_in_parts_when_there_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(0)
    first, second, truth = *generator.normal(size=(2, 50, 4)), generator.integers(0, 4, 50)
    factors = np.linspace(0, 3, 17).tolist()
    whole = accuracies_of_weights(first, second, factors, truth)
    monkeypatch.setattr("cross_modal.fewshot.classifiers.grouped_search.CELLS", 450)
    assert accuracies_of_weights(first, second, factors, truth) == whole
    assert whole == [float(((first + f * second).argmax(1) == truth).mean()) for f in factors]


def fitted() -> GaussianDiscriminant:
    return GaussianDiscriminant().fit(np.eye(3, dtype=np.float32), ["a", "b", "d"])


def test_labels_that_the_classifier_does_not_know_are_marked() -> None:
    rows, truth = placed_validation(fitted(), 2 * np.eye(3), np.array(["d", "c", "z"]))
    assert truth.tolist() == [2, -1, -1]
    assert rows.dtype == np.float32
    np.testing.assert_array_equal(rows, np.eye(3))


@pytest.mark.parametrize(
    ("X", "y", "message"),
    [
        (np.eye(2), ["a", "b"], r"expected \(n, 3\) embeddings and n labels, found \(2, 2\)"),
        (np.eye(3), ["a"], r"found \(3, 3\) and \(1,\)"),
        (np.zeros((0, 3)), [], r"found \(0, 3\)"),
        (np.full((1, 3), np.nan), ["a"], "finite"),
    ],
)
def test_bad_validation_is_refused(X: np.ndarray, y: list[str], message: str) -> None:
    with pytest.raises(CrossModalError, match=message):
        placed_validation(fitted(), X, np.array(y))
