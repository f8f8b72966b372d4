"""One folder of the feature store: what one trunk, set up in one way, gave for items; ragged rows of tokens in fp16.

Three files that only grow: `values.f16` (tokens, one behind the other), `pooled.f16` (the trunk's own embeddings) and
`index.bin` (which row is where). A writer holds a lock and writes them in this order, so that a row is either whole or
not there: after `kill -9` or on a full disk nothing has to be repaired. Readers take no lock; they gather rows from
memory maps, which the system's page cache shares among all processes.
"""

from __future__ import annotations

import errno
import os
import threading
import weakref
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

import numpy as np
from filelock import FileLock

from cross_modal.encoders.entry_use import folder_size, sign_in, sign_out
from cross_modal.encoders.feature_checks import as_half, check_shapes, checked_keys
from cross_modal.encoders.feature_index import HALF, INDEX, POOLED, VALUES, FeatureIndex, header, records, size_of
from cross_modal.encoders.key_order import comparable
from cross_modal.errors import CrossModalError

WRITER_LOCK = "writer.lock"
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class StoreFull(CrossModalError):
    """Features that fit neither under the limit of the store nor on the disk."""


class StoredTokens(NamedTuple):
    """Rows of an entry, padded to the longest of them; numpy's twin of `cross_modal.encoders.tokens.Tokens`.

    Attributes:
        values: (N, L, D) float16, zeros behind a row's last token.
        mask: (N, L) bool, true where the token is real.
        pooled: (N, E) float16; None where the trunk has no embedding of its own.
    """

    values: np.ndarray
    mask: np.ndarray
    pooled: np.ndarray | None


class FeatureEntry:
    """Rows of features, found by key; `FeatureStore.entry` opens it. While it is open, nobody evicts it.

    Args:
        folder: The entry's folder, which exists.
        make_room: Called with a number of bytes before they are written; raises `StoreFull` where they do not fit.
    """

    def __init__(self, folder: Path, make_room: Callable[[int], None]) -> None:
        self.folder = folder
        self._make_room = make_room
        self._index = FeatureIndex(folder)
        self._values, self._pooled = np.empty((0, 1), HALF), np.empty((0, 1), HALF)
        self._lock = threading.Lock()
        self._finish = weakref.finalize(self, sign_out, folder, sign_in(folder), os.getpid())
        self._index.refresh()

    def __enter__(self) -> FeatureEntry:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def __len__(self) -> int:
        """How many rows are whole, those of other processes included."""
        with self._lock:
            self._index.refresh()
            return self._index.rows

    @property
    def size_bytes(self) -> int:
        """The size of the entry's files in bytes."""
        return folder_size(self.folder)

    def close(self) -> None:
        """Says that the entry is no longer in use, from where on it may be evicted; leaving the process says so too."""
        self._finish()

    def find(self, keys: np.ndarray) -> np.ndarray:
        """The rows of keys.

        Args:
            keys: (N, 16) uint8, the hash of the item's content and its view.

        Returns:
            (N,) int64, −1 where a key has no row (yet).

        Raises:
            CrossModalError: If the keys are of another shape or type.
        """
        keys = checked_keys(keys)
        with self._lock:
            self._index.refresh()
            return self._index.find(keys)

    def read(self, rows: np.ndarray) -> StoredTokens:
        """Gathers rows: copies of what is mapped, in the order asked for.

        Args:
            rows: (N,) int, what `find` gave, without −1.

        Returns:
            The rows' tokens, as many as the longest of them has.

        Raises:
            CrossModalError: If a row is not there.
        """
        rows = np.asarray(rows, np.int64).reshape(-1)
        least, most = (int(rows.min()), int(rows.max())) if len(rows) else (0, -1)
        with self._lock:
            if most >= self._index.rows:
                self._index.refresh()
            if least < 0 or most >= self._index.rows:
                row = least if least < 0 else most
                raise CrossModalError(f"{self.folder}: expected rows 0 to {self._index.rows - 1}, found {row}")
            starts, lengths = self._index.spans(rows)
            if (starts + lengths).max(initial=0) > len(self._values) or not self._values.size:
                self._map()
            values, pooled, length = self._values, self._pooled, self._index.length
        if length is not None:
            gathered = np.take(values.reshape(-1, length, values.shape[1]), rows, axis=0, mode="clip")
            mask = np.ones(gathered.shape[:2], bool)
        else:
            gathered, mask = _gather_ragged(values, starts, lengths)
        return StoredTokens(gathered, mask, np.take(pooled, rows, axis=0, mode="clip") if pooled.size else None)

    def append(
        self, keys: np.ndarray, values: np.ndarray, lengths: np.ndarray, pooled: np.ndarray | None = None
    ) -> None:
        """Adds rows, all of them whole or, where the process dies, some of the first; keys that have a row are skipped.

        Args:
            keys: (N, 16) uint8, the hash of the item's content and its view.
            values: (T, D) float, the tokens of all rows one behind the other, T = Σ lengths; kept as float16.
            lengths: (N,) int, tokens of each row, at least 1.
            pooled: (N, E) float, the trunk's own embeddings; None where it has none, then always.

        Raises:
            CrossModalError: If shapes do not fit each other or the rows already there, or a number is not finite in
                half precision.
            StoreFull: If the limit of the store or the disk leaves no room; nothing of the rows is kept.
        """
        keys, lengths, values = checked_keys(keys), np.asarray(lengths).astype(np.int64), np.asarray(values)
        pooled = None if pooled is None else np.asarray(pooled)
        check_shapes(keys, values, lengths, pooled)
        if not len(keys):
            return
        owners = np.repeat(np.arange(len(keys)), lengths)
        halves = as_half(values, keys, owners, "token values")
        pooled_halves = None if pooled is None else as_half(pooled, keys, np.arange(len(keys)), "pooled")
        with self._lock, FileLock(self._lock_path()):
            self._index.refresh()
            self._check_widths(values.shape[1], 0 if pooled is None else pooled.shape[1])
            fresh = np.zeros(len(keys), bool)
            fresh[np.unique(comparable(keys), return_index=True)[1]] = True
            fresh &= self._index.find(keys) < 0
            if not fresh.any():
                return
            if not fresh.all():
                halves = halves[fresh[owners]]
                pooled_halves = None if pooled_halves is None else pooled_halves[fresh]
            self._write(keys[fresh], halves, lengths[fresh], pooled_halves)
            self._index.refresh()

    def _write(self, keys: np.ndarray, values: np.ndarray, lengths: np.ndarray, pooled: np.ndarray | None) -> None:
        """Writes whole rows behind the whole ones: values, pooled, and last the records that make them count."""
        index = self._index
        lines = b"" if index.end else header(values.shape[1], 0 if pooled is None else pooled.shape[1])
        lines += records(keys, lengths, index.tokens)
        self._make_room(values.nbytes + len(lines) + (0 if pooled is None else pooled.nbytes))
        ends = {VALUES: HALF.itemsize * index.tokens * values.shape[1], INDEX: index.end}
        if pooled is not None:
            ends[POOLED] = HALF.itemsize * index.rows * pooled.shape[1]
        try:
            _write_at(self.folder / INDEX, index.end, b"")  # a torn record must not meet the values of a new row
            _write_at(self.folder / VALUES, ends[VALUES], values.data.cast("B"))
            if pooled is not None:
                _write_at(self.folder / POOLED, ends[POOLED], pooled.data.cast("B"))
            _write_at(self.folder / INDEX, ends[INDEX], lines)
        except OSError as error:
            for name, end in ends.items():
                with suppress(OSError):
                    os.truncate(self.folder / name, end)
            if error.errno not in _FULL:
                raise CrossModalError(f"{self.folder}: expected to write features, found: {error.strerror}") from None
            raise StoreFull(f"{self.folder}: expected room for {values.nbytes:,} bytes, found a full disk") from None

    def _map(self) -> None:
        """Maps the files as far as rows are whole."""
        index = self._index
        if index.tokens and index.width:
            self._values = _mapped(self.folder / VALUES, (index.tokens, index.width))
        if index.rows and index.pooled_width:
            self._pooled = _mapped(self.folder / POOLED, (index.rows, index.pooled_width))

    def _check_widths(self, width: int, pooled_width: int) -> None:
        found, held = (width, pooled_width), (self._index.width, self._index.pooled_width)
        if held[0] is not None and found != held:
            raise CrossModalError(
                f"{self.folder}: expected rows of width {held[0]} with pooled width {held[1]} (0: none), as those "
                f"already stored, found {found[0]} and {found[1]}"
            )

    def _lock_path(self) -> Path:
        if not self.folder.is_dir():
            raise CrossModalError(f"{self.folder}: expected the folder of an open feature entry, found it pruned")
        return self.folder / WRITER_LOCK


def _mapped(path: Path, shape: tuple[int, int]) -> np.ndarray:
    """A file as an array that only reads."""
    return np.memmap(path, HALF, "r", shape=shape).view(np.ndarray)


def _gather_ragged(values: np.ndarray, starts: np.ndarray, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows of unequal length: each padded with its last token, which is then blanked; values (N, L, D), mask (N, L)."""
    places = np.arange(lengths.max(initial=0))
    mask = places < lengths[:, None]
    tokens = starts[:, None] + np.minimum(places, lengths[:, None] - 1)
    gathered = np.take(values, tokens, axis=0, mode="clip")
    if not mask.all():
        gathered[~mask] = 0
    return gathered, mask


def _write_at(path: Path, end: int, content: bytes | memoryview) -> None:
    """Writes behind the first `end` bytes, cutting off a torn tail, and waits until the disk has it."""
    if not content and size_of(path) <= end:
        return
    with open(path, "r+b" if path.exists() else "w+b") as file:
        file.truncate(end)
        file.seek(end)
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
