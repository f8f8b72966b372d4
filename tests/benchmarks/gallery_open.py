"""Seconds from a gallery on disk to its first answer, after imports; and what an approximate index would buy.

    python tests/benchmarks/gallery_open.py [--rows 100000] [--dim 256] [--index]

Beside it stands what no gallery can be quicker than: reading the same vectors from one .npy file and multiplying once,
in the same process. Goal: 1.5 s at 100k × 256. Rows have labels, texts, paths and thumbnails, which opening must not
read. The gallery is written in 2,048-row commits, as `cross-modal index` writes it, and optimised once.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa

from cross_modal.gallery import exact_search  # noqa: F401
from cross_modal.gallery.backends import lance  # noqa: F401
from cross_modal.gallery.binding import Binding
from cross_modal.gallery.filter import Filter
from cross_modal.gallery.gallery import Gallery

GOAL, COMMIT, THUMBNAIL = 1.5, 2048, 2000


def write(folder: str, vectors: np.ndarray) -> None:
    """Rows as indexing writes them."""
    count, dim = vectors.shape
    chance = np.random.default_rng(1)
    with Gallery.create(folder, Binding("1a2b", "cosine", dim, True)) as gallery:
        for at in range(0, count, COMMIT):
            places = range(at, min(at + COMMIT, count))
            some = vectors[at : at + COMMIT]
            columns = {
                "id": [f"shoes/{place:07d}.jpg" for place in places],
                "kind": ["image"] * len(some),
                "label": [f"class {place % 500}" for place in places],
                "text": [f"a photo of shoe number {place} in a shop window" for place in places],
                "image": [f"/data/catalogue/shoes/{place:07d}.jpg" for place in places],
                "content": [f"{place:064x}" for place in places],
                "thumbnail": [chance.bytes(THUMBNAIL) for _ in places],
                "vector": pa.FixedSizeListArray.from_arrays(pa.array(some.reshape(-1)), dim),
            }
            gallery.upsert(pa.table(columns))
        gallery.optimise()


def main() -> None:
    """Prints seconds, each with its ratio to the floor."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--dim", type=int, default=256)
    parser.add_argument("--index", action="store_true", help="also build IVF_PQ and measure its recall")
    options = parser.parse_args()
    chance = np.random.default_rng(0)
    centres = chance.normal(size=(500, options.dim)).astype(np.float32)
    vectors = centres[chance.integers(500, size=options.rows)]
    vectors += chance.normal(size=vectors.shape).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    query = vectors[123]
    import lancedb  # noqa: F401

    with tempfile.TemporaryDirectory() as folder:
        begin = time.perf_counter()
        write(f"{folder}/refs.gallery", vectors)
        size = sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())
        print(f"written: {time.perf_counter() - begin:.1f} s, {size / 2**20:.0f} MiB on disk")
        np.save(f"{folder}/vectors.npy", vectors)
        for attempt in ("first", "again"):
            begin = time.perf_counter()
            np.argpartition(np.load(f"{folder}/vectors.npy") @ query, -10)
            floor = time.perf_counter() - begin
            begin = time.perf_counter()
            gallery = Gallery.open(f"{folder}/refs.gallery")
            hits = gallery.search(query, 10)
            opened = time.perf_counter() - begin
            assert hits.ids[0, 0] == "shoes/0000123.jpg"
            verdict = "meets" if opened <= GOAL else "MISSES"
            print(f"{attempt}: open and answer {opened:.2f} s ({opened / floor:.1f}× the floor), {verdict} {GOAL} s")
            begin = time.perf_counter()
            found = gallery.search(query, 10, Filter.parse("label=class 7|class 8"))
            taken = 1000 * (time.perf_counter() - begin)
            print(f"  then filtered (2 of 500 classes): {taken:.1f} ms, exact {found.exact}")
            begin = time.perf_counter()
            gallery.search(query, 10)
            print(f"  then another: {1000 * (time.perf_counter() - begin):.1f} ms")
            gallery.close()
        if options.index:
            with Gallery.open(f"{folder}/refs.gallery") as gallery:
                facts = gallery.build_index()
                print(
                    f"IVF_PQ: built in {facts.seconds:.0f} s, recall@10 {facts.recall:.3f} on {facts.queries} queries, "
                    f"{facts.milliseconds:.1f} ms against {facts.exact_milliseconds:.1f} ms exact"
                )


if __name__ == "__main__":
    main()
