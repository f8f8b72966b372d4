"""The embeddings of a request's rows: pictures and texts each in one pass, whatever the rows are for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cross_modal.data.pictures import Pictures
from cross_modal.encoders.embedding import embed_images, embed_texts
from cross_modal.encoders.twin import TwinEncoder
from cross_modal.errors import CrossModalError
from cross_modal_mlflow.request_rows import RequestRows

_THREADS_FROM = 8  # fewer pictures than this are decoded sooner than threads are started


@dataclass(frozen=True)
class RequestEmbeddings:
    """Embeddings of N rows.

    Attributes:
        images: (N, dim) float32 of the pictures, NaN where a row has none.
        texts: (N, dim) float32 of the texts, NaN where a row has none.
    """

    images: np.ndarray
    texts: np.ndarray

    @property
    def has_image(self) -> np.ndarray:
        """(N,) bool."""
        return ~np.isnan(self.images[:, 0])

    @property
    def has_text(self) -> np.ndarray:
        """(N,) bool."""
        return ~np.isnan(self.texts[:, 0])

    def at(self, rows: list[int]) -> RequestEmbeddings:
        """Of these rows alone."""
        return RequestEmbeddings(self.images[rows], self.texts[rows])


def embed_rows(twin: TwinEncoder, rows: RequestRows) -> RequestEmbeddings:
    """Embeds all that the twin has a trunk for.

    Args:
        twin: The twin, in evaluation mode.
        rows: The request.

    Returns:
        The embeddings.

    Raises:
        CrossModalError: A picture that cannot be decoded, or a row with nothing that the twin encodes; names the row.
    """
    pictured = [row for row, cell in enumerate(rows.images) if cell is not None and twin.image is not None]
    worded = [row for row, cell in enumerate(rows.texts) if cell is not None and twin.text is not None]
    lost = sorted(set(range(len(rows))) - set(pictured) - set(worded))
    if lost:
        kind = "an image: this twin encodes no texts" if twin.text is None else "a text: this twin encodes no pictures"
        raise CrossModalError(f"row {lost[0]}: expected {kind}")
    images = np.full((len(rows), twin.dim), np.nan, np.float32)
    texts = images.copy()
    if pictured:
        images[pictured] = _embed_pictures(twin, rows, pictured)
    if worded:
        texts[worded] = embed_texts(twin, [str(rows.texts[row]) for row in worded])
    return RequestEmbeddings(images, texts)


def _embed_pictures(twin: TwinEncoder, rows: RequestRows, pictured: list[int]) -> np.ndarray:
    trunk = twin.image
    assert trunk is not None
    pictures = Pictures(
        rows.images,
        trunk.channels,
        trunk.size,
        trunk.resize,
        workers=2 if len(pictured) >= _THREADS_FROM else 0,
        memory_gigabytes=0.5,
        progress=False,
        interpolation=trunk.interpolation,
        where=lambda row: f"row {row}",
    )
    return embed_images(twin, pictures, np.asarray(pictured, np.int64))
