"""The hardest negatives are the best of all pairs of different classes, however large the classes are."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cross_modal.audit import hardest_negatives as module
from cross_modal.audit.hardest_negatives import HardestNegatives, hardest_negatives
from cross_modal.audit.neighbourhood import neighbourhood
from cross_modal.gallery.exact_scores import exact_scores

METRICS = ["cosine", "euclidean"]


def drawn(seed: int, count: int, classes: int, metric: str, ties: bool) -> tuple[np.ndarray, np.ndarray]:
    """Rows and labels; with ties there are few distinct rows, so that many pairs score the same."""
    chance = np.random.default_rng(seed)
    vectors = chance.normal(size=(count, 5))
    if ties:
        vectors = vectors[chance.integers(max(1, count // 4), size=count)]
    if metric == "cosine":
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    labels = np.array([f"class {c}" for c in chance.integers(classes, size=count)], object)
    labels[chance.random(count) < 0.1] = None
    return vectors.astype(np.float32), labels


def by_sorting(vectors: np.ndarray, labels: np.ndarray, metric: Any, most: int) -> list[tuple[float, int, int]]:
    """All pairs of different labels, sorted; exact scores, ties by row."""
    a, b = np.triu_indices(len(vectors), 1)
    rival = np.array([None not in (labels[x], labels[y]) and labels[x] != labels[y] for x, y in zip(a, b, strict=True)])
    a, b = a[rival.astype(bool)], b[rival.astype(bool)]
    scores = exact_scores(vectors, vectors, a, b, metric)
    return sorted(zip(scores.tolist(), a.tolist(), b.tolist(), strict=True), key=lambda x: (-x[0], *x[1:]))[:most]


def listed(found: HardestNegatives) -> list[tuple[float, int, int]]:
    return list(zip(found.scores.tolist(), found.a.tolist(), found.b.tolist(), strict=True))


@pytest.mark.parametrize("metric", METRICS)
@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    count=st.integers(0, 60),
    classes=st.integers(1, 4),
    most=st.integers(1, 40),
    k=st.integers(1, 4),
    side=st.integers(1, 20),
    ties=st.booleans(),
)
def test_they_are_the_first_of_all_pairs_sorted(
    metric: Any, seed: int, count: int, classes: int, most: int, k: int, side: int, ties: bool
) -> None:
    vectors, labels = drawn(seed, count, classes, metric, ties)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_SIDE", side)
        found = hardest_negatives(vectors, neighbourhood(vectors, labels, metric, k=k), metric, most)
    assert listed(found) == by_sorting(vectors, labels, metric, most)
    for row, own in zip(found.a.tolist(), found.own.tolist(), strict=True):
        mates = np.array([other for other in range(count) if other != row and labels[other] == labels[row]], np.int64)
        scores = exact_scores(vectors, vectors, np.full(len(mates), row), mates, metric)
        assert own == scores.max(initial=-np.inf)


@pytest.mark.parametrize("metric", METRICS)
def test_classes_of_more_items_than_neighbours_hide_none(metric: Any) -> None:
    chance = np.random.default_rng(0)
    vectors = np.repeat(np.eye(8)[:3], 40, 0) + 0.02 * chance.normal(size=(120, 8))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    labels = np.repeat(["a", "b", "c"], 40).astype(object)
    around = neighbourhood(vectors, labels, metric)
    assert (around.neighbour_labels == around.labels[:, None]).all()  # nobody sees another class
    found = hardest_negatives(vectors, around, metric)
    assert listed(found) == by_sorting(vectors, labels, metric, module.MOST)
    assert not found.is_hard.any()


def test_a_planted_pair_comes_first_and_the_order_of_the_rows_changes_no_pair() -> None:
    chance = np.random.default_rng(3)
    vectors, labels = drawn(3, 80, 4, "cosine", ties=False)
    labels[[10, 70]] = ["cat", "dog"]
    vectors[70] = vectors[10]
    straight = hardest_negatives(vectors, neighbourhood(vectors, labels, "cosine"), "cosine", 25)
    assert (straight.a[0], straight.b[0]) == (10, 70)
    order = chance.permutation(80)
    mixed = hardest_negatives(vectors[order], neighbourhood(vectors[order], labels[order], "cosine"), "cosine", 25)
    assert {frozenset(pair) for pair in zip(order[mixed.a], order[mixed.b], strict=True)} == {
        frozenset(pair) for pair in zip(straight.a, straight.b, strict=True)
    }


def test_it_says_how_far_it_is_and_ends_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_SIDE", 7)
    vectors, labels = drawn(1, 40, 3, "cosine", ties=False)
    around, told = neighbourhood(vectors, labels, "cosine"), []
    hardest_negatives(vectors, around, "cosine", progress=lambda done, todo: told.append((done, todo)))
    assert [done for done, _ in told] == sorted({done for done, _ in told})
    assert told[-1][0] == told[-1][1] == len(around.rows) * (len(around.rows) - 1) // 2


@pytest.mark.parametrize("count", [0, 1, 5])
def test_one_class_or_none_has_no_negatives(count: int) -> None:
    vectors = np.tile(np.eye(4, dtype=np.float32)[:1], (count, 1))
    found = hardest_negatives(vectors, neighbourhood(vectors, np.array(["a"] * count, object), "cosine"), "cosine")
    assert len(found) == 0
