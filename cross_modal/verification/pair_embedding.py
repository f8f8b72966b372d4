"""Embeddings of the items of pairs, whatever each of them has: a picture, a text or both.

An item that has both is the mean of its two embeddings, at length one where the twin normalises. Each distinct picture
and each distinct text is encoded once, in an order that depends on their content alone: the pair (a, b) and the pair
(b, a) go through the same batches, and so score the same to the last bit.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cross_modal.configuration import DataConfig
from cross_modal.data.items import Items, content_hashes
from cross_modal.data.pictures import Pictures
from cross_modal.embed_items import open_pictures
from cross_modal.encoders.embedding import Progress, embed_images, embed_texts
from cross_modal.encoders.feature_store import FeatureStore
from cross_modal.encoders.stored_embedding import stored_image_embeddings, stored_text_embeddings
from cross_modal.encoders.trunk_features import TrunkFeatures
from cross_modal.encoders.twin import TwinEncoder
from cross_modal.errors import CrossModalError

TINY = 1e-12  # length of a mean of opposites, which has no direction


def embed_pair_items(
    twin: TwinEncoder,
    items: Items,
    data_config: DataConfig | None = None,
    store: FeatureStore | None = None,
    *,
    pictures: Pictures | None = None,
    contents: Sequence[bytes] | None = None,
    features: tuple[TrunkFeatures | None, TrunkFeatures | None] = (None, None),
    progress: Progress | None = None,
) -> np.ndarray:
    """Embeds items.

    Args:
        twin: The twin; its mode is restored.
        items: The items; each has what the twin has a trunk for. What it has besides is not looked at.
        data_config: How pictures are decoded; None takes the defaults.
        store: Where embeddings, or the tokens of frozen trunks, are kept between runs; None computes everything.
        pictures: `open_pictures` of the same items, where they are open already.
        contents: (N,) content hashes of the items' pictures, where they are known already.
        features: With a store, the open features of frozen trunks of pictures and texts; None opens them anew.
        progress: Called with the number of distinct pictures or texts just done.

    Returns:
        (N, dim) float32.

    Raises:
        CrossModalError: An item that the twin has no trunk for.
    """
    image, text = seen_by(twin, items)
    embeddings = np.zeros((len(items), twin.dim), np.float32)
    rows = np.flatnonzero(image)
    if len(rows):
        opened = pictures or open_pictures(items, twin, data_config or DataConfig())
        hashes = content_hashes(items.images[rows]) if contents is None else [contents[row] for row in rows.tolist()]
        embeddings[rows] = _images(twin, opened, rows, hashes, store, features[0], progress)
    rows = np.flatnonzero(text)
    if len(rows):
        texts = [str(cell) for cell in items.texts[rows]]
        embeddings[rows] += _texts(twin, texts, store, features[1], progress)
    both = image & text
    if both.any():
        embeddings[both] = mean_of_two(embeddings[both], twin.normalise)
    return embeddings


def seen_by(twin: TwinEncoder, items: Items) -> tuple[np.ndarray, np.ndarray]:
    """Which items' pictures and which items' texts a twin reads.

    Args:
        twin: Says which trunks there are.
        items: The items.

    Returns:
        (N,) bool and (N,) bool.

    Raises:
        CrossModalError: An item that the twin has no trunk for.
    """
    image = items.has_image & (twin.image is not None)
    text = items.has_text & (twin.text is not None)
    unseen = np.flatnonzero(~image & ~text)
    if len(unseen):
        row = int(unseen[0])
        wanted = "text" if twin.image is None else "picture" if twin.text is None else "picture or a text"
        found = "picture only" if items.has_image[row] else "text only" if items.has_text[row] else "neither"
        raise CrossModalError(
            f"{items.where(row)}: expected a {wanted}, which is what this twin compares, found "
            + (found if found == "neither" else f"a {found}")
        )
    return image, text


def mean_of_two(total: np.ndarray, normalise: bool) -> np.ndarray:
    """The mean of two embeddings, from their sum; at length one where the twin normalises.

    >>> mean_of_two(np.array([[2.0, 0]], np.float32), False).tolist()
    [[1.0, 0.0]]
    """
    mean = total / np.float32(2)
    if not normalise:
        return mean
    return mean / np.maximum(np.linalg.norm(mean, axis=1, keepdims=True), np.float32(TINY))


def _images(
    twin: TwinEncoder,
    pictures: Pictures,
    rows: np.ndarray,
    hashes: list[bytes],
    store: FeatureStore | None,
    features: TrunkFeatures | None,
    progress: Progress | None,
) -> np.ndarray:
    """(R, dim) embeddings of the pictures of rows, each distinct one encoded once, in the order of their hashes."""
    first = dict(zip(reversed(hashes), reversed(rows.tolist()), strict=True))
    order = sorted(first)
    distinct = np.array([first[content] for content in order], np.int64)
    if store is None:
        found = embed_images(twin, pictures, distinct, progress=progress)
    else:
        found = stored_image_embeddings(twin, pictures, distinct, order, store, features=features, progress=progress)
    place = {content: number for number, content in enumerate(order)}
    return found[[place[content] for content in hashes]]


def _texts(
    twin: TwinEncoder,
    texts: list[str],
    store: FeatureStore | None,
    features: TrunkFeatures | None,
    progress: Progress | None,
) -> np.ndarray:
    """(R, dim) embeddings of texts, likewise."""
    if store is None:
        return embed_texts(twin, texts, progress=progress)
    order = sorted(set(texts))
    found = stored_text_embeddings(twin, order, store, features=features, progress=progress)
    place = {text: number for number, text in enumerate(order)}
    return found[[place[text] for text in texts]]
