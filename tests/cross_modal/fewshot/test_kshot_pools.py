"""A split's ids lead back to the rows that they name, whatever the order of the rows."""

from dataclasses import replace

import numpy as np
import pytest
from toys.kshot_classes import sides

from cross_modal.configuration import KShotConfig
from cross_modal.errors import CrossModalError
from cross_modal.fewshot.kshot_pools import Pools
from cross_modal.fewshot.kshot_sides import LearningSide, TestSide
from cross_modal.fewshot.kshot_split import KShotSplit

CONFIG = KShotConfig(shots=[1, 2], seeds=[1, 2])


def shuffled(side, seed=0):
    order = np.random.default_rng(seed).permutation(len(side.train))
    return LearningSide(side.train[order], side.train_labels[order], texts=side.texts, classes=side.classes)


def test_there_is_a_split_of_every_k_and_seed_and_the_order_of_rows_does_not_matter():
    learning, test = sides()
    other = shuffled(learning)
    pools, others = (Pools(side, test, CONFIG) for side in (learning, other))
    drawn = pools.draw()
    assert [(split.shots, split.seed) for split in drawn] == [(1, 1), (1, 2), (2, 1), (2, 2)]
    assert others.draw() == drawn
    for split in drawn:
        for which in ("support", "validation"):
            take = {"support": lambda shots: shots.support("plain"), "validation": lambda shots: shots.validation()}[
                which
            ]
            (X, y), (X_other, y_other) = take(pools.shots(split)), take(others.shots(split))
            assert np.array_equal(X, X_other)
            assert np.array_equal(y, y_other)


def test_support_and_validation_are_different_rows_with_the_labels_of_their_class():
    learning, test = sides(classes=3)
    pools = Pools(learning, test, CONFIG)
    shots = pools.shots(pools.draw()[-1])
    assert not set(shots.support_rows.tolist()) & set(shots.validation_rows.tolist())
    assert shots.support("plain")[1].tolist() == ["kind 0"] * 2 + ["kind 1"] * 2 + ["kind 2"] * 2
    assert shots.validation()[1].tolist() == shots.support("plain")[1].tolist()


def test_validation_that_the_data_brings_is_used():
    learning, test = sides(validation=3)
    pools = Pools(learning, test, CONFIG)
    X, _ = pools.shots(pools.draw()[-1]).validation()
    assert all((learning.validation == row).all(1).any() for row in X)
    empty = Pools(sides(validation=0)[0], test, KShotConfig(shots=[1], seeds=[1], max_validation=0))
    assert empty.shots(empty.draw()[0]).validation() == (None, None)


def test_views_come_as_the_method_takes_them():
    learning, test = sides(classes=2, train=4, views=3)
    pools = Pools(learning, test, CONFIG)
    shots = pools.shots(pools.draw()[-1])
    views = learning.views[shots.support_rows].astype(np.float64)
    plain, y = shots.support("plain")
    assert np.array_equal(plain, learning.train[shots.support_rows])
    rows, row_labels = shots.support("rows")
    assert np.allclose(rows, np.concatenate(list(views)), atol=1e-6)
    assert row_labels.tolist() == [label for label in y for _ in range(3)]
    mean = np.stack([each.sum(0) / np.linalg.norm(each.sum(0)) for each in views])
    assert np.allclose(shots.support("mean")[0], mean, atol=1e-6)


def test_means_of_views_keep_their_magnitude_where_distances_are_euclidean():
    learning, test = sides(classes=2, train=4, views=3)
    pools = Pools(replace(learning, metric="euclidean"), test, CONFIG)
    shots = pools.shots(pools.draw()[-1])
    means = learning.views[shots.support_rows].astype(np.float64).mean(1)
    assert np.allclose(shots.support("mean")[0], means, atol=1e-5)


def test_without_views_every_method_gets_the_items():
    learning, test = sides()
    pools = Pools(learning, test, CONFIG)
    shots = pools.shots(pools.draw()[0])
    assert all(np.array_equal(shots.support(kind)[0], shots.support("plain")[0]) for kind in ("mean", "rows"))


def test_stored_halves_become_float32():
    learning, test = sides(views=2)
    half = LearningSide(
        learning.train.astype(np.float16), learning.train_labels, views=learning.views.astype(np.float16)
    )
    shots = Pools(half, test, CONFIG)
    shots = shots.shots(shots.draw()[0])
    assert {shots.support(kind)[0].dtype for kind in ("plain", "mean", "rows")} == {np.dtype(np.float32)}


def test_a_row_that_stands_twice_is_one_item():
    learning, test = sides(classes=2, train=3)
    again = LearningSide(np.concatenate([learning.train, learning.train]), np.concatenate([learning.train_labels] * 2))
    config = KShotConfig(shots=[3], seeds=[1], max_validation=0)
    rows = [Pools(side, test, config) for side in (learning, again)]
    assert rows[0].draw() == rows[1].draw()
    assert max(rows[1].shots(rows[1].draw()[0]).support_rows) < 6
    with pytest.raises(CrossModalError, match="found 3"):
        Pools(again, test, KShotConfig(shots=[4], seeds=[1], max_validation=0)).draw()


def test_a_test_item_on_the_learning_side_is_refused():
    learning, test = sides(ids=np.arange(72).astype(str))
    features, labels = test.reveal()
    with pytest.raises(CrossModalError, match="item '71' of class 'kind 5' is in test"):
        Pools(learning, TestSide(features, labels, ids=np.arange(71, 101)), CONFIG).draw()


def test_groups_of_the_test_items_are_left_out():
    ids, groups = np.arange(72).astype(str), np.array([f"session {row % 4}" for row in range(72)], object)
    groups[0] = None
    learning, test = sides(ids=ids, groups=groups)
    features, labels = test.reveal()
    tested = TestSide(features, labels, ids=np.arange(100, 130), groups=np.array(["session 3"] * 30))
    pools = Pools(learning, tested, CONFIG)
    for split in pools.draw():
        shots = pools.shots(split)
        support, validation = ({groups[row] for row in rows} for rows in (shots.support_rows, shots.validation_rows))
        assert "session 3" not in support | validation
        assert not (support & validation) - {None}
        assert split.dropped == 18
    with pytest.raises(CrossModalError, match="expected ids"):
        Pools(LearningSide(learning.train, learning.train_labels, groups=groups), tested, CONFIG)


def test_published_splits_are_taken_where_their_items_are_at_hand():
    learning, test = sides(classes=2, train=3, ids=np.array(["a", "b", "c", "d", "e", "f"]))
    pools = Pools(learning, test, CONFIG)
    split = KShotSplit(1, 1, {"kind 0": ["c"], "kind 1": ["d"]}, {"kind 0": ["a"], "kind 1": ["f"]})
    assert pools.published([split]) == [split]
    assert pools.shots(split).support_rows.tolist() == [2, 3]
    assert pools.shots(split).validation_rows.tolist() == [0, 5]
    for wrong in ({"kind 0": ["d"]}, {"kind 9": ["a"]}, {"kind 0": ["z"]}):
        with pytest.raises(CrossModalError, match="published split of 1 shots, seed 1: support item"):
            pools.published([KShotSplit(1, 1, wrong, {})])
    with pytest.raises(CrossModalError, match="one for each K and seed"):
        pools.published([split, split])
