"""Balanced batches: every class, no imbalance, a function of the step, disjoint slices."""

import numpy as np
import pytest

from cross_modal.configuration import BatchConfig
from cross_modal.data.batches import BalancedBatches
from cross_modal.data.items import Items
from cross_modal.errors import CrossModalError

RNG = np.random.default_rng(0)
SIZES = [1, 2, 3, 50, 7, 200, 4, 4, 9, 30, 12]  # rows of each of eleven classes
CLASS_IDS = np.repeat(np.arange(len(SIZES)) * 10, SIZES)  # ids need not be consecutive
TEXTS = [f"name {identity}" for identity in CLASS_IDS]
PICTURED = np.ones(len(CLASS_IDS), bool)


def batches(classes: int = 4, items: int = 2, seed: int = 0, **options: object) -> BalancedBatches:
    return BalancedBatches(CLASS_IDS, PICTURED, TEXTS, BatchConfig(classes, items), seed, **options)


def test_a_batch_is_p_classes_of_k_pictures_and_one_row_per_distinct_text():
    for step in range(50):
        batch = batches().batch(step)
        assert len(set(batch.classes.tolist())) == len(batch.classes) == 4
        assert len(set(batch.images.tolist())) == len(batch.images)
        shown, counts = np.unique(CLASS_IDS[batch.images], return_counts=True)
        assert shown.tolist() == sorted(batch.classes.tolist())
        sizes = {10 * rank: min(size, 2) for rank, size in enumerate(SIZES)}
        assert counts.tolist() == [sizes[identity] for identity in shown.tolist()]
        assert CLASS_IDS[batch.texts].tolist() == batch.classes.tolist()


def test_every_class_once_a_pass_whatever_its_size():
    drawn = np.concatenate([batches().batch(step).classes for step in range(11)])  # 44 = four passes of eleven
    assert np.unique(drawn, return_counts=True)[1].tolist() == [4] * 11
    assert set(np.concatenate([batches().batch(step).classes for step in range(3)]).tolist()) == set(CLASS_IDS.tolist())


def test_every_item_of_a_class_before_any_again():
    every = batches(classes=11, items=2)
    rows = np.concatenate([every.batch(step).images for step in range(25)])
    of_large = rows[CLASS_IDS[rows] == 30]  # 50 pictures, two a visit, 25 visits
    assert sorted(of_large.tolist()) == np.flatnonzero(CLASS_IDS == 30).tolist()


def test_resuming_needs_the_step_alone():
    straight = batches()
    for step in range(40):
        straight.batch(step)
    for step in (40, 7, 1000):
        for mine, fresh in zip(straight.batch(step), batches().batch(step), strict=True):
            assert (mine == fresh).all()


def test_seeds_and_steps_differ():
    assert batches(seed=0).batch(0).images.tolist() != batches(seed=1).batch(0).images.tolist()
    assert batches().batch(0).images.tolist() != batches().batch(1).images.tolist()


@pytest.mark.parametrize("world_size", [2, 3])
@pytest.mark.parametrize("same_prefix", [0.0, 0.5])
def test_ranks_take_disjoint_slices_of_one_global_batch(world_size, same_prefix):
    config = BatchConfig(6, 2, same_prefix)
    prefixes = [str(identity % 3) for identity in CLASS_IDS]

    def at(rank: int, size: int) -> BalancedBatches:
        return BalancedBatches(CLASS_IDS, PICTURED, TEXTS, config, 5, prefixes, rank, size)

    for step in (0, 1, 17):
        whole = at(0, 1).batch(step)
        slices = [at(rank, world_size).batch(step) for rank in range(world_size)]
        for name in ("images", "texts", "classes"):
            joined = np.concatenate([getattr(part, name) for part in slices])
            assert len(set(joined.tolist())) == len(joined)
            assert sorted(joined.tolist()) == sorted(getattr(whole, name).tolist())


def test_fewer_classes_than_asked_for_and_classes_of_one_modality():
    pictured = np.array([True, True, False, False, True])
    texts = ["a", "a", "b", "b2", None]
    both = BalancedBatches(np.array([0, 0, 1, 1, 2]), pictured, texts, BatchConfig(96, 2), 0)
    batch = both.batch(3)
    assert sorted(batch.classes.tolist()) == [0, 1, 2]
    assert sorted(batch.images.tolist()) == [0, 1, 4]
    assert sorted(batch.texts.tolist()) == [0, 2, 3]


def test_all_pictures_or_all_texts_missing():
    only_texts = BalancedBatches(np.array([0, 1]), np.zeros(2, bool), ["a", "b"], BatchConfig(2, 2), 0).batch(0)
    assert only_texts.images.shape == (0,)
    assert sorted(only_texts.texts.tolist()) == [0, 1]
    only_images = BalancedBatches(np.array([0, 1]), np.ones(2, bool), [None, None], BatchConfig(2, 2), 0).batch(0)
    assert only_images.texts.shape == (0,)
    assert only_images.texts.dtype == np.int64
    with pytest.raises(CrossModalError, match="at least one class"):
        BalancedBatches(np.array([0]), np.zeros(1, bool), [None], BatchConfig(), 0)


def test_forgeries_are_never_drawn_and_a_picture_in_several_rows_counts_once():
    ids = np.array([0, 0, 0, 0, 1])
    one = BalancedBatches(
        ids,
        np.ones(5, bool),
        ["a", "b", "c", "d", "e"],
        BatchConfig(2, 4),
        0,
        genuine=np.array([True, True, True, False, False]),
        image_ids=np.array([7, 7, 8, 9, 10]),
    )
    batch = one.batch(0)
    assert batch.classes.tolist() == [0]
    assert sorted(batch.images.tolist()) == [0, 2]
    assert sorted(batch.texts.tolist()) == [0, 1, 2]


def test_unlabelled_items_give_distinct_pictures_with_one_text_each():
    images = [np.full((2, 2), picture, np.uint8) for picture in range(6) for _ in range(5)]
    items = Items.of(images=images, texts=[f"caption {row}" for row in range(30)])
    drawn = BalancedBatches.of(items, BatchConfig(classes=4, items=2), seed=0)
    captions = set()
    for step in range(30):
        batch = drawn.batch(step)
        assert len(batch.images) == len(batch.texts) == 4
        assert items.image_ids[batch.images].tolist() == items.image_ids[batch.texts].tolist()
        assert len(set(items.image_ids[batch.images].tolist())) == 4
        captions |= set(batch.texts.tolist())
    assert captions == set(range(30))  # all five captions of every picture get their turn


def test_same_prefix_draws_that_share_from_one_prefix():
    ids = np.repeat(np.arange(60), 3)
    prefixes = np.array([f"alphabet {identity // 12}" for identity in ids], object)
    config = BatchConfig(classes=12, items=2, same_prefix=0.5)
    drawn = BalancedBatches(ids, np.ones(180, bool), [None] * 180, config, 0, prefixes)
    seen: set[int] = set()
    for step in range(10):
        batch = drawn.batch(step)
        assert len(set(batch.classes.tolist())) == 12
        assert len(batch.images) == len(set(batch.images.tolist())) == 24
        assert np.bincount(batch.classes // 12).max() >= 6
        seen |= set(batch.classes.tolist())
    assert seen == set(range(60))
    assert (
        drawn.batch(3).images.tolist()
        == BalancedBatches(ids, np.ones(180, bool), [None] * 180, config, 0, prefixes).batch(3).images.tolist()
    )


def test_a_class_with_one_picture_where_a_term_needs_two():
    names = [f"class {rank}" for rank in range(101)]
    with pytest.raises(
        CrossModalError, match=r"class 'class 0' has one picture, but the term image_to_image needs two"
    ):
        batches(terms=["image_to_image"], class_names=names)
    skipping = batches(terms=["image_to_image"], on_bad_item="skip")
    assert skipping.left_out == [0]
    assert 0 not in skipping.class_ids
    with pytest.raises(CrossModalError, match=r"\(and 10 more such classes\) has one text, but the term text_to_text"):
        batches(terms=["text_to_text"])
    assert 0 in batches(terms=["image_to_text"]).class_ids


@pytest.mark.parametrize(
    ("config", "options", "message"),
    [
        (BatchConfig(0, 2), {}, "classes and items ≥ 1, found 0 and 2"),
        (BatchConfig(4, 1), {"terms": ["image_to_image"]}, "batch.items: expected at least 2"),
        (BatchConfig(4, 2, 1.5), {}, "expected a share from 0 to below 1, found 1.5"),
        (BatchConfig(4, 2, 0.5), {}, "found items without labels"),
        (BatchConfig(4, 2), {"rank": 2, "world_size": 2}, "expected a rank from 0 to 1, found 2"),
    ],
)
def test_bad_settings(config, options, message):
    with pytest.raises(CrossModalError, match=message):
        BalancedBatches(CLASS_IDS, PICTURED, TEXTS, config, 0, **options)


def test_steps_per_epoch():
    assert batches(classes=4, items=2).steps_per_epoch == -(-sum(SIZES) // 8)
    one_each = BalancedBatches(np.arange(10), np.ones(10, bool), [None] * 10, BatchConfig(4, 2), 0)
    assert one_each.steps_per_epoch == 3
