"""Cross-batch memory for two modalities: a ring of past embeddings for each, so that small batches see many negatives.

Wang et al., "Cross-Batch Memory for Embedding Learning", CVPR 2020. The rings hold detached embeddings and their class
ids and are *added* to the live references, which keep their gradient: both towers learn. Cursor and fill level are
buffers, so a resumed run goes on with the memory it had. Embeddings of the first steps go stale at once, hence the
warm-up.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Ring(nn.Module):
    """A ring buffer of embeddings and class ids.

    Args:
        size: Rows.
        dim: Size of an embedding.
    """

    rows: Tensor
    ids: Tensor
    cursor: Tensor
    filled: Tensor

    def __init__(self, size: int, dim: int) -> None:
        super().__init__()
        self.size = size
        self.register_buffer("rows", torch.zeros(size, dim))
        self.register_buffer("ids", torch.full((size,), -1, dtype=torch.int64))
        self.register_buffer("cursor", torch.zeros((), dtype=torch.int64))
        self.register_buffer("filled", torch.zeros((), dtype=torch.int64))

    @torch.no_grad()
    def add(self, rows: Tensor, ids: Tensor) -> None:
        """Overwrites the oldest rows; of a batch larger than the ring the last rows stay.

        Args:
            rows: Float (B, dim).
            ids: Int64 (B,).
        """
        rows, ids = rows.detach()[-self.size :], ids[-self.size :]
        places = (self.cursor + torch.arange(len(rows), device=self.rows.device)) % self.size
        self.rows[places] = rows.to(self.rows)
        self.ids[places] = ids.to(self.ids)
        self.cursor.copy_((self.cursor + len(rows)) % self.size)
        self.filled.copy_((self.filled + len(rows)).clamp(max=self.size))

    def read(self) -> tuple[Tensor, Tensor]:
        """The filled rows (M, dim) and their ids (M,), as copies that a later `add` leaves alone."""
        filled = int(self.filled)
        return self.rows[:filled].clone(), self.ids[:filled].clone()


class Memory(nn.Module):
    """The two rings.

    Args:
        size: Rows a modality.
        dim: Size of an embedding.
        warm_up: Steps before the memory is read.
    """

    steps: Tensor

    def __init__(self, size: int, dim: int, warm_up: int) -> None:
        super().__init__()
        self.warm_up = warm_up
        self.image = Ring(size, dim)
        self.text = Ring(size, dim)
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    def add(self, image: Tensor | None, image_ids: Tensor, text: Tensor | None, text_ids: Tensor) -> None:
        """Stores one step's embeddings."""
        if image is not None:
            self.image.add(image, image_ids)
        if text is not None:
            self.text.add(text, text_ids)
        self.steps += 1

    def read(self, modality: str) -> tuple[Tensor, Tensor] | None:
        """Rows and ids of the modality "image" or "text"; None while warming up or empty."""
        if int(self.steps) < self.warm_up:
            return None
        rows, ids = (self.image if modality == "image" else self.text).read()
        return (rows, ids) if len(rows) else None
