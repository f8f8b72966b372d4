"""A pair is no different one where a class has the other's item, too; forgeries are, though they are of the class."""

import numpy as np

from cross_modal.data.class_contents import ClassContents
from cross_modal.data.class_pairs import ClassPairs
from cross_modal.data.items import Items
from cross_modal.data.one_sided import one_sided
from cross_modal.pair_configuration import PairBatchConfig

CAPTIONS = ["a dog", "a brown dog", "a dog", "a cat", "a grey cat", "a dog"]


def captioned() -> Items:
    """Three photographs with two captions each; all three are of dogs, says one caption of each."""
    photographs = [bytes([number]) for number in (1, 1, 2, 2, 3, 3)]
    return one_sided(Items.of(images=photographs, texts=CAPTIONS))


def test_a_caption_that_two_photographs_have_is_different_from_neither() -> None:
    items = captioned()
    texts, images = np.flatnonzero(items.has_text), np.flatnonzero(items.has_image)
    found = ClassContents(items)
    for image in images.tolist():
        own = set(items.texts[texts[items.class_ids[texts] == items.class_ids[image]]])
        assert found.contradict(np.full(len(texts), image), texts).tolist() == [
            items.texts[text] in own for text in texts.tolist()
        ]


def test_pairs_of_classes_never_call_a_shared_caption_different() -> None:
    items = captioned()
    pairs = ClassPairs(items, PairBatchConfig(pairs=12), seed=0, hard=0.5)
    pairs.near = {kind: {rank: np.array([(rank + 1) % 3]) for rank in range(3)} for kind in pairs.kinds}
    wrong = different = 0
    for step in range(30):
        drawn = pairs.batch(step)
        for a, b in zip(drawn.a[~drawn.same].tolist(), drawn.b[~drawn.same].tolist(), strict=True):
            of_class = [set(items.texts[items.class_ids == items.class_ids[row]]) - {None} for row in (a, b)]
            different += 1
            wrong += items.texts[b] in of_class[0] or items.texts[a] in of_class[1]
    assert different
    assert not wrong


def test_a_forgery_differs_from_what_it_imitates_unless_it_is_the_very_picture() -> None:
    items = Items.of(
        images=[b"1", b"2", b"forged", b"1"],
        labels=["anna"] * 4,
        genuine=[True, True, False, False],
        source="signatures",
    )
    assert ClassContents(items).contradict(np.array([0, 1, 0]), np.array([2, 2, 3])).tolist() == [False, False, True]


def test_turned_pictures_share_nothing_with_upright_ones() -> None:
    items = Items.of(images=[b"6", b"6"], labels=["six", "nine"])
    found = ClassContents(items).contradict(np.array([0, 2, 0]), np.array([1, 3, 3]))
    assert found.tolist() == [True, True, False]
