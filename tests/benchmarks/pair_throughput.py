"""Items a second of `verify --pairs` on a ViT-B-32 at 224 px, against a bare loop over the same items.

    python tests/benchmarks/pair_throughput.py

The bare loop decodes with a pool of threads and encodes in batches, nothing else, each distinct picture once; the file
names each picture in several pairs. Weights are random (no download), which costs the same. Both run in turns in one
process; the figure is the median of the ratios. Goal: 0.9.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image

from cross_modal.configuration import DataConfig, TwinConfig
from cross_modal.data.decode import decode
from cross_modal.encoders.build import build_twin
from cross_modal.encoders.embedding import normalise_pixels
from cross_modal.encoders.twin import TwinEncoder
from cross_modal.verification.pair_scorer import PairScorer
from cross_modal_mlflow.verification_answer import Verifier
from cross_modal_mlflow.verification_file import verify_file

PICTURES, PAIRS, ROUNDS, BATCH, GOAL = 192, 960, 3, 64, 0.9


def write_data(folder: Path) -> tuple[list[str], Path]:
    """Pictures of 320 × 240 as a camera might make them, and pairs of them."""
    generator = np.random.default_rng(0)
    paths = [str(folder / f"{number:04d}.jpg") for number in range(PICTURES)]
    for path in paths:
        coarse = generator.integers(0, 256, (12, 16, 3), np.uint8)
        Image.fromarray(coarse).resize((320, 240), Image.Resampling.BICUBIC).save(path, quality=90)
    ends = generator.integers(0, PICTURES, (PAIRS, 2))
    ends[:PICTURES, 0] = np.arange(PICTURES)
    ends[:, 1] = np.where(ends[:, 0] == ends[:, 1], (ends[:, 1] + 1) % PICTURES, ends[:, 1])
    file = folder / "pairs.csv"
    table = {"image_a": np.array(paths)[ends[:, 0]], "image_b": np.array(paths)[ends[:, 1]]}
    pd.DataFrame(table).to_csv(file, index=False)
    return paths, file


def random_twin() -> TwinEncoder:
    """A twin on an open_clip model with random weights."""
    config = TwinConfig()
    config.image.name = config.text.name = "open_clip:ViT-B-32"
    config.image.channels = 3
    return build_twin(config).eval()


@torch.no_grad()
def bare(twin: TwinEncoder, paths: list[str]) -> None:
    """Decodes and encodes, the next batch decoded while this one is encoded."""
    trunk = twin.image
    assert trunk is not None
    with ThreadPoolExecutor(2) as pool:
        decoded = pool.map(
            lambda path: decode(path, channels=3, size=224, resize=trunk.resize, interpolation=trunk.interpolation),
            paths,
        )
        batch = []
        for pixels in decoded:
            batch.append(torch.from_numpy(pixels.copy()))
            if len(batch) == BATCH:
                stacked = torch.stack(batch).permute(0, 3, 1, 2)
                twin.encode_image(normalise_pixels(stacked, trunk.mean, trunk.std))
                batch = []


def seconds(work: Callable[[], object]) -> float:
    """Wall-clock seconds of some work."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main() -> None:
    torch.set_num_threads(2)
    with tempfile.TemporaryDirectory() as name:
        paths, file = write_data(Path(name))
        twin = random_twin()
        verifier = Verifier(twin, PairScorer("cosine"), None, DataConfig(feature_store=False))
        bare(twin, paths[:BATCH])
        ratios = []
        for turn in range(ROUNDS):
            works = {"bare": lambda: bare(twin, paths), "file": lambda: verify_file(verifier, file)}
            times = {kind: seconds(works[kind]) for kind in (("bare", "file"), ("file", "bare"))[turn % 2]}
            ratios.append(times["bare"] / times["file"])
            rates = ", ".join(f"{kind} {PICTURES / value:.1f} pictures/s" for kind, value in times.items())
            print(f"  {rates}: ratio {ratios[-1]:.3f}")
    print(f"pair file against the bare encoder: {statistics.median(ratios):.3f}  goal {GOAL}")


if __name__ == "__main__":
    main()
