"""Pairs made of classes: balanced, every class reached, hard where something hard is known, fair to look-alikes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toys.shapes import shapes

from cross_modal.configuration import TermWeights
from cross_modal.data.class_pairs import ClassPairs
from cross_modal.data.items import Items
from cross_modal.data.one_sided import one_sided
from cross_modal.errors import CrossModalError
from cross_modal.pair_configuration import PairBatchConfig


def words(sizes: list[int], **columns: list[object]) -> Items:
    """Classes c0, c1, … of so many texts each."""
    labels = [f"c{number}" for number, size in enumerate(sizes) for _ in range(size)]
    return Items.of(texts=[f"text {number}" for number in range(len(labels))], labels=labels, **columns)


def test_half_of_the_pairs_are_same_and_the_verdicts_are_true() -> None:
    items = one_sided(shapes().split("train"))
    pairs = ClassPairs(items, PairBatchConfig(pairs=40), seed=0)
    for step in range(20):
        drawn = pairs.batch(step)
        assert (drawn.same == (items.class_ids[drawn.a] == items.class_ids[drawn.b])).all()
        assert (drawn.a != drawn.b).all()
        assert 15 <= drawn.same.sum() <= 20
        assert 15 <= (~drawn.same).sum() <= 20


def test_every_class_and_every_item_is_reached() -> None:
    items = words([2, 3, 7, 30, 2, 5])
    pairs = ClassPairs(items, PairBatchConfig(pairs=12), seed=1)
    steps = [pairs.batch(step) for step in range(40)]
    same = {int(row) for drawn in steps for row in np.concatenate([drawn.a[drawn.same], drawn.b[drawn.same]])}
    anchors = {int(items.class_ids[row]) for drawn in steps[:2] for row in drawn.a[~drawn.same]}
    assert same == set(range(len(items)))
    assert anchors == set(range(6))


def test_large_classes_are_drawn_no_more_often_than_small_ones() -> None:
    items = words([2, 100, 2, 2])
    pairs = ClassPairs(items, PairBatchConfig(pairs=4), seed=0)
    drawn = [items.class_ids[pairs.batch(step).a[0]] for step in range(200)]
    assert max(np.bincount(drawn)) <= 60


def test_the_terms_say_which_modalities_meet() -> None:
    items = one_sided(shapes().split("train"))
    pairs = ClassPairs(items, PairBatchConfig(pairs=40), 0, terms=TermWeights(1, 1, 2, 0))
    across = [(items.has_image[drawn.a] != items.has_image[drawn.b]).mean() for drawn in map(pairs.batch, range(20))]
    assert np.mean(across) == pytest.approx(0.5, abs=0.06)
    only = ClassPairs(items, PairBatchConfig(pairs=40), 0, terms=TermWeights(0, 0, 1, 0))
    assert only.kinds == [("image", "image")]
    every = ClassPairs(items, PairBatchConfig(pairs=40), 0)
    assert ("text", "text") not in every.kinds  # a class has one name: two names would always be different
    alone = ClassPairs(one_sided(shapes(), image=True, text=False), PairBatchConfig(), 0, terms=TermWeights(1, 1, 0, 0))
    assert alone.kinds == [("image", "image")]  # what the data have


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 5), min_size=2, max_size=8), st.integers(2, 30), st.integers(0, 5))
def test_a_step_is_a_function_of_its_number(sizes: list[int], pairs: int, seed: int) -> None:
    if max(sizes) < 2:
        return
    one, other = (ClassPairs(words(sizes), PairBatchConfig(pairs=pairs), seed) for _ in range(2))
    forwards, backwards = [one.batch(s) for s in range(5)], [other.batch(s) for s in reversed(range(5))][::-1]
    assert all((x == y).all() for a, b in zip(forwards, backwards, strict=True) for x, y in zip(a, b, strict=True))


def test_skilled_forgeries_are_the_hard_negatives_of_their_writer() -> None:
    genuine = [True, True, False] * 4
    items = words([3, 3, 3, 3], genuine=genuine)
    pairs = ClassPairs(items, PairBatchConfig(pairs=16), seed=0, hard=0.5)
    truth = np.array(genuine)
    seen = set()
    for drawn in map(pairs.batch, range(10)):
        assert truth[drawn.a].all()
        assert not truth[drawn.b[drawn.hard]].any()
        assert (items.class_ids[drawn.a[drawn.hard]] == items.class_ids[drawn.b[drawn.hard]]).all()
        assert not drawn.same[drawn.hard].any()
        assert truth[np.concatenate([drawn.a[drawn.same], drawn.b[drawn.same]])].all()  # no forgery is ever a positive
        seen |= set(drawn.b[drawn.hard].tolist())
    assert seen == set(np.flatnonzero(~truth).tolist())


def test_one_writer_with_forgeries_is_enough() -> None:
    items = words([4], genuine=[True, True, False, False])
    drawn = ClassPairs(items, PairBatchConfig(pairs=4), seed=0).batch(0)
    assert (drawn.same == (items.genuine[drawn.a] & items.genuine[drawn.b])).all()


def test_near_classes_are_the_hard_negatives_once_they_are_known() -> None:
    items = words([3] * 10)
    pairs = ClassPairs(items, PairBatchConfig(pairs=40), seed=0, hard=0.5)
    assert not pairs.batch(0).hard.any()
    pairs.near = {("text", "text"): {rank: np.array([(rank + 1) % 10]) for rank in range(10)}}
    drawn = pairs.batch(0)
    ids = items.class_ids
    assert 5 <= drawn.hard.sum() <= 10
    assert ((ids[drawn.a[drawn.hard]] + 1) % 10 == ids[drawn.b[drawn.hard]]).all()


def test_look_alikes_never_make_a_different_pair() -> None:
    items = words([2, 2, 2], sets=["o", "o", "o", "o", None, None])
    pairs = ClassPairs(items, PairBatchConfig(pairs=20), seed=0)
    for drawn in map(pairs.batch, range(10)):
        classes = items.class_ids[drawn.a[~drawn.same]], items.class_ids[drawn.b[~drawn.same]]
        assert ((classes[0] == 2) ^ (classes[1] == 2)).all()


def test_a_turned_picture_is_of_another_class_but_never_its_negative() -> None:
    items = one_sided(shapes().split("train"), text=False)
    pairs = ClassPairs(items, PairBatchConfig(pairs=60), seed=0, turns=4)
    count = len(items)
    turns = set()
    for drawn in map(pairs.batch, range(10)):
        turned = drawn.a // count, drawn.b // count
        base = items.class_ids[drawn.a % count] == items.class_ids[drawn.b % count]
        assert (base == drawn.same).all()
        assert (turned[0] == turned[1])[drawn.same].all()
        turns |= set(turned[0].tolist())
    assert turns == {0, 1, 2, 3}


def test_a_sample_reaches_every_class_in_time() -> None:
    items = words([6] * 10)
    pairs = ClassPairs(items, PairBatchConfig(), seed=0)
    seen: set[int] = set()
    for number in range(3):
        rows, ranks = pairs.sample(number, 4)["text"]
        assert (items.class_ids[rows] == ranks).all()
        assert len(set(ranks.tolist())) == 4
        assert np.bincount(ranks).max() == 4
        seen |= set(ranks.tolist())
    assert len(seen) == 10


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ([5], "memory: expected two classes, or forgeries to make different pairs of, found 5 .* of 1 classes"),
        ([1, 1], "memory: expected a class with two items to make same pairs of"),
    ],
)
def test_classes_that_make_no_pairs(sizes: list[int], message: str) -> None:
    with pytest.raises(CrossModalError, match=message):
        ClassPairs(words(sizes), PairBatchConfig(), seed=0)
    with pytest.raises(CrossModalError, match=r"pairs\.batch\.pairs: expected at least 2, one of either verdict"):
        ClassPairs(words([2, 2]), PairBatchConfig(pairs=1), seed=0)
    with pytest.raises(CrossModalError, match=r"pairs\.hard_negatives: expected a share from 0 to 1, found 2"):
        ClassPairs(words([2, 2]), PairBatchConfig(), seed=0, hard=2)
