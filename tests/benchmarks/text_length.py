"""What computing text on its real length is worth: short captions against open_clip's own `encode_text`, side by side.

Both run the same random ViT-B-32 on the same captions, in turns, so that a busy machine slows both; the ratio is of the
medians, and the largest difference between the embeddings is printed with it. Goal: at least 4 times faster for
captions of at most 16 tokens. Threads that wait for each other on a core that others use distort the ratio, so the load
is printed too: read the figure from an idle machine.

    python tests/benchmarks/text_length.py
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable

import open_clip
import torch
from torch import Tensor

from cross_modal.encoders.open_clip_trunk import load_open_clip

GOAL = 4.0
CAPTIONS = [
    "a photo of a small brown dog that sleeps on a green sofa",
    "two children play football in the rain",
    "greek small letter alpha with tonos",
    "an old red bicycle leans against a stone wall by the river",
]


def main() -> None:
    """Measures and prints the ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="ViT-B-32")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    load = os.getloadavg()[0]

    torch.manual_seed(0)
    _, trunk = load_open_clip(options.model)
    model = open_clip.create_model(options.model).eval()
    getattr(model, "text", model).load_state_dict(trunk.eval().tower.state_dict(), strict=False)
    texts = (CAPTIONS * options.batch)[: options.batch]
    short, full = trunk.tokenize(texts), open_clip.get_tokenizer(options.model)(texts)

    with torch.no_grad():
        ours, theirs = trunk(short).pooled, model.encode_text(full)
        times: tuple[list[float], list[float]] = ([], [])
        for _ in range(options.rounds):
            times[0].append(seconds(trunk, short))
            times[1].append(seconds(model.encode_text, full))
    fast, slow = (statistics.median(series) for series in times)
    print(f"{options.model}, {len(texts)} captions of up to {short.shape[1]} tokens")
    print(f"{options.threads} threads of {os.cpu_count()} cores, load {load:.1f} when it started")
    print(f"open_clip encode_text  {slow * 1000:8.1f} ms  ({full.shape[1]} tokens)")
    print(f"cross-modal trunk      {fast * 1000:8.1f} ms  ({short.shape[1]} tokens)")
    print(f"largest difference     {(ours - theirs).abs().max():.1e}")
    print(
        f"ratio                  {slow / fast:8.1f}×  (goal {GOAL:.0f}×: {'met' if slow / fast >= GOAL else 'missed'})"
    )


def seconds(encode: Callable[[Tensor], object], tokens: Tensor) -> float:
    """Wall-clock time of one call."""
    start = time.perf_counter()
    encode(tokens)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
