"""How long a manifest of five million rows takes to open, and how much memory: CSV and Parquet.

    python tests/benchmarks/large_manifest.py [--rows 5000000] [--pictures 1000000]

The file is made once in a temporary folder: a picture's path, a caption of its own, a label, a split. Then a child
process opens it, and tells seconds and its largest resident set. Two things are timed: reading the rows
(`read_manifest`), and all that a command does before it can start (`read_items` without pictures: splits and class
numbers; with pictures their headers are looked at too, which is a matter of the disk and not of the manifest).
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.csv
import pyarrow.parquet

LABELS = 50_000
IN_A_FOLDER = 1000
LIMIT_SECONDS, LIMIT_BYTES = 20, 1.5e9
CHUNK = 500_000


def make(folder: Path, rows: int, pictures: int) -> None:
    """Writes the manifests, with and without pictures."""
    for start in range(0, pictures, IN_A_FOLDER):
        place = folder / "pictures" / f"{start // IN_A_FOLDER:05d}"
        place.mkdir(parents=True)
        for number in range(start, min(start + IN_A_FOLDER, pictures)):
            (place / f"{number:08d}.jpg").touch()
    writers: dict[str, tuple[object, object]] = {}
    for start in range(0, rows, CHUNK):
        number = np.arange(start, min(start + CHUNK, rows))
        labels = number * LABELS // rows
        shown = number * pictures // rows  # several captions of one picture follow each other
        columns = {
            "image": [f"pictures/{p // IN_A_FOLDER:05d}/{p:08d}.jpg" for p in shown.tolist()],
            "text": [f"the caption of item {n}, which is like no other" for n in number.tolist()],
            "label": [f"class {label:05d}" for label in labels.tolist()],
            "split": ["train" if label % 5 else "test" for label in labels.tolist()],
        }
        for name in ("pictures", "captions"):
            table = pyarrow.table(columns if name == "pictures" else {k: v for k, v in columns.items() if k != "image"})
            if name not in writers:
                writers[name] = (
                    pyarrow.csv.CSVWriter(folder / f"{name}.csv", table.schema),
                    pyarrow.parquet.ParquetWriter(folder / f"{name}.parquet", table.schema),
                )
            for writer in writers[name]:
                writer.write_table(table)
    for pair in writers.values():
        for writer in pair:
            writer.close()


def peak() -> int:
    """The largest resident set so far, in bytes (not `ru_maxrss`, which a child inherits from its parent)."""
    status = Path("/proc/self/status").read_text()
    return 1024 * int(status.split("VmHWM:")[1].split()[0])


def child(file: str, work: str) -> None:
    """Opens one manifest; prints what it took."""
    from cross_modal.configuration import DataConfig
    from cross_modal.data.manifest import read_manifest
    from cross_modal.data.sources import read_items

    already = peak()
    before = resource.getrusage(resource.RUSAGE_SELF)
    began = time.perf_counter()
    items = read_items(file) if work == "items" else read_manifest(file, DataConfig())
    if work == "items":
        assert len(items.classes) == int(items.class_ids.max()) + 1
    seconds = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_SELF)
    print(
        json.dumps(
            {
                "rows": len(items),
                "seconds": round(seconds, 1),
                "processor_seconds": round(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 1),
                "peak_gigabytes": round(peak() / 1e9, 2),
                "gigabytes_before": round(already / 1e9, 2),
            }
        )
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--pictures", type=int, default=1_000_000, help="distinct files that the rows name")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(*options.child)
        return
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        make(Path(folder), options.rows, options.pictures)
        os.sync()  # what is still being written would slow the first reading down
        print(f"made in {time.perf_counter() - began:.0f} s; 1-minute load {os.getloadavg()[0]:.1f}", flush=True)
        for name, work in (("pictures", "manifest"), ("captions", "manifest"), ("captions", "items")):
            for form in ("csv", "parquet"):
                file = f"{folder}/{name}.{form}"
                words = [sys.executable, __file__, "--child", file, work]
                told = json.loads(subprocess.run(words, check=True, capture_output=True, text=True).stdout)
                ok = told["seconds"] <= LIMIT_SECONDS and told["peak_gigabytes"] * 1e9 <= LIMIT_BYTES
                told |= {"megabytes": round(os.path.getsize(file) / 1e6), "within": ok}
                print(f"{name}.{form:8s} {work:9s} {json.dumps(told)}", flush=True)


if __name__ == "__main__":
    main()
