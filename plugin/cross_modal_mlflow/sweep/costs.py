"""What a twin costs where it serves: the time to encode one picture and one text, and the memory of its weights."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cross_modal.encoders.twin import TwinEncoder

REPEATS, WARM_UP = 21, 3
MEGABYTE = 10**6
TEXT = "a small red cross on a white ground"


def latency_ms(twin: TwinEncoder, text: str = TEXT, repeats: int = REPEATS) -> float:
    """Milliseconds that encoding one picture and one text takes, one after the other, as one request would.

    Args:
        twin: The twin, on the device that is measured; its mode is restored.
        text: The text; its length matters.
        repeats: How often each is encoded, after a warm-up.

    Returns:
        The median for a picture plus the median for a text; a side that the twin lacks costs nothing. Decoding is not
        part of it, tokenizing is.
    """
    import torch

    device, was_training = next(twin.parameters()).device, twin.training
    twin.eval()
    total = 0.0
    with torch.inference_mode():
        if twin.image is not None:
            pixels = torch.zeros(1, twin.image.channels, twin.image.size, twin.image.size, device=device)
            total += _median_ms(lambda: twin.encode_image(pixels).cpu(), repeats)
        trunk = twin.text
        if trunk is not None:
            total += _median_ms(lambda: twin.encode_text(trunk.tokenize([text]).to(device)).cpu(), repeats)
    twin.train(was_training)
    return total


def weights_mb(twin: TwinEncoder) -> float:
    """Megabytes (10⁶ bytes) of the twin's weights and buffers as they lie in memory; shared ones count once."""
    tensors = {tensor.data_ptr(): tensor for tensor in (*twin.parameters(), *twin.buffers()) if tensor.numel()}
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors.values()) / MEGABYTE


def _median_ms(work: Callable[[], object], repeats: int) -> float:
    """The median of some runs, which one interruption does not move."""
    spent = []
    for _ in range(WARM_UP + repeats):
        began = time.perf_counter()
        work()
        spent.append(time.perf_counter() - began)
    return 1000 * sorted(spent[WARM_UP:])[repeats // 2]
