"""What is near is what the present twin says, and look-alikes are not for it to find."""

import numpy as np
import pytest
from toys.judged import sentences
from toys.shapes import experiment, shapes

from cross_modal.data.class_pairs import ClassPairs
from cross_modal.data.items import Items
from cross_modal.data.one_sided import one_sided
from cross_modal.encoders.build import build_twin
from cross_modal.pair_configuration import PairBatchConfig
from cross_modal.training.hard_negatives import HardNegatives
from cross_modal.training.item_tensors import ItemTensors
from cross_modal.verification.pair_embedding import embed_pair_items


def mining(items: Items, turns: int = 1, **options: int) -> tuple[HardNegatives, ClassPairs, object]:
    settings = experiment()
    augmentation = settings.augmentation
    augmentation.rotation = augmentation.scale = augmentation.shear = augmentation.shift = 0.0
    augmentation.token_dropout = 0.0
    if not items.has_texts:
        settings.twin.text.name = "none"
    if not items.has_images:
        settings.twin.image.name = "none"
    twin = build_twin(settings.twin, [str(text) for text in items.texts if text is not None])
    pairs = ClassPairs(items, PairBatchConfig(pairs=40), seed=0, hard=0.5, turns=turns)
    return HardNegatives(pairs, ItemTensors(items, twin, settings), **options), pairs, twin


@pytest.mark.parametrize("normalise", [True, False])
def test_the_nearest_class_is_the_twins(normalise: bool) -> None:
    items = one_sided(shapes(per_class=4).split("train"), text=False)  # four a class: all are looked at
    miner, pairs, twin = mining(items)
    twin.normalise = normalise
    twin.train()
    miner.refresh(twin, 5)
    assert twin.training
    assert miner.found == 20
    embeddings = embed_pair_items(twin, items)
    middles = np.stack([embeddings[items.class_ids == rank].mean(0) for rank in range(20)])
    if normalise:
        middles /= np.linalg.norm(middles, axis=1, keepdims=True)
    distances = np.linalg.norm(middles[:, None] - middles[None], axis=2) + 1e9 * np.eye(20)
    found = pairs.near[("image", "image")]
    assert [int(found[rank][0]) for rank in range(20)] == distances.argmin(1).tolist()
    assert pairs.batch(3).hard.sum() > 5


def test_all_kinds_of_pairs_have_near_classes() -> None:
    miner, pairs, twin = mining(one_sided(shapes().split("train")))
    miner.refresh(twin, 0)
    assert set(pairs.near) == {("image", "image"), ("image", "text")}
    assert all(len(ranks) == 8 and rank not in ranks for near in pairs.near.values() for rank, ranks in near.items())


def test_texts_alone_have_near_classes_too() -> None:
    miner, pairs, twin = mining(one_sided(sentences().split("train")))
    miner.refresh(twin, 0)
    assert {rank: len(ranks) for rank, ranks in pairs.near[("text", "text")].items()} == {0: 2, 1: 2, 2: 2}


def test_a_turned_picture_is_not_near_itself() -> None:
    items = one_sided(shapes().split("train"), text=False)
    miner, pairs, twin = mining(items, turns=4)
    miner.refresh(twin, 0)
    for rank, ranks in pairs.near[("image", "image")].items():
        assert rank % 20 not in set((ranks % 20).tolist())


def test_few_classes_at_a_time_reach_all_of_them() -> None:
    miner, pairs, twin = mining(one_sided(shapes().split("train"), text=False), classes=7)
    seen: set[int] = set()
    for number in range(3):
        miner.refresh(twin, number)
        seen |= set(pairs.near[("image", "image")])
        assert miner.found == 7
    assert len(seen) == 20
