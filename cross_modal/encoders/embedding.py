"""Embeds many items: batches through a twin in evaluation mode, into one array.

Distinct texts are encoded once however often they occur, and in order of length, so that a batch holds little padding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor

from cross_modal.data.pictures import Pictures
from cross_modal.encoders.twin import TwinEncoder

Progress = Callable[[int], None]  # told how many more items are done


BATCH, SMALL_BATCH = 256, 64  # pictures a forward pass
LARGE = 128  # pixels a side from which a small batch is faster


def normalise_pixels(pixels: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """Scales pixels (B, C, H, W) from uint8 in 0–255 to float, with the trunk's mean and standard deviation."""
    centre = torch.tensor(mean, device=pixels.device).view(1, -1, 1, 1)
    width = torch.tensor(std, device=pixels.device).view(1, -1, 1, 1)
    return (pixels.float().div_(255) - centre) / width


@torch.no_grad()
def embed_images(
    twin: TwinEncoder,
    pictures: Pictures,
    indices: np.ndarray,
    *,
    batch_size: int | None = None,
    progress: Progress | None = None,
) -> np.ndarray:
    """Embeds pictures; the next batch is decoded while this one is encoded.

    Args:
        twin: The twin; its mode is restored afterwards.
        pictures: The decoded pictures.
        indices: (N,) int64 rows of `pictures`.
        batch_size: Pictures a forward pass; None takes 256 small ones, or 64 of 128 pixels and more: a batch whose
            activations leave the caches is slower, not faster.
        progress: Called with the number of pictures just done.

    Returns:
        (N, dim) float32.
    """
    trunk = twin.image
    assert trunk is not None
    was_training, device = twin.training, next(twin.parameters()).device
    twin.eval()
    size = batch_size or (SMALL_BATCH if trunk.size >= LARGE else BATCH)
    parts = []
    for pixels in _ahead(pictures, indices, size):
        parts.append(twin.encode_image(normalise_pixels(pixels.to(device), trunk.mean, trunk.std)).cpu())
        if progress:
            progress(len(pixels))
    twin.train(was_training)
    return torch.cat(parts).numpy() if parts else np.zeros((0, twin.dim), np.float32)


@torch.no_grad()
def embed_texts(
    twin: TwinEncoder, texts: Sequence[str], *, batch_size: int = 256, progress: Progress | None = None
) -> np.ndarray:
    """Embeds texts.

    Args:
        twin: The twin; its mode is restored afterwards.
        texts: N texts.
        batch_size: Distinct texts a forward pass.
        progress: Called with the number of distinct texts just done.

    Returns:
        (N, dim) float32.
    """
    trunk = twin.text
    assert trunk is not None
    # No array of strings: NumPy would give each the room of the longest.
    distinct = sorted({str(text) for text in texts})
    place = {text: row for row, text in enumerate(distinct)}
    by_length = np.argsort([len(text) for text in distinct], kind="stable")
    was_training, device = twin.training, next(twin.parameters()).device
    twin.eval()
    embeddings = np.zeros((len(distinct), twin.dim), np.float32)
    for start in range(0, len(distinct), batch_size):
        rows = by_length[start : start + batch_size]
        tokens = trunk.tokenize([distinct[row] for row in rows.tolist()]).to(device)
        embeddings[rows] = twin.encode_text(tokens).cpu().numpy()
        if progress:
            progress(len(rows))
    twin.train(was_training)
    return embeddings[[place[str(text)] for text in texts]]


def _ahead(pictures: Pictures, indices: np.ndarray, size: int) -> Iterator[Tensor]:
    """Pixels of batch after batch, the next one decoded meanwhile."""
    batches = [indices[start : start + size] for start in range(0, len(indices), size)]
    with ThreadPoolExecutor(1, "decode ahead") as pool:
        waiting = [pool.submit(pictures.pixels, batch) for batch in batches[:1]]
        for following in range(1, len(batches) + 1):
            pixels = waiting.pop().result()
            waiting = [pool.submit(pictures.pixels, batch) for batch in batches[following : following + 1]]
            yield pixels
