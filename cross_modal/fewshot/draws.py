"""Counter-based random draws: the number at (seed, stream, episode, counter) is a hash of exactly these four.

Why not a generator an episode: ``default_rng([seed, episode])`` costs some 20 µs to build and then draws one episode at
a time. A hash gives the same promise (episode e depends on seed and e only, whatever came before it) for all episodes
at once, in plain array arithmetic.

Source: the finaliser of SplitMix64 (Steele, Lea, Flood 2014, "Fast splittable pseudorandom number generators").
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np

from cross_modal.errors import CrossModalError

GOLDEN = np.uint64(0x9E3779B97F4A7C15)


class Stream(IntEnum):
    """What a random number is for: two uses never read the same one."""

    POOL = 1
    UNIT = 2
    CLASS = 3
    ITEM = 4
    GROUP = 5
    QUERY = 6


def scramble(values: np.ndarray) -> np.ndarray:
    """SplitMix64: a bijection of the 64-bit integers whose output looks random.

    Args:
        values: uint64, any shape; not changed.

    Returns:
        uint64 of the same shape.
    """
    mixed = values + GOLDEN
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


def random_bits(seed: int, stream: Stream, episodes: np.ndarray, counters: np.ndarray) -> np.ndarray:
    """Hashes (seed, stream, episode, counter); the last two broadcast.

    Args:
        seed: Any integer ≥ 0.
        stream: What the numbers are for.
        episodes: Integers ≥ 0.
        counters: Integers ≥ 0.

    Returns:
        uint64 of the broadcast shape.

    Raises:
        CrossModalError: The seed is negative.

    >>> bits = random_bits(7, Stream.ITEM, np.arange(3)[:, None], np.arange(2)[None, :])
    >>> bool((bits[2] == random_bits(7, Stream.ITEM, np.array([2]), np.arange(2))).all())
    True
    """
    if seed < 0:
        raise CrossModalError(f"seed: expected an integer of at least 0, found {seed}")
    root = np.random.SeedSequence([seed, int(stream)]).generate_state(1, np.uint64)
    of_episode = scramble(np.asarray(episodes).astype(np.uint64) + root)
    return scramble(of_episode ^ scramble(np.asarray(counters).astype(np.uint64)))


def uniforms(seed: int, stream: Stream, episodes: np.ndarray, counters: np.ndarray) -> np.ndarray:
    """As `random_bits`, as float64 in [0, 1)."""
    return (random_bits(seed, stream, episodes, counters) >> np.uint64(11)) * 2.0**-53


def without_replacement(sizes: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """Draws distinct positions below each row's size, in random order: Fisher–Yates without the array.

    The i-th draw of a row is the value that a shuffled array would hold: position j = i + ⌊u·(n − i)⌋, traced back
    through the earlier swaps. It costs k²/2 array operations whatever the sizes are, so that a class of a million
    items is as cheap as one of ten.

    Args:
        sizes: (M,) integers: how many positions each row has.
        draws: (M, k) float64 in [0, 1).

    Returns:
        (M, k) int64 positions; −1 past the end of a row with fewer than k.

    >>> without_replacement(np.array([3, 1]), np.array([[0.9, 0.0, 0.5], [0.3, 0.3, 0.3]]))
    array([[ 2,  1,  0],
           [ 0, -1, -1]])
    """
    rows, count = draws.shape
    sizes = np.asarray(sizes, np.int64)
    found = np.full((count, rows), -1, np.int64)
    step = 1 << 15  # rows a block: the block's swaps stay in the cache
    for start in range(0, rows, step):
        block = slice(start, start + step)
        left = sizes[block]
        swaps = np.empty((count, len(left)), np.int64)
        for i in range(count):
            room = np.maximum(left - i, 0)
            swaps[i] = i + np.minimum((draws[block, i] * room).astype(np.int64), room - 1)
            position = swaps[i].copy()
            for earlier in range(i - 1, -1, -1):
                np.copyto(position, earlier, where=position == swaps[earlier])
            found[i, block] = np.where(left > i, position, -1)
    return np.ascontiguousarray(found.T)
