"""Pictures a second into a gallery on a ViT-B-32 at 224 px, against a bare loop over the same files.

    python tests/benchmarks/gallery_indexing.py

The bare loop decodes with as many threads, ahead of the model, and keeps the embeddings in a list. Indexing hashes the
files, names them, draws thumbnails and writes to LanceDB besides. Weights are random (no download), which costs the
same. Both run in turns in one process on a few pictures at a time. Two figures: the median of the ratios by the clock,
and the ratio of the processor's seconds, which other work on the machine does not disturb. Goal: 0.95.
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

PICTURES, TURNS, BATCH, GOAL = 128, 8, 32, 0.95
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
def bare(twin: TwinEncoder, paths: list[str]) -> np.ndarray:
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
    return torch.cat(found).numpy()


def into_gallery(twin: TwinEncoder, binding: Binding, paths: list[str]) -> np.ndarray:
    """Indexes into a new gallery on disk; the embeddings, as that holds them."""
    items = Items.of(images=paths, labels=["a"] * len(paths), source=str(Path(paths[0]).parent))
    with tempfile.TemporaryDirectory() as name, Gallery.create(Path(name) / "refs.gallery", binding) as gallery:
        index_items(gallery, twin, items, IndexConfig(batch=BATCH), DATA, binding=binding)
        return gallery.matrix().vectors


def seconds(work: Callable[[], np.ndarray]) -> np.ndarray:
    """By the clock and of the processor, of some work."""
    start = np.array([time.perf_counter(), time.process_time()])
    work()
    return np.array([time.perf_counter(), time.process_time()]) - start


def main() -> None:
    torch.set_num_threads(2)
    with tempfile.TemporaryDirectory() as name:
        paths, twin = write_pictures(Path(name)), random_twin()
        binding = Binding.of(twin)
        gap = np.abs(bare(twin, paths[:BATCH]) - into_gallery(twin, binding, paths[:BATCH])).max()
        print(f"embeddings differ by {gap:.1e} at most")
        works = {"bare": lambda: bare(twin, paths), "gallery": lambda: into_gallery(twin, binding, paths)}
        spent: dict[str, list[np.ndarray]] = {"bare": [], "gallery": []}
        for turn in range(TURNS):
            for kind in (("bare", "gallery"), ("gallery", "bare"))[turn % 2]:
                spent[kind].append(seconds(works[kind]))
            rates = ", ".join(f"{kind} {PICTURES / times[-1][0]:.1f} pictures/s" for kind, times in spent.items())
            print(f"  {rates}: ratio {spent['bare'][-1][0] / spent['gallery'][-1][0]:.3f}", flush=True)
    pairs = zip(spent["bare"], spent["gallery"], strict=True)
    clock = statistics.median(float(plain[0] / indexed[0]) for plain, indexed in pairs)
    processor = sum(times[1] for times in spent["bare"]) / sum(times[1] for times in spent["gallery"])
    print(f"indexing against the bare encoder: {clock:.3f} by the clock, {processor:.3f} of the processor, goal {GOAL}")


if __name__ == "__main__":
    main()
