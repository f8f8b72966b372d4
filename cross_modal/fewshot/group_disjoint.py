"""Draws support and query items whose groups never meet in an episode.

A group is a source, a drawer, a session: what would let a model answer from the hand instead of the shape. The promise
is for the whole episode, across its classes: a drawer whose *A* is a support is no query's drawer, of *B* either.

How: in every episode the groups stand in one random order. A class takes its support from its first groups in that
order, so classes with common groups (every drawer drew every character) agree on few of them, and classes with groups
of their own are split each at random. Whatever is in no support's group may be a query. A class whose support would
use up all its groups keeps its smallest one back. A class may end with fewer queries than asked, even none, in an
episode where other classes' supports took its groups; it stays a candidate.
"""

from __future__ import annotations

import numpy as np

from cross_modal.fewshot.draws import Stream, random_bits

CELLS = 1 << 21  # (episode, class, item) cells held at a time
LAST = np.uint64(2**64 - 1)


class GroupDisjointDraw:
    """The items of every class with their groups, padded to the largest class.

    Args:
        items: (M,) int64 item indices, class after class.
        starts: (C + 1,) int64: class c owns ``items[starts[c]:starts[c + 1]]``.
        groups: (M,) int64 group numbers from 0 of the same items.
    """

    def __init__(self, items: np.ndarray, starts: np.ndarray, groups: np.ndarray) -> None:
        counts = np.diff(starts)
        self.width = int(counts.max(initial=1))
        columns = np.arange(self.width)
        self.valid = columns[None, :] < counts[:, None]  # (C, n)
        places = np.minimum(starts[:-1, None] + columns, len(items) - 1)
        self.items = np.where(self.valid, items[places], -1)
        self.groups = np.where(self.valid, groups[places], 0)
        self.number = int(groups.max(initial=0)) + 1
        # Size of each item's group within its class; the smallest group is the one that can be kept back.
        pair = np.repeat(np.arange(len(counts)), counts) * self.number + groups
        _, inverse, sizes = np.unique(pair, return_inverse=True, return_counts=True)
        self.sizes = np.where(self.valid, sizes[inverse][places], len(items) + 1)
        smallest = np.take_along_axis(self.groups, self.sizes.argmin(1)[:, None], 1)
        self.kept_back = self.valid & (self.groups == smallest)

    def eligible(self, shots: int) -> np.ndarray:
        """(C,) bool: the class can give `shots` items and keep a group for queries.

        Args:
            shots: K; with 0 one item is enough.
        """
        counts = self.valid.sum(1)
        return counts >= 1 if shots == 0 else counts - self.kept_back.sum(1) >= shots

    def draw(
        self, classes: np.ndarray, numbers: np.ndarray, shots: int, queries: int, seed: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Draws the items of all episodes.

        Args:
            classes: (E, W) rows of the classes of each episode.
            numbers: (E,) the episodes' numbers, which fix their random order.
            shots: K.
            queries: Q.
            seed: The seed.

        Returns:
            Support (E, W, K) and query (E, W, Q) int64 item indices; −1 where a class has no more queries.
        """
        step = max(1, CELLS // (classes.shape[1] * self.width))
        parts = [
            self._draw(classes[start : start + step], numbers[start : start + step], shots, queries, seed)
            for start in range(0, len(classes), step)
        ]
        return np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])

    def _draw(
        self, classes: np.ndarray, numbers: np.ndarray, shots: int, queries: int, seed: int
    ) -> tuple[np.ndarray, np.ndarray]:
        groups, items, valid = self.groups[classes], self.items[classes], self.valid[classes]  # (e, W, n)
        episode = numbers[:, None, None]
        of_item = random_bits(seed, Stream.ITEM, episode, np.maximum(items, 0))
        of_group = random_bits(seed, Stream.GROUP, episode, groups)
        # Group first (upper 40 bits), item within the group (lower 24): one sort gives both.
        keys = (of_group >> np.uint64(24) << np.uint64(24)) | (of_item >> np.uint64(40))
        keys[~valid] = LAST
        order = np.argsort(keys, axis=2)[..., :shots]
        uses_all = ~self._free(groups, valid, order)
        if uses_all.any():
            keys[uses_all[..., None] & self.kept_back[classes]] = LAST - np.uint64(1)
            order = np.argsort(keys, axis=2)[..., :shots]
        support = np.take_along_axis(items, order, 2)

        taken = np.zeros((len(classes), self.number), bool)
        rows = np.arange(len(classes))[:, None, None]
        taken[rows, np.take_along_axis(groups, order, 2)] = True
        free = valid & ~taken[rows, groups]
        keys = np.where(free, random_bits(seed, Stream.QUERY, episode, np.maximum(items, 0)), LAST)
        order = np.argsort(keys, axis=2)[..., :queries]
        query = np.where(np.take_along_axis(free, order, 2), np.take_along_axis(items, order, 2), -1)
        padding = ((0, 0), (0, 0), (0, queries - query.shape[2]))
        return support, np.pad(query, padding, constant_values=-1)

    @staticmethod
    def _free(groups: np.ndarray, valid: np.ndarray, order: np.ndarray) -> np.ndarray:
        """(e, W) bool: the class has an item outside the groups of its own support."""
        free = valid.copy()
        for shot in range(order.shape[2]):
            free &= groups != np.take_along_axis(groups, order[..., shot : shot + 1], 2)
        return np.asarray(free.any(axis=2))
