"""Rows for galleries: random embeddings with everything that a column may hold."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from cross_modal.gallery.binding import Binding
from cross_modal.gallery.schema import reference_table

DIM = 6
LABELS = ["greek", "latin", "o'brien", 'say "hi"', "50%", "under_score", "back\\slash", "ελληνικά", None]


def binding(metric: str = "cosine", dim: int = DIM, digest: str = "1a2b" * 16) -> Binding:
    """A model that nobody trained."""
    return Binding(digest, metric, dim, metric == "cosine", "runs:/7/model", "0.1.0")  # type: ignore[arg-type]


def vectors(count: int, *, seed: int = 0, dim: int = DIM, metric: str = "cosine") -> np.ndarray:
    """(count, dim) float32, of length one for cosine."""
    drawn = np.random.default_rng(seed).normal(size=(count, dim))
    return (drawn / np.linalg.norm(drawn, axis=1, keepdims=True) if metric == "cosine" else 3 * drawn).astype(
        np.float32
    )


def rows(ids: Sequence[str], *, seed: int = 0, metric: str = "cosine", **columns: Any) -> pa.Table:
    """Rows of these ids; labels, prices, booleans and thumbnails go round, some missing."""
    count = len(ids)
    given: dict[str, Any] = {
        "kinds": "image",
        "contents": [f"{seed}{place:04x}" for place in range(count)],
        "binding": binding(metric),
        "labels": [LABELS[place % len(LABELS)] for place in range(count)],
        "splits": [("train", "test", None)[place % 3] for place in range(count)],
        "texts": [None if place % 4 == 0 else f"number {place}" for place in range(count)],
        "genuine": [place % 7 != 0 for place in range(count)],
        "sources": "shoes.csv",
        "thumbnails": [None if place % 5 == 0 else f"\x89PNG {place}".encode("latin-1") for place in range(count)],
        "extra": {
            "price": [None if place % 6 == 0 else place / 4 for place in range(count)],
            "size": [None if place % 8 == 0 else place - 10 for place in range(count)],
        },
    }
    given.update(columns)
    return reference_table(ids, vectors(count, seed=seed, metric=metric), **given)


def names(count: int, prefix: str = "r") -> list[str]:
    """Ids that do not sort by their numbers: r0, r1, r10, r11, r2, …"""
    return [f"{prefix}{place}" for place in range(count)]
