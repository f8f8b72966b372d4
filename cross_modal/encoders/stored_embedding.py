"""Embeddings through the feature store: what was computed for an item once is not computed again.

A twin with frozen trunks shares its tokens with every other twin on the same trunks, so only the head runs. Any other
twin keeps its own embeddings, found by the digest of all its weights: a second evaluation encodes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch

from cross_modal.data.pictures import Pictures
from cross_modal.encoders.embedding import Progress, embed_images, embed_texts, normalise_pixels
from cross_modal.encoders.feature_description import Modality, describe_encoder, row_keys
from cross_modal.encoders.feature_store import FeatureStore
from cross_modal.encoders.tokens import Tokens
from cross_modal.encoders.trunk_features import TrunkFeatures
from cross_modal.encoders.twin import TwinEncoder
from cross_modal.errors import CrossModalError

BATCH = 256
PLAIN = "plain"  # the view of an item as it is


def stored_image_embeddings(
    twin: TwinEncoder,
    pictures: Pictures,
    indices: np.ndarray,
    contents: Sequence[bytes],
    store: FeatureStore,
    *,
    features: TrunkFeatures | None = None,
    progress: Progress | None = None,
) -> np.ndarray:
    """As `embed_images`, through the store.

    Args:
        twin: The twin; its mode is restored.
        pictures: The pictures; those that the store knows are not even decoded.
        indices: (N,) rows of `pictures`.
        contents: N content hashes of those pictures.
        store: The store.
        features: The open features of a frozen trunk, to save finding them anew (the trunk's weights are hashed).
        progress: Called with the number of pictures just done.

    Returns:
        (N, dim) float32, rounded to float16 on the way.
    """
    keys = row_keys(contents, [PLAIN] * len(indices))
    if twin.frozen:
        return _from_tokens(
            twin,
            "image",
            keys,
            lambda rows: encode_pictures(twin, pictures, indices[rows]),
            features or TrunkFeatures(twin, "image", store),
            progress,
        )
    return _from_embeddings(
        twin, "image", keys, lambda rows: embed_images(twin, pictures, indices[rows], batch_size=BATCH), store, progress
    )


def stored_text_embeddings(
    twin: TwinEncoder,
    texts: Sequence[str],
    store: FeatureStore,
    *,
    features: TrunkFeatures | None = None,
    progress: Progress | None = None,
) -> np.ndarray:
    """As `embed_texts`, through the store: (N, dim) float32, rounded to float16 on the way."""
    keys = row_keys([text.encode() for text in texts], [PLAIN] * len(texts))
    if twin.frozen:
        return _from_tokens(
            twin,
            "text",
            keys,
            lambda rows: encode_texts(twin, [texts[row] for row in rows]),
            features or TrunkFeatures(twin, "text", store),
            progress,
        )
    return _from_embeddings(
        twin, "text", keys, lambda rows: embed_texts(twin, [texts[row] for row in rows]), store, progress
    )


@torch.no_grad()
def encode_pictures(twin: TwinEncoder, pictures: Pictures, rows: np.ndarray) -> Tokens:
    """The image trunk's tokens of pictures as they are."""
    trunk = twin.image
    assert trunk is not None
    device = next(trunk.parameters()).device
    return trunk(normalise_pixels(pictures.pixels(rows).to(device), trunk.mean, trunk.std))


@torch.no_grad()
def encode_texts(twin: TwinEncoder, texts: Sequence[str]) -> Tokens:
    """The text trunk's tokens of texts."""
    trunk = twin.text
    assert trunk is not None
    return trunk(trunk.tokenize(list(texts)).to(next(trunk.parameters()).device))


@torch.no_grad()
def _from_tokens(
    twin: TwinEncoder,
    modality: Modality,
    keys: np.ndarray,
    encode: Callable[[np.ndarray], Tokens],
    features: TrunkFeatures,
    progress: Progress | None,
) -> np.ndarray:
    """The head on stored tokens."""
    device = next(twin.parameters()).device
    embeddings = np.empty((len(keys), twin.dim), np.float32)
    was_training = twin.training
    twin.eval()
    for start in range(0, len(keys), BATCH):
        batch = np.arange(start, min(start + BATCH, len(keys)))
        tokens = features.tokens(keys[batch], lambda rows, batch=batch: encode(batch[rows]))  # type: ignore[misc]
        embeddings[start : start + BATCH] = twin.embed_tokens(tokens.to(device), modality).cpu().numpy()
        if progress:
            progress(len(tokens.mask))
    twin.train(was_training)
    return embeddings


def _from_embeddings(
    twin: TwinEncoder,
    modality: Modality,
    keys: np.ndarray,
    embed: Callable[[np.ndarray], np.ndarray],
    store: FeatureStore,
    progress: Progress | None,
) -> np.ndarray:
    """Stored embeddings; what is missing is embedded and kept."""
    if not twin.normalise:  # magnitudes may pass what float16 holds
        return embed(np.arange(len(keys)))
    try:
        entry = store.entry(describe_encoder(twin, modality, "embedding"))
        missing = np.flatnonzero(entry.find(keys) < 0)
        if progress:
            progress(len(keys) - len(missing))
        for start in range(0, len(missing), BATCH):
            rows = missing[start : start + BATCH]
            entry.append(keys[rows], embed(rows), np.ones(len(rows), np.int64), None)
            if progress:
                progress(len(rows))
        return entry.read(entry.find(keys)).values[:, 0].astype(np.float32)
    except CrossModalError:  # a full store must not cost the evaluation
        return embed(np.arange(len(keys)))
