"""What the audit finds where the faults were planted by hand; answers against plain loops."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cross_modal.audit.confusable_classes import confusable_classes
from cross_modal.audit.hardest_negatives import hardest_names, hardest_negatives
from cross_modal.audit.mislabelled import mislabelled
from cross_modal.audit.neighbourhood import neighbourhood
from cross_modal.errors import CrossModalError

METRICS = ["cosine", "euclidean"]


def clouds(classes: int = 6, each: int = 12, dim: int = 16, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors in well separated classes, and their labels."""
    chance = np.random.default_rng(seed)
    centres = np.linalg.qr(chance.normal(size=(dim, dim)))[0][:classes]
    vectors = np.repeat(centres, each, 0) + 0.05 * chance.normal(size=(classes * each, dim))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors.astype(np.float32), np.repeat([f"class {c}" for c in range(classes)], each).astype(object)


def score(a: np.ndarray, b: np.ndarray, metric: str) -> float:
    return float(a @ b) if metric == "cosine" else -float(np.linalg.norm(a - b))


@pytest.mark.parametrize("metric", METRICS)
@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), count=st.integers(2, 30), k=st.integers(1, 6))
def test_neighbours_are_those_of_a_plain_sort_and_never_the_row_itself(
    metric: Any, seed: int, count: int, k: int
) -> None:
    chance = np.random.default_rng(seed)
    vectors = chance.normal(size=(count, 4)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    labels = np.array([None if drawn == 3 else "abc"[drawn] for drawn in chance.integers(4, size=count)], object)
    found = neighbourhood(vectors, labels, metric, k=k)
    assert found.rows.tolist() == [row for row in range(count) if labels[row] is not None]
    for place, row in enumerate(found.rows.tolist()):
        others = [other for other in found.rows.tolist() if other != row]
        best = sorted((score(vectors[row], vectors[other], metric) for other in others), reverse=True)[:k]
        there = found.neighbours[place] >= 0
        assert there.sum() == len(best)
        assert found.scores[place][there].tolist() == pytest.approx(best, abs=1e-5)
        assert row not in found.rows[found.neighbours[place][there]].tolist()


def test_equal_rows_do_not_become_their_own_neighbours() -> None:
    vectors = np.tile(np.array([[1.0, 0.0]], np.float32), (20, 1))
    found = neighbourhood(vectors, np.array(["a"] * 20, object), "cosine", k=3)
    assert (found.neighbours != np.arange(20)[:, None]).all()


@pytest.mark.parametrize("metric", METRICS)
def test_planted_mislabels_are_found_first_and_get_their_true_labels_back(metric: Any) -> None:
    vectors, labels = clouds()
    wrong = {3: "class 4", 17: "class 0", 50: "class 1"}
    truth = {row: labels[row] for row in wrong}
    for row, label in wrong.items():
        labels[row] = label
    found = mislabelled(neighbourhood(vectors, labels, metric))
    assert sorted(found.rows[:3].tolist()) == sorted(wrong)
    assert dict(zip(found.rows[:3].tolist(), found.suggested[:3].tolist(), strict=True)) == truth
    assert (found.suspicion[:-1] >= found.suspicion[1:]).all()
    for row, witness, suggested in zip(found.rows[:3], found.witness[:3], found.suggested[:3], strict=True):
        assert labels[witness] == suggested
        assert row != witness


def test_clean_labels_raise_no_suspicion_and_a_class_of_one_is_not_judged() -> None:
    vectors, labels = clouds()
    assert len(mislabelled(neighbourhood(vectors, labels, "cosine"))) == 0
    labels[5] = "the only one"
    assert 5 not in mislabelled(neighbourhood(vectors, labels, "cosine")).rows


def test_the_order_of_the_rows_changes_no_suspect() -> None:
    vectors, labels = clouds()
    labels[[3, 17]] = ["class 4", "class 0"]
    order = np.random.default_rng(1).permutation(len(vectors))
    straight = mislabelled(neighbourhood(vectors, labels, "cosine"))
    mixed = mislabelled(neighbourhood(vectors[order], labels[order], "cosine"))
    assert sorted(order[mixed.rows].tolist()) == sorted(straight.rows.tolist())


@pytest.mark.parametrize("metric", METRICS)
def test_two_classes_in_one_cloud_are_the_most_confused(metric: Any) -> None:
    vectors, labels = clouds(each=12)
    labels[:12] = ["left", "right"] * 6
    found = confusable_classes(vectors, neighbourhood(vectors, labels, metric), metric)
    assert (found.a[0], found.b[0]) == ("left", "right")
    nearest = [
        max((other for other in range(len(vectors)) if other != row),
            key=lambda other: score(vectors[row], vectors[other], metric))
        for row in range(12)
    ]  # fmt: skip
    assert found.confusions[0] == sum(labels[row] != labels[other] for row, other in enumerate(nearest))
    assert found.items[0] == 12
    assert (labels[found.row_a[0]], labels[found.row_b[0]]) == ("left", "right")
    assert found.confusions[1:].sum() == 0
    prototypes = [vectors[labels == name].mean(0) for name in ("left", "right")]
    if metric == "cosine":
        prototypes = [each / np.linalg.norm(each) for each in prototypes]
    assert found.score[0] == pytest.approx(score(*prototypes, metric), abs=1e-5)


@pytest.mark.parametrize("metric", METRICS)
def test_the_hardest_negatives_are_the_most_alike_pairs_of_different_labels(metric: Any) -> None:
    vectors, labels = clouds(classes=3, each=5)
    found = hardest_negatives(vectors, neighbourhood(vectors, labels, metric, k=2), metric, most=7)
    every = sorted(
        (
            (score(vectors[a], vectors[b], metric), a, b)
            for a in range(len(vectors))
            for b in range(a + 1, len(vectors))
            if labels[a] != labels[b]
        ),
        reverse=True,
    )
    assert found.scores.tolist() == pytest.approx([value for value, _, _ in every[:7]], abs=1e-5)
    assert {(a, b) for a, b in zip(found.a.tolist(), found.b.tolist(), strict=True)} == {
        (a, b) for _, a, b in every[:7]
    }
    assert not found.is_hard.any()


def test_a_picture_beside_another_classes_name_is_found_and_a_class_without_a_name_is_left_out() -> None:
    vectors = np.array([[1, 0], [0.9, 0.436], [0, 1], [1, 0], [0, 1]], np.float32)
    labels = np.array(["cat", "dog", "bird", "cat", "dog"], object)
    found = hardest_names(vectors, labels, np.array([0, 1, 2]), np.array([3, 4]), "cosine")
    assert (found.a.tolist(), found.b.tolist()) == ([1], [3])
    assert found.own[0] == pytest.approx(0.436, abs=1e-3)


def test_nothing_to_look_at_gives_nothing() -> None:
    nothing = neighbourhood(np.zeros((0, 4), np.float32), np.zeros(0, object), "cosine")
    assert len(mislabelled(nothing)) == 0
    none = np.zeros(0, np.int64)
    assert len(hardest_names(np.zeros((0, 4), np.float32), np.zeros(0, object), none, none, "cosine")) == 0


def test_bad_sizes_are_refused() -> None:
    with pytest.raises(CrossModalError, match="expected k of at least 1, found 0"):
        neighbourhood(np.eye(2, dtype=np.float32), np.array(["a", "b"], object), "cosine", k=0)
    with pytest.raises(CrossModalError, match="expected 2 labels, found 1"):
        neighbourhood(np.eye(2, dtype=np.float32), np.array(["a"], object), "cosine")
