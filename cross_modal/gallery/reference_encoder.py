"""Encodes references for a gallery, each picture decoded once, for the model and for its thumbnail alike.

Threads decode ahead while the batch before goes through the twin.
"""

from __future__ import annotations

import io
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import torch
from PIL import Image

from cross_modal.configuration import DataConfig
from cross_modal.data.decode import BadImage, fit, pixels_of, upright
from cross_modal.data.items import Items
from cross_modal.encoders.embedding import embed_texts, normalise_pixels
from cross_modal.encoders.twin import TwinEncoder

SMALL = 64  # pixels up to which a thumbnail is kept without loss
AHEAD = 2  # batches that are decoded before they are wanted
SHARE = 8  # pictures a thread takes at once

#: What one picture became: its embedding (dim,) float32, and a small picture (PNG or WebP) where one is wanted.
Encoded = tuple[np.ndarray, bytes | None]


class ReferenceEncoder:
    """Embeddings and thumbnails of items.

    Args:
        twin: The twin, in evaluation mode.
        data: How pictures are decoded.
        batch: Pictures or texts in a forward pass.
        thumbnail: Longest side of the small pictures in pixels; 0 makes none.
    """

    def __init__(self, twin: TwinEncoder, data: DataConfig, batch: int, thumbnail: int) -> None:
        self.twin, self.data = twin, data
        self.batch, self.thumbnail = batch, thumbnail

    def images(self, items: Items) -> Iterator[Encoded]:
        """Embeds pictures, as they are asked for.

        Args:
            items: N items with pictures.

        Yields:
            What each became, in their order.

        Raises:
            BadImage: Where one cannot be decoded; the message names its row.
        """
        trunk = self.twin.image
        assert trunk is not None
        device = next(self.twin.parameters()).device
        for pixels, thumbnails in self._decoded(items):
            with torch.no_grad():
                batch = normalise_pixels(torch.from_numpy(pixels).to(device), trunk.mean, trunk.std)
                embeddings = self.twin.encode_image(batch).cpu().numpy()
            yield from zip(embeddings, thumbnails, strict=True)

    def texts(self, texts: Sequence[str], done: Callable[[int], None]) -> np.ndarray:
        """(N, dim) float32 embeddings of distinct texts; `done` is told how many were just encoded."""
        return embed_texts(self.twin, texts, batch_size=self.batch, progress=done)

    def _decoded(self, items: Items) -> Iterator[tuple[np.ndarray, list[bytes | None]]]:
        """Pixels (B, C, H, W) uint8 and small pictures of each batch, the next ones under way."""
        starts = range(0, len(items), self.batch)
        if not self.data.workers:
            yield from (_gathered(self._ask(items, start, None)) for start in starts)
            return
        pool = ThreadPoolExecutor(self.data.workers, "decode")
        try:
            waiting = deque(self._ask(items, start, pool) for start in starts[:AHEAD])
            for start in starts:
                ready = _gathered(waiting.popleft())
                if start + AHEAD * self.batch < len(items):
                    waiting.append(self._ask(items, start + AHEAD * self.batch, pool))
                yield ready
        finally:
            pool.shutdown(cancel_futures=True)

    def _ask(self, items: Items, start: int, pool: ThreadPoolExecutor | None) -> _Batch:
        """Has a batch decoded, in shares that write into one array."""
        trunk = self.twin.image
        assert trunk is not None
        rows = range(start, min(start + self.batch, len(items)))
        pixels = np.empty((len(rows), trunk.channels, trunk.size, trunk.size), np.uint8)

        def decode(share: range) -> list[bytes | None]:
            return [self._decode(items, row, pixels[row - start]) for row in share]

        shares = [rows[at : at + SHARE] for at in range(0, len(rows), SHARE)]
        return pixels, [decode(share) if pool is None else pool.submit(decode, share) for share in shares]

    def _decode(self, items: Items, row: int, target: np.ndarray) -> bytes | None:
        """Writes what the model sees into (C, H, W) and returns the picture made small, in its own proportions."""
        trunk = self.twin.image
        assert trunk is not None
        try:
            picture = upright(items.images[row], trunk.channels, self.data.max_pixels)
        except BadImage as error:
            raise BadImage(f"{items.where(row)}: {error}") from None
        target[:] = pixels_of(fit(picture, trunk.size, trunk.resize, trunk.interpolation)).transpose(2, 0, 1)
        return thumbnail(picture, self.thumbnail) if self.thumbnail else None


_Batch = tuple[np.ndarray, list["list[bytes | None] | Future[list[bytes | None]]"]]


def _gathered(batch: _Batch) -> tuple[np.ndarray, list[bytes | None]]:
    pixels, shares = batch
    found = [share.result() if isinstance(share, Future) else share for share in shares]
    return pixels, [small for share in found for small in share]


def thumbnail(picture: Image.Image, side: int) -> bytes:
    """A picture made small, in its own proportions; one that is small already stays as it is.

    Args:
        picture: An "L" or "RGB" picture.
        side: Longest side of the result in pixels.

    Returns:
        PNG where it is tiny, else WebP.

    >>> Image.open(io.BytesIO(thumbnail(Image.new("L", (100, 200)), 50))).size
    (25, 50)
    """
    longest = max(picture.size)
    if longest > side:
        width, height = (max(round(each * side / longest), 1) for each in picture.size)
        # The gap lets Pillow average whole blocks first: three times as fast, and nobody sees it at this size.
        picture = picture.resize((width, height), Image.Resampling.BICUBIC, reducing_gap=1.5)
    file = io.BytesIO()
    if max(picture.size) <= SMALL:
        picture.save(file, "PNG", compress_level=1)
    else:
        picture.save(file, "WEBP", quality=80, method=1)
    return file.getvalue()
