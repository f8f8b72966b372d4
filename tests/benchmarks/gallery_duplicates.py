"""What finding all near-duplicates costs: time, memory, and the ratio to the bare products; what is found is complete.

A thousand copies with noise are planted; faiss's range search over a part of the rows stands beside. Goals at
100,000 × 256 on two cores: at most 2 minutes and 2 GB; all planted pairs found.

    python tests/benchmarks/gallery_duplicates.py [ROWS]
"""

from __future__ import annotations

import resource
import sys
import time

import numpy as np

from cross_modal.gallery.duplicates import groups, near_duplicates

DIM, PLANTED, SIDE = 256, 1000, 2048


def rows_with_copies(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Vectors around two hundred centres, and the pairs (P, 2) of which one is a noisy copy of the other."""
    random = np.random.default_rng(0)
    centres = random.standard_normal((200, DIM), np.float32)
    vectors = centres[random.integers(0, 200, count)]
    vectors += random.standard_normal((count, DIM), np.float32)
    pairs = random.choice(count, 2 * PLANTED, replace=False).reshape(-1, 2)
    vectors[pairs[:, 1]] = vectors[pairs[:, 0]] + 0.05 * random.standard_normal((PLANTED, DIM), np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors, np.sort(pairs, axis=1)


def products(vectors: np.ndarray, squares: int) -> float:
    """Seconds of that many bare products of the same size, on as many threads as NumPy likes."""
    left, right = vectors[:SIDE], np.ascontiguousarray(vectors[-SIDE:].T)
    scores = np.empty((len(left), right.shape[1]), np.float32)
    began = time.perf_counter()
    for _ in range(squares):
        np.matmul(left, right, out=scores)
    return time.perf_counter() - began


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    vectors, planted = rows_with_copies(count)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    comparisons = count * (count - 1) / 2
    sample = 60
    for metric, threshold in (("cosine", 0.95), ("euclidean", -0.316)):
        bare = products(vectors, sample)
        began = time.perf_counter()
        pairs = near_duplicates(vectors, threshold, metric)  # type: ignore[arg-type]
        seconds = time.perf_counter() - began
        bare = (bare + products(vectors, sample)) / 2 / sample / SIDE**2 * comparisons
        component = groups(pairs, count)
        found = {*zip(pairs.a.tolist(), pairs.b.tolist(), strict=True)}
        complete = sum((a, b) in found for a, b in planted.tolist())
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        print(
            f"{count:,} × {DIM}, {metric}: {seconds:.1f} s (goal at 100,000: at most 120 s), "
            f"{seconds / bare:.2f}× of the bare products ({bare:.1f} s); peak {peak / 1e6:.2f} GB, "
            f"{(peak - before) / 1e6:.2f} GB above the vectors (goal: at most 2 GB); "
            f"{len(pairs):,} pairs, {component.max() + 1:,} groups, {complete:,} of {PLANTED:,} planted",
            flush=True,
        )
    against_faiss(vectors[: min(count, 20_000)])


def against_faiss(vectors: np.ndarray) -> None:
    """The same by range search, which looks at every pair from both sides."""
    try:
        import faiss
    except ImportError:
        print("faiss is not installed: no comparison")
        return
    index = faiss.IndexFlatIP(DIM)
    index.add(vectors)
    ratios = []
    for _ in range(3):
        began = time.perf_counter()
        ours = near_duplicates(vectors, 0.95, "cosine")
        middle = time.perf_counter()
        limits, _, _ = index.range_search(vectors, 0.95)
        ratios.append((time.perf_counter() - middle) / (middle - began))
    theirs = (int(limits[-1]) - len(vectors)) // 2
    print(
        f"{len(vectors):,} rows: {np.median(ratios):.1f}× as fast as faiss's range search; "
        f"{len(ours):,} and {theirs:,} pairs"
    )


if __name__ == "__main__":
    main()
