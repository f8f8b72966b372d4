"""How long shards take to open, and how much memory, whatever their pictures weigh.

    python tests/benchmarks/large_shards.py [--samples 50000] [--kilobytes 2 20]

The same number of samples is written with pictures of each weight, and opened in a child process (`read_shards`:
headers, captions and classes; pictures stay on disk). Memory must not grow with the weight.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

SHARDS = 10


def peak() -> int:
    """The largest resident set so far, in bytes."""
    return 1024 * int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])


def make(folder: Path, samples: int, size: int) -> None:
    """Shards of pictures of so many bytes each, with a caption and a class."""
    for shard in range(SHARDS):
        with tarfile.open(folder / f"{shard:03d}.tar", "w") as archive:
            for number in range(shard * samples // SHARDS, (shard + 1) * samples // SHARDS):
                members = {
                    "jpg": os.urandom(size),
                    "txt": f"caption {number}".encode(),
                    "cls": str(number % 999).encode(),
                }
                for extension, content in members.items():
                    info = tarfile.TarInfo(f"{number:08d}.{extension}")
                    info.size = len(content)
                    archive.addfile(info, io.BytesIO(content))


def child(pattern: str) -> None:
    """Opens the shards; prints what it took."""
    from cross_modal.configuration import DataConfig
    from cross_modal.data.shards import read_shards

    before, began = peak(), time.perf_counter()
    items = read_shards(pattern, DataConfig())
    print(json.dumps({"samples": len(items), "seconds": time.perf_counter() - began, "bytes": peak() - before}))


def main() -> None:
    """Prints seconds and memory for each weight."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=50_000)
    parser.add_argument("--kilobytes", type=int, nargs="+", default=[2, 20])
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(options.child)
        return
    for weight in options.kilobytes:
        with tempfile.TemporaryDirectory() as folder:
            make(Path(folder), options.samples, weight * 1024)
            size = sum(file.stat().st_size for file in Path(folder).iterdir())
            words = [sys.executable, __file__, "--child", f"{folder}/*.tar"]
            told = json.loads(subprocess.run(words, check=True, capture_output=True, text=True).stdout)
        print(
            f"{told['samples']:,} samples of {weight} KB, {size / 1e9:.2f} GB: {told['seconds']:.1f} s "
            f"({1e6 * told['seconds'] / told['samples']:.0f} µs a sample), {told['bytes'] / 1e6:.0f} MB of memory "
            f"({told['bytes'] / told['samples']:.0f} bytes a sample)",
            flush=True,
        )


if __name__ == "__main__":
    main()
