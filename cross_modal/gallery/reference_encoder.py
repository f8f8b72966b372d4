"""Encodes references for a gallery: the next pictures are decoded and made small while these go through the twin."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import torch
from PIL import Image

from cross_modal.configuration import DataConfig
from cross_modal.data.items import Items
from cross_modal.data.pictures import Pictures
from cross_modal.embed_items import open_pictures
from cross_modal.encoders.embedding import embed_texts, normalise_pixels
from cross_modal.encoders.twin import TwinEncoder

SMALL = 64  # pixels up to which a thumbnail is kept without loss


class ReferenceEncoder:
    """Embeddings and thumbnails of items.

    Args:
        twin: The twin, in evaluation mode.
        data: How pictures are decoded.
        batch: Pictures or texts in a forward pass.
        thumbnail: Longest side of the small pictures in pixels; 0 makes none.
    """

    def __init__(self, twin: TwinEncoder, data: DataConfig, batch: int, thumbnail: int) -> None:
        # Each picture is wanted once: decoded ones are not kept.
        self.twin, self.data = twin, replace(data, memory_gigabytes=0.0)
        self.batch, self.thumbnail = batch, thumbnail

    def images(self, items: Items, done: Callable[[int], None]) -> tuple[np.ndarray, list[bytes | None]]:
        """Embeds pictures.

        Args:
            items: N items with pictures.
            done: Called with the number of pictures just encoded.

        Returns:
            (N, dim) float32 and N small pictures (PNG or WebP; None where none are wanted).
        """
        trunk = self.twin.image
        assert trunk is not None
        device = next(self.twin.parameters()).device
        pictures = open_pictures(items, self.twin, self.data)
        embeddings, thumbnails = np.empty((len(items), self.twin.dim), np.float32), list[bytes | None]()
        with ThreadPoolExecutor(1, "thumbnail") as drawing, torch.no_grad():
            drawn = []
            for rows, pixels in _ahead(pictures, len(items), self.batch):
                drawn.append(drawing.submit(self._small, pixels))
                batch = normalise_pixels(pixels.to(device), trunk.mean, trunk.std)
                embeddings[rows] = self.twin.encode_image(batch).cpu().numpy()
                done(len(pixels))
            for each in drawn:
                thumbnails += each.result()
        return embeddings, thumbnails

    def texts(self, texts: Sequence[str], done: Callable[[int], None]) -> np.ndarray:
        """(N, dim) float32 embeddings of texts, distinct ones."""
        found = embed_texts(self.twin, texts, batch_size=self.batch)
        done(len(texts))
        return found

    def _small(self, pixels: torch.Tensor) -> list[bytes | None]:
        if not self.thumbnail:
            return [None] * len(pixels)
        return [thumbnail(picture, self.thumbnail) for picture in pixels.permute(0, 2, 3, 1).numpy()]


def thumbnail(pixels: np.ndarray, side: int) -> bytes:
    """A picture as the model sees it, small.

    Args:
        pixels: (H, W, C) uint8, C is 1 or 3.
        side: Longest side of the result.

    Returns:
        PNG where it is tiny anyway, else WebP.

    >>> Image.open(io.BytesIO(thumbnail(np.zeros((200, 100, 3), np.uint8), 50))).size
    (25, 50)
    """
    picture = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
    picture.thumbnail((side, side), Image.Resampling.LANCZOS, reducing_gap=2.0)
    file = io.BytesIO()
    if max(picture.size) <= SMALL:
        picture.save(file, "PNG")
    else:
        picture.save(file, "WEBP", quality=85, method=2)
    return file.getvalue()


def _ahead(pictures: Pictures, count: int, batch: int) -> Iterator[tuple[np.ndarray, torch.Tensor]]:
    """Rows and pixels (B, C, H, W) of each batch, the next one decoded while this one is used."""
    starts = range(0, count, batch)
    with ThreadPoolExecutor(1, "read ahead") as reading:

        def ask(start: int) -> tuple[np.ndarray, torch.Tensor]:
            rows = np.arange(start, min(start + batch, count))
            return rows, pictures.pixels(rows)

        waiting = reading.submit(ask, 0) if count else None
        for start in starts:
            assert waiting is not None
            rows, pixels = waiting.result()
            waiting = reading.submit(ask, start + batch) if start + batch < count else None
            yield rows, pixels
