"""Pictures a second into a gallery on a ViT-B-32 at 224 px, against a bare loop over the same files.

    python tests/benchmarks/gallery_indexing.py

The bare loop decodes with the same threads, the next batch while this one is encoded, and keeps the embeddings in a
list. Indexing hashes, names, thumbnails and writes to LanceDB besides. Weights are random (no download), which costs
the same. Both run in turns in one process; the figure is the median of the ratios. Goal: 0.95.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from cross_modal.configuration import DataConfig, TwinConfig
from cross_modal.data.decode import decode
from cross_modal.data.items import Items
from cross_modal.encoders.build import build_twin
from cross_modal.encoders.embedding import normalise_pixels
from cross_modal.encoders.twin import TwinEncoder
from cross_modal.gallery.binding import Binding
from cross_modal.gallery.gallery import Gallery
from cross_modal.gallery.indexing import IndexConfig, index_items

PICTURES, ROUNDS, BATCH, GOAL = 192, 5, 64, 0.95
DATA = DataConfig(feature_store=False)


def write_pictures(folder: Path) -> list[str]:
    """Pictures of 640 × 480 as a camera might make them."""
    generator = np.random.default_rng(0)
    paths = [str(folder / f"{number:04d}.jpg") for number in range(PICTURES)]
    for path in paths:
        coarse = generator.integers(0, 256, (24, 32, 3), np.uint8)
        Image.fromarray(coarse).resize((640, 480), Image.Resampling.BICUBIC).save(path, quality=90)
    return paths


def random_twin() -> TwinEncoder:
    """A twin on an open_clip model with random weights."""
    config = TwinConfig()
    config.image.name = config.text.name = "open_clip:ViT-B-32"
    config.image.channels = 3
    return build_twin(config).eval()


@torch.no_grad()
def bare(twin: TwinEncoder, paths: list[str]) -> None:
    """Decodes and encodes, nothing else."""
    trunk = twin.image
    assert trunk is not None

    def pixels(path: str) -> np.ndarray:
        return decode(path, channels=3, size=224, resize=trunk.resize, interpolation=trunk.interpolation)

    found, batch = [], []
    with ThreadPoolExecutor(DATA.workers) as pool:
        for decoded in pool.map(pixels, paths):
            batch.append(decoded)
            if len(batch) == BATCH:
                stacked = torch.from_numpy(np.stack(batch)).permute(0, 3, 1, 2)
                found.append(twin.encode_image(normalise_pixels(stacked, trunk.mean, trunk.std)))
                batch = []


def into_gallery(twin: TwinEncoder, paths: list[str]) -> None:
    """Indexes into a new gallery on disk."""
    items = Items.of(images=paths, labels=["a"] * len(paths), source=str(Path(paths[0]).parent))
    with (
        tempfile.TemporaryDirectory() as name,
        Gallery.create(Path(name) / "refs.gallery", Binding.of(twin)) as gallery,
    ):
        index_items(gallery, twin, items, IndexConfig(batch=BATCH), DATA)


def seconds(work: Callable[[], None]) -> float:
    """Wall-clock seconds of some work."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main() -> None:
    torch.set_num_threads(2)
    with tempfile.TemporaryDirectory() as name:
        paths, twin = write_pictures(Path(name)), random_twin()
        bare(twin, paths[:BATCH])
        into_gallery(twin, paths[:BATCH])
        ratios = []
        for turn in range(ROUNDS):
            works = {"bare": lambda: bare(twin, paths), "gallery": lambda: into_gallery(twin, paths)}
            times = {kind: seconds(works[kind]) for kind in (("bare", "gallery"), ("gallery", "bare"))[turn % 2]}
            ratios.append(times["bare"] / times["gallery"])
            rates = ", ".join(f"{kind} {PICTURES / value:.1f} pictures/s" for kind, value in times.items())
            print(f"  {rates}: ratio {ratios[-1]:.3f}")
    print(f"indexing against the bare encoder: {statistics.median(ratios):.3f}  goal {GOAL}")


if __name__ == "__main__":
    main()
