"""Pictures a second through `Pictures` beside a bare pool of Pillow decoders, at 224 px: paths, and members of shards.

    python tests/benchmarks/decoding.py [--pictures 256] [--workers 2] [--rounds 15]

Photographs of 500 × 375 are made as JPEG. The bare pool does what every decoder must: open, decode, to RGB, resize,
write into the batch, with as many threads. They take turns, so that what else the machine does hits all alike.
`Pictures` checks size and format, turns pictures upright and names a bad one besides. Goal: 0.9 of the bare rate.
"""

from __future__ import annotations

import argparse
import io
import statistics
import tarfile
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from cross_modal.configuration import DataConfig
from cross_modal.data.pictures import Pictures
from cross_modal.data.shards import read_shards

SIDE, BATCH, GOAL = 224, 128, 0.9


def photographs(folder: Path, count: int) -> tuple[list[str], str]:
    """JPEG files with the structure of photographs, and a shard with the same."""
    chance = np.random.default_rng(0)
    paths = []
    with tarfile.open(folder / "shard.tar", "w") as shard:
        for number in range(count):
            coarse = Image.fromarray(chance.integers(0, 255, (12, 16, 3), np.uint8)).resize((500, 375), 3)
            pixels = np.asarray(coarse, np.int16) + chance.integers(-12, 12, (375, 500, 3))
            buffer = io.BytesIO()
            Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(buffer, "JPEG", quality=88)
            path = folder / f"{number:05d}.jpg"
            path.write_bytes(buffer.getvalue())
            paths.append(str(path))
            for name, content in ((path.name, buffer.getvalue()), (f"{number:05d}.cls", str(number).encode())):
                info = tarfile.TarInfo(name)
                info.size = len(content)
                shard.addfile(info, io.BytesIO(content))
    return paths, str(folder / "shard.tar")


def bare_pool(paths: list[str], workers: int) -> Callable[[], None]:
    """Decodes all pictures in batches, with nothing around it."""
    pool = ThreadPoolExecutor(workers)

    def run() -> None:
        for start in range(0, len(paths), BATCH):
            part = paths[start : start + BATCH]
            batch = np.empty((len(part), 3, SIDE, SIDE), np.uint8)

            def decode(place: int, part: list[str] = part, batch: np.ndarray = batch) -> None:
                with Image.open(part[place]) as image:
                    small = image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BICUBIC)
                batch[place] = np.asarray(small).transpose(2, 0, 1)

            list(pool.map(decode, range(len(part))))

    return run


def ours(images: list[str] | np.ndarray, workers: int) -> Callable[[], None]:
    """Decodes all pictures in batches, as a training does whose pictures do not fit into memory."""
    pictures = Pictures(images, 3, SIDE, workers=workers, memory_gigabytes=0, progress=False)

    def run() -> None:
        for start in range(0, len(pictures), BATCH):
            pictures.pixels(np.arange(start, min(start + BATCH, len(pictures))))

    return run


def main() -> None:
    """Prints rates and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=int, default=256)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        paths, shard = photographs(Path(folder), options.pictures)
        members = read_shards(shard, DataConfig()).images
        runs = {
            "bare Pillow pool": bare_pool(paths, options.workers),
            "Pictures, paths": ours(paths, options.workers),
            "Pictures, shard": ours(members, options.workers),
        }
        seconds: dict[str, list[float]] = {name: [] for name in runs}
        spent_cores: dict[str, list[float]] = {name: [] for name in runs}
        for turn in range(options.rounds + 1):
            for name, run in runs.items():
                began, busy = time.perf_counter(), time.process_time()
                run()
                if turn:  # the first warms up
                    seconds[name].append(time.perf_counter() - began)
                    spent_cores[name].append(time.process_time() - busy)
    bare, bare_cores = seconds["bare Pillow pool"], spent_cores["bare Pillow pool"]
    for name, spent in seconds.items():
        ratio = statistics.median(b / s for b, s in zip(bare, spent, strict=True))
        work = min(bare_cores) / min(spent_cores[name])
        busy = statistics.median(c / s for c, s in zip(spent_cores[name], spent, strict=True))
        told = f"{ratio:.2f} of bare {'≥' if ratio >= GOAL else 'BELOW'} {GOAL}, {work:.2f} by processor time"
        rate = options.pictures / statistics.median(spent)
        print(f"{name:18s} {rate:7.0f} pictures/s on {busy:.2f} cores  {'' if spent is bare else told}")


if __name__ == "__main__":
    main()
