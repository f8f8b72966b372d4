"""Endless shuffled passes over n things, served k at a time: the order behind balanced batches.

A serving is a function of (key, number of the serving) alone, so that training resumes from its step number. The
shuffle sorts by a hash (SplitMix64: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA
2014) rather than by a library's generator, whose stream may change from one version to the next.
"""

from __future__ import annotations

import numpy as np

MASK = (1 << 64) - 1
GOLDEN = 0x9E3779B97F4A7C15


def mix(value: int) -> int:
    """SplitMix64's finalizer: a 64-bit hash of an integer.

    >>> mix(1) == mix(1), mix(1) == mix(2)
    (True, False)
    """
    value = ((value & MASK) ^ ((value & MASK) >> 30)) * 0xBF58476D1CE4E5B9 & MASK
    value = (value ^ (value >> 27)) * 0x94D049BB133111EB & MASK
    return value ^ (value >> 31)


def key_of(*parts: int) -> int:
    """One 64-bit key from several integers; their order counts.

    >>> key_of(1, 2) == key_of(2, 1)
    False
    """
    key = GOLDEN
    for part in parts:
        key = mix(key + GOLDEN + part)
    return key


def shuffled(count: int, key: int) -> np.ndarray:
    """A permutation of range(count), a function of (count, key) alone.

    Args:
        count: How many things.
        key: A 64-bit key.

    Returns:
        (count,) int64.

    >>> sorted(shuffled(5, 7).tolist())
    [0, 1, 2, 3, 4]
    """
    if count < 24:  # small ones, of which a batch needs many, are faster without NumPy; the numbers are the same
        state, values = key, []
        for _ in range(count):
            state = (state + GOLDEN) & MASK
            values.append(mix(state))
        return np.array(sorted(range(count), key=values.__getitem__), np.int64)
    with np.errstate(over="ignore"):
        hashes = np.arange(1, count + 1, dtype=np.uint64) * np.uint64(GOLDEN) + np.uint64(key)
        hashes = (hashes ^ (hashes >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        hashes = (hashes ^ (hashes >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        hashes ^= hashes >> np.uint64(31)
    return np.argsort(hashes, kind="stable").astype(np.int64)


class EndlessPasses:
    """Shuffled passes over ``count`` things, one after the other, cut into servings of ``take``.

    Every pass holds everything once. A serving that straddles two passes holds nothing twice: the head of the next pass
    is rearranged so that it avoids the tail of the one before.

    >>> passes = EndlessPasses(count=5, take=2, key=0)
    >>> served = np.concatenate([passes.serving(step) for step in range(5)])
    >>> np.bincount(served).tolist()
    [2, 2, 2, 2, 2]
    """

    def __init__(self, count: int, take: int, key: int) -> None:
        """Remembers the sizes; orders are made when asked for.

        Args:
            count: How many things there are, at least 1.
            take: How many a serving holds; fewer where there are not so many.
            key: Names the sequence.
        """
        self.count = count
        self.take = min(take, count)
        self.key = key
        self._orders: dict[int, np.ndarray] = {}

    def serving(self, step: int) -> np.ndarray:
        """The step-th serving: (min(take, count),) int64, distinct."""
        number, offset = divmod(step * self.take, self.count)
        order = self._order(number)
        rest = offset + self.take - self.count
        if rest <= 0:
            return order[offset : offset + self.take]
        return np.concatenate([order[offset:], self._order(number + 1)[:rest]])

    def _tail(self, number: int) -> int:
        """How many things at the end of a pass are served together with the head of the next."""
        return (number + 1) * self.count % self.take

    def _order(self, number: int) -> np.ndarray:
        """The order of one pass."""
        if number in self._orders:
            return self._orders[number]
        order = self._base(number) if self.count >= 2 * self.take else self._replay(number)
        if self.count >= 2 * self.take and number and (tail := self._tail(number - 1)):
            order = self._swap(order, self._base(number - 1)[-tail:], self.take - tail, self._tail(number))
        self._orders = {old: kept for old, kept in self._orders.items() if number - 2 < old <= number} | {number: order}
        return order

    def _base(self, number: int) -> np.ndarray:
        return shuffled(self.count, key_of(self.key, number))

    @staticmethod
    def _swap(order: np.ndarray, avoid: np.ndarray, head: int, tail: int) -> np.ndarray:
        """Moves what is to be avoided out of the head, into the middle; the tail stays (the next pass relies on it)."""
        clash = np.flatnonzero(np.isin(order[:head], avoid))
        if clash.size:
            middle = np.arange(head, len(order) - tail)
            free = middle[~np.isin(order[middle], avoid)][: clash.size]
            order[clash], order[free] = order[free], order[clash]
        return order

    def _replay(self, number: int) -> np.ndarray:
        """The order of a pass where there are few things: its head may reach into its own tail.

        Each pass then depends on the one before, back to one that began with a serving (at most ``take`` passes back).
        """
        first = number
        while first and first - 1 not in self._orders and self._tail(first - 1):
            first -= 1
        order = self._orders.get(first - 1)
        for current in range(first, number + 1):
            base = self._base(current)
            tail = self._tail(current - 1) if current else 0
            if tail and order is not None:
                head = base[~np.isin(base, order[-tail:])][: self.take - tail]
                base = np.concatenate([head, base[~np.isin(base, head)]])
            order = base
        assert order is not None
        return order
