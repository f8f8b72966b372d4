"""Validation pairs: balanced, true to the classes, blind to look-alikes and forgeries, and the same every time."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cross_modal.errors import CrossModalError
from cross_modal.evaluation import EvaluationItems
from cross_modal_mlflow.sweep.validation_pairs import ValidationPairs, name_pairs, row_pairs

RANDOM = np.random.default_rng(0)


def embeddings(classes: np.ndarray, noise: float) -> np.ndarray:
    centres = np.random.default_rng(1).normal(size=(classes.max() + 1, 16))
    return (centres[classes] + noise * RANDOM.normal(size=(len(classes), 16))).astype(np.float32)


@settings(max_examples=60, deadline=None)
@given(
    classes=st.lists(st.integers(-1, 5), max_size=40),
    most=st.sampled_from([1, 3, 10_000]),
    sets=st.lists(st.integers(-1, 2), min_size=6, max_size=6),
)
def test_pairs_are_balanced_and_what_they_say(classes: list[int], most: int, sets: list[int]) -> None:
    ids = np.array(classes, np.int64)
    of = np.array([-1 if each < 0 else sets[each] for each in classes], np.int64)
    texts = np.arange(6)
    random = np.random.default_rng(0)
    for a, b, same, other, other_sets in (
        (*row_pairs(ids, of, None, most, random), ids, of),
        (*name_pairs(ids, of, texts, most, random), texts, np.array([sets[each] for each in texts])),
    ):
        assert len(a) == len(b) == len(same)
        assert same.sum() == (~same).sum() <= most
        assert (ids[a] >= 0).all()
        assert (ids[a] == other[b])[same].all()
        assert (ids[a] != other[b])[~same].all()
        known = np.isin(other[b], ids) & (of[a] >= 0)
        assert not ((of[a] == other_sets[b]) & known & ~same).any()
    a, b, same = row_pairs(ids, of, None, most, random)
    assert (a != b)[same].all()


def test_the_two_pictures_of_a_same_pair_come_from_two_groups() -> None:
    classes = np.repeat(np.arange(4), 6)
    groups = np.array(["one", "two", "three"] * 8, object)
    a, b, same = row_pairs(classes, np.full(24, -1), groups, 10_000, np.random.default_rng(0))
    assert same.sum() == 4 * 12
    assert (groups[a] != groups[b])[same].all()


def test_of_many_pairs_some_are_drawn_and_none_twice() -> None:
    classes = np.repeat(np.arange(10), 100)
    a, b, same = row_pairs(classes, np.full(1000, -1), None, 500, np.random.default_rng(0))
    assert same.sum() == 500
    assert len({(min(pair), max(pair)) for pair in zip(a[same], b[same], strict=True)}) == 500
    assert set(classes[a[same]]) == set(range(10))


def test_good_embeddings_have_no_errors_and_random_ones_half() -> None:
    classes = np.repeat(np.arange(12), 8)
    for noise, low, high in ((0.0, 0.0, 0.0), (100.0, 0.35, 0.65)):
        items = EvaluationItems(embeddings(classes, noise), classes, embeddings(np.arange(12), noise), np.arange(12))
        measured = ValidationPairs(0, "shapes")(items, "cosine")
        assert low <= measured["eer"] <= high
        assert measured["eer"] == pytest.approx((measured["eer/pictures"] + measured["eer/names"]) / 2)


def test_the_pairs_are_the_same_in_every_trial() -> None:
    classes = np.repeat(np.arange(12), 8)
    items = EvaluationItems(embeddings(classes, 1.0), classes)
    first, second, other = (ValidationPairs(seed, "shapes", most=50)(items, "euclidean") for seed in (0, 0, 1))
    assert first == second != other
    assert first.keys() == {"eer", "eer/pictures"}


def test_forgeries_take_no_part_and_texts_alone_will_do() -> None:
    classes = np.repeat(np.arange(6), 4)
    genuine = np.tile([True, True, True, False], 6)
    images = embeddings(classes, 0.0)
    images[~genuine] *= -1
    items = EvaluationItems(images, classes, genuine=genuine)
    assert ValidationPairs(0, "signatures")(items, "cosine")["eer"] == 0
    words = EvaluationItems(None, np.zeros(0, np.int64), embeddings(classes, 0.0), classes)
    assert ValidationPairs(0, "questions")(words, "cosine") == {"eer": 0.0, "eer/texts": 0.0}


def test_nothing_to_compare_is_said() -> None:
    items = EvaluationItems(np.eye(4, dtype=np.float32), np.arange(4))
    with pytest.raises(CrossModalError, match=r"^photos: expected validation items with pairs of the same class"):
        ValidationPairs(0, "photos")(items, "cosine")
