"""A step over pairs encodes each distinct item once; what it gives is what verification will give."""

import numpy as np
import pytest
import torch
from toys.shapes import experiment, shapes

from cross_modal.data.items import Items
from cross_modal.encoders.build import build_twin
from cross_modal.encoders.twin import TwinEncoder
from cross_modal.errors import CrossModalError
from cross_modal.training.pair_inputs import DrawnRows, PairInputs, PairStep, item_embeddings
from cross_modal.verification.pair_embedding import embed_pair_items

A, B = np.array([3, 3, 7, 1]), np.array([5, 1, 3, 9])


def plain() -> object:
    """Settings without augmentation."""
    settings = experiment()
    augmentation = settings.augmentation
    augmentation.rotation = augmentation.scale = augmentation.shear = augmentation.shift = 0.0
    augmentation.token_dropout = 0.0
    return settings


def some_have_both() -> Items:
    """Shapes with pictures, names, or both."""
    items = shapes().split("train")
    for row in range(0, len(items), 3):
        items.images[row] = None
    for row in range(1, len(items), 3):
        items.texts[row] = None
    return items


def inputs(items: Items, settings=None, **options: object) -> tuple[PairInputs, TwinEncoder]:
    settings = settings or plain()
    twin = build_twin(settings.twin, [str(text) for text in items.texts if text is not None])
    draw = lambda step: DrawnRows((A + step, B + step), np.array([1, 0, 1, 0.5]))  # noqa: E731
    return PairInputs(items, twin, settings, draw, **options), twin


@pytest.mark.parametrize("normalise", [True, False])
def test_a_steps_embeddings_are_those_of_verification(normalise: bool) -> None:
    items = some_have_both()
    source, twin = inputs(items)
    twin.eval()
    twin.normalise = normalise
    step = source.load(2)
    assert step.items == 5
    assert step.size == len(step.image_places) + len(step.text_places)
    assert set(step.image_places.tolist()) & set(step.text_places.tolist())  # some have both
    with torch.no_grad():
        found = item_embeddings(step, *twin(step.image, step.text), normalise)
    wanted = embed_pair_items(twin, items)
    for end, rows in zip(step.ends, (A + 2, B + 2), strict=True):
        assert np.allclose(found[end].numpy(), wanted[rows], atol=1e-5)
    assert step.verdicts.tolist() == [1, 0, 1, 0.5]


def test_a_picture_twin_reads_pictures_only_even_of_items_that_have_more() -> None:
    settings = plain()
    settings.twin.text.name = "none"
    source, _ = inputs(shapes().split("train"), settings)
    assert source.load(0).text is None


def test_an_item_the_twin_cannot_read_is_refused_at_once() -> None:
    settings = plain()
    settings.twin.text.name = "none"
    with pytest.raises(CrossModalError, match=r"shapes item 1: expected a picture, .* found a text only"):
        inputs(some_have_both(), settings)


def equal(one: PairStep, other: PairStep) -> bool:
    return torch.equal(one.image, other.image) and torch.equal(one.ends[0], other.ends[0])


def test_steps_can_be_decoded_ahead_but_not_past_a_break() -> None:
    items, seen, loaded = shapes().split("train"), [], []
    settings = experiment()
    settings.items.memory_gigabytes = 0.0
    ahead, _ = inputs(items, settings)
    kept, _ = inputs(items, experiment())
    load = ahead.load
    ahead.load = lambda step: loaded.append(step) or load(step)  # type: ignore[method-assign]
    before = lambda step: seen.append((step, max(loaded)))  # noqa: E731
    for number, step in enumerate(ahead.stream(0, 7, every=3, before=before)):
        assert equal(step, kept.load(number))
    assert seen == [(3, 2), (6, 5)]  # what comes after was not loaded before
    assert loaded == list(range(7))
    assert len(list(kept.stream(0, 4))) == 4
