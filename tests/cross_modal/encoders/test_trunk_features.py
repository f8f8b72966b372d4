"""A frozen trunk encodes an item once: later epochs, runs and twins on the same trunk read it."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock
from time import sleep

import numpy as np
import pytest
import torch
from toys.shapes import SIDE, experiment, shapes

from cross_modal.configuration import DataConfig
from cross_modal.data.items import content_hashes
from cross_modal.embed_items import embed_items, open_pictures
from cross_modal.encoders.build import build_twin
from cross_modal.encoders.embedding import embed_images, embed_texts
from cross_modal.encoders.feature_description import row_keys
from cross_modal.encoders.feature_store import FeatureStore
from cross_modal.encoders.stored_embedding import encode_pictures, stored_image_embeddings, stored_text_embeddings
from cross_modal.encoders.trunk_features import TrunkFeatures
from cross_modal.encoders.twin import TwinEncoder
from cross_modal.errors import CrossModalError

ITEMS = shapes(per_class=3).split("test")
CONTENTS = content_hashes(ITEMS.images)


def twin(freeze: str = "trunk", head: int = 0) -> TwinEncoder:
    """A twin whose trunks are always the same; its head depends on `head`."""
    config = experiment().twin
    config.freeze = freeze
    torch.manual_seed(0)
    made = build_twin(config, [str(text) for text in ITEMS.texts])
    torch.manual_seed(head)
    for parameter in made.head.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    return made.eval()


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    return FeatureStore(tmp_path / "store")


def test_tokens_come_back_as_they_were_encoded(store: FeatureStore) -> None:
    one = twin()
    pictures = open_pictures(ITEMS, one, DataConfig())
    features = TrunkFeatures(one, "image", store)
    keys = row_keys(CONTENTS, ["plain"] * len(ITEMS))
    tokens = features.tokens(keys, lambda rows: encode_pictures(one, pictures, rows))
    direct = encode_pictures(one, pictures, np.arange(len(ITEMS)))
    assert torch.allclose(tokens.values.float(), direct.values, rtol=1e-3, atol=1e-3)
    assert torch.equal(tokens.mask, direct.mask)


def test_only_what_is_missing_is_encoded(store: FeatureStore) -> None:
    one = twin()
    pictures = open_pictures(ITEMS, one, DataConfig())
    keys = row_keys(CONTENTS, ["plain"] * len(ITEMS))
    first = TrunkFeatures(one, "image", store)
    first.tokens(keys[:5], lambda rows: encode_pictures(one, pictures, rows))
    again = TrunkFeatures(twin(head=1), "image", store)  # another head on the same trunk
    seen: list[int] = []

    def encode(rows: np.ndarray) -> object:
        seen.extend(rows.tolist())
        return encode_pictures(one, pictures, rows)

    again.tokens(keys[[2, 7, 7, 3, 8]], encode)  # type: ignore[arg-type]
    assert sorted(seen) == [1, 4]  # positions of 7 (once) and 8
    assert (again.encoded, again.read) == (2, 5)


def test_workers_that_meet_the_same_items_share_them_out(store: FeatureStore) -> None:
    one = twin()
    pictures = open_pictures(ITEMS, one, DataConfig())
    keys = row_keys(CONTENTS, ["plain"] * len(ITEMS))
    at_once, most, lock = [0], [0], Lock()

    def encode(rows: np.ndarray) -> object:
        with lock:
            at_once[0] += 1
            most[0] = max(most[0], at_once[0])
        sleep(0.05)
        tokens = encode_pictures(one, pictures, rows)
        with lock:
            at_once[0] -= 1
        return tokens

    workers = [TrunkFeatures(one, "image", store) for _ in range(3)]
    with ThreadPoolExecutor(3) as pool:
        tokens = list(pool.map(lambda each: each.tokens(keys, encode), workers))  # type: ignore[arg-type]
    assert sum(each.encoded for each in workers) == len(set(CONTENTS))
    assert most[0] > 1, "none waits while there is something left to do"
    assert all(torch.equal(each.values, tokens[0].values) for each in tokens)
    assert all(each.failure is None for each in workers)


def test_a_trunk_that_learns_is_refused(store: FeatureStore) -> None:
    with pytest.raises(CrossModalError, match=r"expected frozen trunks \(twin\.freeze: trunk\), found trainable ones"):
        TrunkFeatures(twin("none"), "image", store)


def test_a_full_store_costs_time_and_nothing_else(tmp_path: Path) -> None:
    one = twin()
    pictures = open_pictures(ITEMS, one, DataConfig())
    features = TrunkFeatures(one, "image", FeatureStore(tmp_path, limit_gigabytes=1e-7))
    keys = row_keys(CONTENTS, ["plain"] * len(ITEMS))
    tokens = features.tokens(keys, lambda rows: encode_pictures(one, pictures, rows))
    assert features.failure is not None
    assert torch.equal(tokens.values, encode_pictures(one, pictures, np.arange(len(ITEMS))).values)


@pytest.mark.parametrize("freeze", ["trunk", "none"])
def test_stored_embeddings_equal_computed_ones(store: FeatureStore, freeze: str) -> None:
    one = twin(freeze)
    pictures = open_pictures(ITEMS, one, DataConfig())
    rows, texts = np.arange(len(ITEMS)), [str(text) for text in ITEMS.texts]
    images = [embed_images(one, pictures, rows)]
    images += [stored_image_embeddings(one, pictures, rows, CONTENTS, store) for _ in range(2)]
    names = [embed_texts(one, texts)] + [stored_text_embeddings(one, texts, store) for _ in range(2)]
    for computed, first, second in (images, names):
        assert np.abs(first - computed).max() < 2e-3
        assert np.array_equal(first, second)


@pytest.mark.parametrize("freeze", ["trunk", "none"])
def test_a_second_evaluation_encodes_nothing(store: FeatureStore, freeze: str, monkeypatch: pytest.MonkeyPatch) -> None:
    one = twin(freeze)
    before = embed_items(one, ITEMS, open_pictures(ITEMS, one, DataConfig()), store=store)

    def forbidden(*_: object) -> None:
        raise AssertionError("encoded again")

    monkeypatch.setattr(type(one.image), "forward", forbidden)
    monkeypatch.setattr(type(one.text), "forward", forbidden)
    after = embed_items(one, ITEMS, open_pictures(ITEMS, one, DataConfig()), store=store)
    assert before.images is not None
    assert np.array_equal(before.images, after.images)
    assert before.images.shape[0] == len(ITEMS)
    assert open_pictures(ITEMS, one, DataConfig()).size == SIDE


def test_another_twin_finds_nothing_of_this_one(store: FeatureStore) -> None:
    one, other = twin("none", head=0), twin("none", head=1)
    texts = ["bar size 3", "box size 4"]
    stored_text_embeddings(one, texts, store)
    assert np.allclose(stored_text_embeddings(other, texts, store), embed_texts(other, texts), atol=2e-3)


def test_a_full_store_still_gives_what_it_holds(store: FeatureStore, monkeypatch: pytest.MonkeyPatch) -> None:
    one = twin()
    pictures = open_pictures(ITEMS, one, DataConfig())
    features = TrunkFeatures(one, "image", store)
    keys = row_keys(CONTENTS, ["plain"] * len(ITEMS))
    features.tokens(keys[:5], lambda rows: encode_pictures(one, pictures, rows))

    def full(*_: object) -> None:
        raise CrossModalError("no room")

    monkeypatch.setattr(features.entry, "append", full)
    seen: list[int] = []

    def encode(rows: np.ndarray) -> object:
        seen.extend(rows.tolist())
        return encode_pictures(one, pictures, rows + 3)

    tokens = features.tokens(keys[3:8], encode)  # type: ignore[arg-type]
    assert features.failure == "no room"
    assert seen[-3:] == [2, 3, 4]  # 3 and 4 of the batch are in the store
    direct = encode_pictures(one, pictures, np.arange(3, 8))
    assert torch.allclose(tokens.values.float(), direct.values, rtol=1e-3, atol=1e-3)
    assert torch.equal(tokens.mask, direct.mask)
