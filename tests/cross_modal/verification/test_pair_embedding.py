"""An item's embedding is that of what it has; of picture and text the mean; and each distinct thing is encoded once."""

from pathlib import Path

import numpy as np
import pytest
from toys.tiny_twin import tiny_twin

from cross_modal.data.items import Items
from cross_modal.encoders import embedding
from cross_modal.encoders.embedding import embed_texts
from cross_modal.encoders.feature_store import FeatureStore
from cross_modal.errors import CrossModalError
from cross_modal.verification.pair_embedding import embed_pair_items

RANDOM = np.random.default_rng(0)
PICTURES = [RANDOM.integers(0, 255, (16, 16), np.uint8) for _ in range(5)]


def mixed() -> Items:
    """A picture, a text, both, and both of two other rows."""
    return Items.of(images=[PICTURES[0], None, PICTURES[1], PICTURES[0]], texts=[None, "b", "a", "b"])


def test_what_an_item_has() -> None:
    twin = tiny_twin()
    found = embed_pair_items(twin, mixed())
    assert found.dtype == np.float32
    assert found.shape == (4, twin.dim)
    assert np.allclose(found[1], embed_texts(twin, ["b"])[0], atol=1e-6)
    mean = (found[0] + found[1]) / 2
    assert np.allclose(found[3], mean / np.linalg.norm(mean), atol=1e-6)
    assert np.allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)


def test_a_twin_that_keeps_magnitudes_takes_the_plain_mean() -> None:
    twin = tiny_twin()
    twin.normalise = False
    found = embed_pair_items(twin, mixed())
    assert np.allclose(found[3], (found[0] + found[1]) / 2, atol=1e-6)


def test_the_order_of_the_items_changes_no_bit() -> None:
    twin = tiny_twin()
    items = Items.of(images=PICTURES, texts=list("abcde"))
    found = embed_pair_items(twin, items)
    for order in ([4, 3, 2, 1, 0], [2, 0, 4, 1, 3]):
        assert np.array_equal(embed_pair_items(twin, items.take(order)), found[order])


def test_equal_things_are_encoded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    twin, counts = tiny_twin(), []
    encode = type(twin).encode_image
    monkeypatch.setattr(type(twin), "encode_image", lambda self, x: counts.append(len(x)) or encode(self, x))
    items = Items.of(images=[PICTURES[0], PICTURES[1], PICTURES[0].copy(), PICTURES[0]])
    found = embed_pair_items(twin, items)
    assert counts == [2]
    assert np.array_equal(found[0], found[2])


def test_a_trunk_that_is_missing_is_passed_over_where_the_item_has_more() -> None:
    pictures_only = tiny_twin(text="none")
    found = embed_pair_items(pictures_only, mixed().take([0, 2]))
    assert np.allclose(found[1], embed_pair_items(pictures_only, Items.of(images=[PICTURES[1]]))[0], atol=1e-6)


@pytest.mark.parametrize(
    ("image", "text", "message"),
    [
        ("conv4", "none", "memory item 2: expected a picture, .* found a text only"),
        ("none", "gru", "memory item 1: expected a text, .* found a picture only"),
    ],
)
def test_an_item_without_a_trunk_is_named(image: str, text: str, message: str) -> None:
    with pytest.raises(CrossModalError, match=message):
        embed_pair_items(tiny_twin(image, text), mixed())
    with pytest.raises(CrossModalError, match=r"expected a picture or a text, .* found neither"):
        embed_pair_items(tiny_twin(), Items.of(texts=[None]))


def test_the_store_gives_what_was_computed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    twin, store = tiny_twin(), FeatureStore(tmp_path)
    plain = embed_pair_items(twin, mixed())
    first = embed_pair_items(twin, mixed(), store=store)
    monkeypatch.setattr(embedding, "normalise_pixels", None)  # nothing is encoded again
    assert np.array_equal(embed_pair_items(twin, mixed(), store=store), first)
    assert np.allclose(first, plain, atol=2e-3)


def test_no_items() -> None:
    assert embed_pair_items(tiny_twin(), mixed().take([])).shape == (0, 16)
