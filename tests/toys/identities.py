"""Embeddings of identities: a centre each, items around it."""

from __future__ import annotations

import numpy as np
from toys.clouds import unit


def identities(
    count: int, items: int, dim: int = 16, *, noise: float = 0.5, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """(count · items, dim) float32 of length one, and their labels ("0000", …)."""
    generator = np.random.default_rng(seed)
    centres = generator.normal(size=(count, dim))
    owners = np.repeat(np.arange(count), items)
    rows = centres[owners] + noise * generator.normal(size=(len(owners), dim))
    return unit(rows).astype(np.float32), np.array([f"{owner:04d}" for owner in owners], object)
