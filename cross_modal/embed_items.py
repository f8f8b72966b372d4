"""Items in, embeddings with all that is known of their rows out: where data, encoders and evaluation meet."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cross_modal.configuration import DataConfig
from cross_modal.data.items import Items, content_hashes
from cross_modal.data.pictures import Keep, Pictures
from cross_modal.encoders.embedding import Progress, embed_images, embed_texts
from cross_modal.encoders.feature_store import FeatureStore
from cross_modal.encoders.stored_embedding import stored_image_embeddings, stored_text_embeddings
from cross_modal.encoders.trunk_features import TrunkFeatures
from cross_modal.encoders.twin import TwinEncoder
from cross_modal.errors import CrossModalError
from cross_modal.evaluation import EvaluationItems


def open_pictures(items: Items, twin: TwinEncoder, config: DataConfig, *, keep: Keep | None = None) -> Pictures:
    """The items' pictures at the size, channels and fit of the twin's image trunk.

    Args:
        items: The items.
        twin: A twin with an image trunk.
        config: Limits and workers.
        keep: Where decoded pictures are kept for other processes, if they are.

    Raises:
        CrossModalError: If the twin has no image trunk.
    """
    trunk = twin.image
    if trunk is None:
        raise CrossModalError(f"{items.source}: expected a twin with an image trunk for its pictures, found none")
    return Pictures.of(
        items,
        config,
        channels=trunk.channels,
        size=trunk.size,
        resize=trunk.resize,
        interpolation=trunk.interpolation,
        keep=keep,
    )


def image_rows(items: Items, twin: TwinEncoder) -> np.ndarray:
    """The first row of each distinct picture of each class: a picture never meets itself in an episode. (N,) int64."""
    if twin.image is None:
        return np.zeros(0, np.int64)
    rows = np.flatnonzero(items.has_image)
    keys = np.stack([items.class_ids[rows], items.image_ids[rows]], axis=1)
    return rows[np.sort(np.unique(keys, axis=0, return_index=True)[1])]


def text_rows(items: Items, twin: TwinEncoder) -> np.ndarray:
    """The first row of each distinct text of each class: ten pictures of one name give one text. (T,) int64."""
    if twin.text is None:
        return np.zeros(0, np.int64)
    first: dict[tuple[int, str], int] = {}
    ids = items.class_ids
    for row in np.flatnonzero(items.has_text).tolist():
        first.setdefault((int(ids[row]), str(items.texts[row])), row)
    return np.fromiter(first.values(), np.int64, len(first))


def embed_items(
    twin: TwinEncoder,
    items: Items,
    pictures: Pictures | None = None,
    *,
    store: FeatureStore | None = None,
    features: tuple[TrunkFeatures | None, TrunkFeatures | None] = (None, None),
    contents: Sequence[bytes] | None = None,
    progress: Progress | None = None,
) -> EvaluationItems:
    """Embeds all pictures and all distinct texts of a table of items.

    Args:
        twin: The twin; its mode is restored.
        items: One split, usually.
        pictures: `open_pictures` of the same items; None for a twin without an image trunk.
        store: Where embeddings, or the tokens of frozen trunks, are kept between runs; None computes everything.
        features: With a store, the open features of frozen trunks of pictures and texts; None opens them anew.
        contents: (N,) content hashes of the items' pictures, where they are known already.
        progress: Called with the number of items just done.

    Returns:
        Embeddings, class ids, groups, sets and prefixes, ready to be evaluated.

    Raises:
        CrossModalError: If the twin has no trunk for anything in the items.
    """
    images, texts = image_rows(items, twin), text_rows(items, twin)
    if pictures is None:
        images = images[:0]

    def of_images(cells: np.ndarray | None) -> np.ndarray | None:
        return None if cells is None else cells[images]

    return EvaluationItems(
        images=_image_embeddings(twin, items, pictures, images, store, features[0], contents, progress),
        image_classes=items.class_ids[images],
        texts=_text_embeddings(twin, [str(items.texts[row]) for row in texts], store, features[1], progress),
        text_classes=items.class_ids[texts],
        groups=of_images(items.groups),
        sets=of_images(items.sets),
        prefixes=of_images(items.prefixes),
        genuine=of_images(items.genuine),
    )


def _image_embeddings(
    twin: TwinEncoder,
    items: Items,
    pictures: Pictures | None,
    rows: np.ndarray,
    store: FeatureStore | None,
    features: TrunkFeatures | None,
    contents: Sequence[bytes] | None,
    progress: Progress | None,
) -> np.ndarray | None:
    if pictures is None or not len(rows):
        return None
    if store is None:
        return embed_images(twin, pictures, rows, progress=progress)
    hashes = content_hashes(items.images[rows]) if contents is None else [contents[row] for row in rows.tolist()]
    return stored_image_embeddings(twin, pictures, rows, hashes, store, features=features, progress=progress)


def _text_embeddings(
    twin: TwinEncoder,
    texts: list[str],
    store: FeatureStore | None,
    features: TrunkFeatures | None,
    progress: Progress | None,
) -> np.ndarray | None:
    if not texts:
        return None
    if store is None:
        return embed_texts(twin, texts, progress=progress)
    return stored_text_embeddings(twin, texts, store, features=features, progress=progress)
