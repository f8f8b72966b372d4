"""What exact search costs over the bare linear algebra, and over faiss; and what a filter costs.

Contestants take turns, so that a busy machine is busy for all of them; a figure is the median of the ratios of
neighbouring turns. Goals at 100,000 × 256, k = 10: one query at most 1.2× of one matrix-vector product and
argpartition; a thousand queries at least 0.9× the throughput of faiss IndexFlatIP; filtered, recall 1.

    python tests/benchmarks/gallery_search.py
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from cross_modal.fewshot.scoring import Metric
from cross_modal.gallery.exact_scores import halved_squares
from cross_modal.gallery.exact_search import nearest

ROWS, DIM, QUERIES, K = 100_000, 256, 1000, 10


def unit(random: np.random.Generator, count: int) -> np.ndarray:
    """Vectors around two hundred centres, as those of a trained model are."""
    centres = np.random.default_rng(7).standard_normal((200, DIM))
    vectors = centres[random.integers(0, 200, count)] + random.standard_normal((count, DIM))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def compare(
    name: str, ours: Callable[[], object], other: Callable[[], object], count: int, goal: str = "", faster: bool = False
) -> None:
    """Lets both take turns and prints medians and the median ratio of neighbouring turns.

    Args:
        name: What is compared with what.
        ours: Our side.
        other: The other side.
        count: Turns of either.
        goal: What the ratio should be.
        faster: Print how many times as fast ours is, in place of how many times as long it takes.
    """
    ours(), other()  # warm up
    seconds = np.empty((count, 2))
    for turn in range(count):
        for side in (0, 1) if turn % 2 else (1, 0):
            began = time.perf_counter()
            (ours, other)[side]()
            seconds[turn, side] = time.perf_counter() - began
    ratio = np.median(seconds[:, 1] / seconds[:, 0]) if faster else np.median(seconds[:, 0] / seconds[:, 1])
    said = f"{ratio:5.2f}× as fast" if faster else f"{ratio:5.2f}× the time"
    mine, theirs = np.median(seconds, axis=0) * 1e3
    print(f"{name:58s} {mine:9.2f} ms : {theirs:9.2f} ms   {said}   {goal}", flush=True)


def bare(vectors: np.ndarray, query: np.ndarray) -> np.ndarray:
    """One query, as one would write it."""
    return np.argpartition(-(vectors @ query), K)[:K]


def bare_on_one_thread(vectors: np.ndarray, query: np.ndarray) -> np.ndarray:
    """The same, with NumPy held at one thread."""
    with threadpool_limits(1, "blas"):
        return bare(vectors, query)


def bare_batch(vectors: np.ndarray, queries: np.ndarray) -> np.ndarray:
    """A batch, as one would write it: all scores at once."""
    return np.argpartition(-(queries @ vectors.T), K, axis=1)[:, :K]


def torch_batch(vectors: np.ndarray, queries: np.ndarray) -> object:
    """The same with torch, in blocks."""
    import torch

    rows, asked = torch.from_numpy(vectors), torch.from_numpy(queries)
    return [torch.topk(asked @ rows[at : at + 8192].T, K) for at in range(0, len(rows), 8192)]


def against_faiss(vectors: np.ndarray, queries: np.ndarray) -> None:
    """A thousand queries against faiss."""
    try:
        import faiss
    except ImportError:
        print("faiss is not installed: no comparison")
        return
    flats: list[tuple[Metric, Any]] = [("cosine", faiss.IndexFlatIP), ("euclidean", faiss.IndexFlatL2)]
    for metric, flat in flats:
        index = flat(DIM)
        index.add(vectors)
        ours, theirs = partial(nearest, vectors, queries, K, metric), partial(index.search, queries, K)
        compare(f"{QUERIES} queries, {metric} : faiss {flat.__name__}", ours, theirs, 5, "goal: at least 0.9×", True)
        print(f"  rows in the same place as with faiss: {(ours()[0] == theirs()[1]).mean():.3%}")


def filtered(vectors: np.ndarray, queries: np.ndarray, random: np.random.Generator) -> None:
    """Slices of any size: recall, and the time against a search of everything."""
    for share in (0.001, 0.01, 0.1, 0.3, 0.5, 0.6, 0.7, 0.9):
        rows = np.flatnonzero(random.random(len(vectors)) < share)
        scores = queries[:20].astype(np.float64) @ vectors[rows].T.astype(np.float64)
        best = rows[np.argsort(-scores, axis=1, kind="stable")[:, :K]]
        recall = (nearest(vectors, queries[:20], K, "cosine", rows)[0] == best).mean()
        name = f"one query among {share:.1%}, recall {recall:.3f} : everything"
        compare(name, partial(nearest, vectors, queries[:1], K, "cosine", rows),
                partial(nearest, vectors, queries[:1], K, "cosine"), 15, "goal: recall 1")  # fmt: skip


def main() -> None:
    random = np.random.default_rng(0)
    vectors, queries = unit(random, ROWS), unit(random, QUERIES)
    if os.environ.get("OMP_NUM_THREADS"):
        print("note: OMP_NUM_THREADS is set; NumPy and faiss keep to it")
    one, halves = queries[:1], halved_squares(vectors)
    alone = partial(nearest, vectors, one, K, "cosine")
    goal = "goal: at most 1.2×"
    compare("one query, cosine : product, argpartition", alone, partial(bare, vectors, one[0]), 51, goal)
    distance = partial(nearest, vectors, one, K, "euclidean", None, halves)
    compare("one query, Euclidean : product, argpartition", distance, partial(bare, vectors, one[0]), 51, goal)
    compare("one query, cosine : the same on one thread", alone, partial(bare_on_one_thread, vectors, one[0]), 31)
    some = queries[:100]
    compare("100 queries, cosine : product, argpartition", partial(nearest, vectors, some, K, "cosine"),
            partial(bare_batch, vectors, some), 5, faster=True)  # fmt: skip
    compare(f"{QUERIES} queries, cosine : torch in blocks, topk", partial(nearest, vectors, queries, K, "cosine"),
            partial(torch_batch, vectors, queries), 3, faster=True)  # fmt: skip
    against_faiss(vectors, queries)
    filtered(vectors, queries, random)


if __name__ == "__main__":
    main()
