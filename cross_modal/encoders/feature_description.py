"""What a stored feature is a function of: the description of the encoder, and the key of the item.

A cache is stale when something that shapes its values is missing from its key. So the description says all of it:
weights by content, preprocessing, tokenizer, layer, compute type, versions of the libraries that compute. The key of a
row is the content of the item and the view (which augmentation of it); a path or a row number is never part of it.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Literal

import numpy as np
import torch
from torch import nn

from cross_modal.encoders.twin import TwinEncoder
from cross_modal.errors import CrossModalError

Modality = Literal["image", "text"]
Layer = Literal["tokens", "embedding"]
REVISION = 1  # of our own decoding, tokenizing and encoding: goes up when their output changes
LIBRARIES = ("torch", "torchvision", "open_clip_torch", "timm", "tokenizers", "transformers", "Pillow", "numpy")
KEY_BYTES = 16
_OF_TRUNKS = {"image", "text", "freeze"}


def describe_encoder(twin: TwinEncoder, modality: Modality, layer: Layer) -> dict[str, Any]:
    """Everything that the features of one side of a twin depend on, but the item.

    Args:
        twin: The twin.
        modality: Which of its sides.
        layer: "tokens" (what the trunk gives; the head plays no part) or "embedding" (what the twin gives).

    Returns:
        A JSON-able description.

    Raises:
        CrossModalError: If the twin has no trunk for the modality.
    """
    trunk = twin.image if modality == "image" else twin.text
    if trunk is None:
        raise CrossModalError(f"feature store: expected a twin with an encoder for {modality}s, found none")
    settings = dataclasses.asdict(twin.config.image if modality == "image" else twin.config.text)
    settings.pop("pretrained")  # where the weights came from; what they are is in their digest
    names = ("size", "channels", "mean", "std", "resize", "interpolation", "context", "width")
    parameter = next(trunk.parameters())
    module: nn.Module = trunk if layer == "tokens" else twin
    shape = {name: value for name, value in dataclasses.asdict(twin.config).items() if name not in _OF_TRUNKS}
    return {
        "modality": modality,
        "layer": layer,
        "trunk": settings["name"],
        "settings": settings,
        "preprocessing": {name: _plain(getattr(trunk, name)) for name in names if hasattr(trunk, name)},
        "state": hashlib.sha256(json.dumps(trunk.state(), sort_keys=True).encode()).hexdigest(),
        "weights": weights_digest(module),
        "head": None if layer == "tokens" else shape,  # heads and normalisation leave no trace in the weights
        "compute": f"{str(parameter.dtype).removeprefix('torch.')} on {parameter.device.type}",
        "revision": REVISION,
        "versions": _versions(),
    }


def weights_digest(module: nn.Module) -> str:
    """SHA-256 (hex) over the names, types, shapes and bytes of a module's parameters and buffers.

    >>> layer = nn.Linear(2, 1)
    >>> before = weights_digest(layer)
    >>> with torch.no_grad():
    ...     _ = layer.weight.add_(1)
    >>> before == weights_digest(layer)
    False
    """
    total = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        total.update(f"{name}|{tensor.dtype}|{tuple(tensor.shape)}|".encode())
        total.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return total.hexdigest()


def row_keys(contents: Iterable[bytes], views: Iterable[str]) -> np.ndarray:
    """The keys of items in their views.

    Args:
        contents: N contents, or their hashes.
        views: N views: "plain", or what names the augmentation exactly.

    Returns:
        (N, 16) uint8.

    >>> row_keys([b"a", b"a"], ["plain", "turned"]).shape
    (2, 16)
    """
    digests = [
        hashlib.sha256(view.encode() + b"|" + content).digest()[:KEY_BYTES]
        for content, view in zip(contents, views, strict=True)
    ]
    return np.frombuffer(b"".join(digests), np.uint8).reshape(-1, KEY_BYTES)


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _versions() -> dict[str, str]:
    """Versions of the libraries that decode, tokenize and compute."""
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
