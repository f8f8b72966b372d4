"""Random numbers that are a function of (seed, step, row, column): no state, no order, no worker.

Augmentation must not depend on which process decodes a picture or how often training was interrupted. A counter-based
generator has nothing to save: the number is a hash of its coordinates. The mixer is SplitMix64 (Steele, Lea & Flood,
"Fast splittable pseudorandom number generators", OOPSLA 2014), applied once a coordinate, on whole arrays.
"""

from __future__ import annotations

import numpy as np

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


def _mix(state: np.ndarray) -> np.ndarray:
    """One round of SplitMix64 on an array of uint64."""
    state = state + _GOLDEN
    state = (state ^ (state >> np.uint64(30))) * _FIRST
    state = (state ^ (state >> np.uint64(27))) * _SECOND
    return state ^ (state >> np.uint64(31))


def uniform(seed: int, step: int, rows: np.ndarray, columns: int, *, stream: int = 0) -> np.ndarray:
    """Uniform numbers in [0, 1).

    Args:
        seed: The run's seed.
        step: The step.
        rows: (B,) integers that tell the rows apart, e.g. data-set rows.
        columns: How many numbers a row gets.
        stream: Tells apart draws for different purposes in the same step.

    Returns:
        (B, columns) float64.

    Example:
        >>> a = uniform(0, 7, np.array([3, 5]), 2)
        >>> b = uniform(0, 7, np.array([5]), 2)
        >>> bool((a[1] == b[0]).all())
        True
    """
    with np.errstate(over="ignore"):
        key = _mix(np.array([seed & 0xFFFFFFFFFFFFFFFF], np.uint64))
        key = _mix(key ^ np.uint64(stream))
        key = _mix(key ^ np.uint64(step))
        keys = _mix(key ^ np.asarray(rows).astype(np.uint64))  # (B,)
        bits = _mix(keys[:, None] ^ np.arange(columns, dtype=np.uint64)[None, :])  # (B, columns)
    return (bits >> np.uint64(11)).astype(np.float64) * 2.0**-53


def normal(seed: int, step: int, rows: np.ndarray, columns: int, *, stream: int = 0) -> np.ndarray:
    """Standard normal numbers (B, columns) float64, from `uniform` by Box & Muller's transform (1958)."""
    u = uniform(seed, step, rows, 2 * columns, stream=stream)
    radius = np.sqrt(-2.0 * np.log1p(-u[:, :columns]))
    return radius * np.cos(2.0 * np.pi * u[:, columns:])
