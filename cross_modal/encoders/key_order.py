"""Finds the row of a 16-byte key among millions: sorted keys and binary search, no Python object a key.

New keys come in small batches while the store fills. They are kept in a short sorted run of their own, which joins the
long one when it has grown to a share of it: each key is sorted a few times in its life, not once a batch.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

KEY_BYTES = 16
_LEAST_JOIN, _JOIN_SHARE = 4096, 8


class _Run(NamedTuple):
    """Sorted keys (n,) S16 and the row of each (n,) int64."""

    keys: np.ndarray
    rows: np.ndarray


class KeyOrder:
    """Keys in order, with their rows.

    Example:
        >>> order = KeyOrder()
        >>> order.add(np.arange(32, dtype=np.uint8).reshape(2, 16), first_row=5)
        >>> order.find(np.stack([np.arange(16, 32), np.zeros(16)]).astype(np.uint8))
        array([ 6, -1])
    """

    def __init__(self) -> None:
        nothing = _Run(np.empty(0, f"S{KEY_BYTES}"), np.empty(0, np.int64))
        self._long, self._short = nothing, nothing

    def add(self, keys: np.ndarray, first_row: int) -> None:
        """Adds keys of consecutive rows.

        Args:
            keys: (n, 16) uint8; none of them added before.
            first_row: The row of the first.
        """
        rows = np.arange(first_row, first_row + len(keys))
        self._short = _joined(self._short, _Run(comparable(keys), rows))
        if len(self._short.keys) > max(_LEAST_JOIN, len(self._long.keys) // _JOIN_SHARE):
            self._long, self._short = _joined(self._long, self._short), _Run(self._short.keys[:0], self._short.rows[:0])

    def find(self, keys: np.ndarray) -> np.ndarray:
        """The row of each key.

        Args:
            keys: (n, 16) uint8.

        Returns:
            (n,) int64; −1 where the key was never added.
        """
        wanted = comparable(keys)
        return np.maximum(_places(self._long, wanted), _places(self._short, wanted))


def comparable(keys: np.ndarray) -> np.ndarray:
    """Keys (n, 16) uint8 as (n,) S16, which numpy orders bytewise; trailing zeros are padding to it, alike for all."""
    return np.ascontiguousarray(keys, np.uint8).view(f"S{KEY_BYTES}").reshape(-1)


def _joined(one: _Run, other: _Run) -> _Run:
    keys, rows = np.concatenate([one.keys, other.keys]), np.concatenate([one.rows, other.rows])
    order = np.argsort(keys, kind="stable")
    return _Run(keys[order], rows[order])


def _places(run: _Run, wanted: np.ndarray) -> np.ndarray:
    """The rows of a run's keys, −1 where it lacks one."""
    if not len(run.keys):
        return np.full(len(wanted), -1, np.int64)
    places = np.minimum(np.searchsorted(run.keys, wanted), len(run.keys) - 1)
    return np.where(run.keys[places] == wanted, run.rows[places], -1)
