"""One of the two items of a match: a picture or a text, and what a twin makes of it on the way to its embedding."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from cross_modal.configuration import DataConfig
from cross_modal.data.decode import name_of
from cross_modal.data.items import Items
from cross_modal.embed_items import open_pictures
from cross_modal.encoders.embedding import normalise_pixels
from cross_modal.encoders.tokens import Tokens
from cross_modal.encoders.twin import TwinEncoder
from cross_modal.errors import CrossModalError
from cross_modal.explanation.token_embeddings import Modality


@dataclass(frozen=True)
class Side:
    """One of the two items: a picture or a text.

    Attributes:
        image: Path, encoded bytes, or uint8 array (H, W) or (H, W, 3).
        text: A text.

    Raises:
        CrossModalError: Neither, or both: each is explained by itself.
    """

    image: str | bytes | np.ndarray | None = None
    text: str | None = None

    def __post_init__(self) -> None:
        if (self.image is None) == (self.text is None):
            found = "neither" if self.image is None else "both"
            raise CrossModalError(f"side of a match: expected a picture or a text, found {found}")

    @property
    def modality(self) -> Modality:
        """Which of the two it is."""
        return "image" if self.text is None else "text"

    @property
    def name(self) -> str:
        """How messages call it."""
        return name_of(self.image) if self.text is None else f"text {self.text!r}"


@contextmanager
def evaluating(twin: TwinEncoder) -> Iterator[None]:
    """Evaluation mode for a while."""
    training = twin.training
    twin.eval()
    try:
        yield
    finally:
        twin.train(training)


def side_pixels(twin: TwinEncoder, side: Side, data: DataConfig) -> np.ndarray:
    """A side's picture as the twin sees it: (C, H, W) uint8.

    Raises:
        CrossModalError: The twin has no image trunk, or the picture cannot be decoded.
    """
    cells = np.empty(1, object)
    cells[0] = side.image
    items = Items.of(images=cells, source=side.name)
    return open_pictures(items, twin, data).pixels([0])[0].numpy()


def side_tokens(twin: TwinEncoder, side: Side, data: DataConfig) -> Tokens:
    """A side's tokens (1, L, D), on the twin's device."""
    device = next(twin.parameters()).device
    if side.modality == "text":
        if twin.text is None:
            raise CrossModalError(f"{side.name}: expected a twin with a text trunk, found one for pictures only")
        return twin.text(twin.text.tokenize([str(side.text)]).to(device))
    if twin.image is None:
        raise CrossModalError(f"{side.name}: expected a twin with an image trunk, found one for texts only")
    pixels = torch.from_numpy(side_pixels(twin, side, data))[None].to(device)
    return twin.image(normalise_pixels(pixels, twin.image.mean, twin.image.std))


def pool(twin: TwinEncoder, tokens: Tokens, modality: Modality) -> tuple[Tensor, Tensor]:
    """The pooled and projected tokens (B, dim), before any residual, and the pooling's weights (B, Q, H, L)."""
    mapping = twin.image_map if modality == "image" else twin.text_map
    head = twin.head if modality == "image" else twin.text_head or twin.head
    return head(mapping(tokens.values.float()), tokens.mask)


def coverage(twin: TwinEncoder, tokens: Tokens, raw: Tensor) -> float:
    """How much of an embedding pooled tokens make, by length; one where there is nothing else."""
    if twin.residual_gate is None or tokens.pooled is None:
        return 1.0
    base = F.normalize(tokens.pooled.float(), dim=-1) if twin.normalise else tokens.pooled.float()
    added = float((twin.residual_gate.float() * raw.float()).norm())
    return added / max(added + float(base.norm()), 1e-12)
