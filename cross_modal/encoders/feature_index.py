"""The record file of a feature entry: which row belongs to which key, and where its tokens lie.

`index.bin` is a header and one record of 32 bytes a row, each with a checksum. Records are written after the values
that they speak of, so what the index says is whole *is* whole: a process killed in the middle of a write leaves a tail
that no valid record names. Readers stop at the first record that does not hold; the next writer cuts off what follows.
Nothing here takes a lock: a reader sees the records that were complete when it looked.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from cross_modal.encoders.key_order import KEY_BYTES, KeyOrder
from cross_modal.errors import CrossModalError

INDEX, VALUES, POOLED = "index.bin", "values.f16", "pooled.f16"
HALF = np.dtype("<f2")
RECORD = np.dtype([("key", "u1", (KEY_BYTES,)), ("start", "<u8"), ("length", "<u4"), ("check", "<u4")])
LONGEST = int(np.iinfo(np.uint32).max)
_FORMAT, _MAGIC = 1, np.frombuffer(b"features", "<u4")
_WORDS = RECORD.itemsize // 4
_SALT, _ODD = np.uint32(0x5EED_F00D), np.uint32(0x9E37_79B1)


class FeatureIndex:
    """The whole rows of an entry, as far as they were read; `refresh` reads on.

    Attributes:
        rows: How many rows are whole.
        tokens: How many tokens they have together.
        width: D, the width of a token; None before the first append.
        pooled_width: E, the width of a pooled embedding, 0 where the trunk has none; None before the first append.
        length: The tokens of a row where all rows have equally many, else None.
    """

    def __init__(self, folder: Path) -> None:
        self.rows, self.tokens = 0, 0
        self.width: int | None = None
        self.pooled_width: int | None = None
        self.length: int | None = None
        self._folder = folder
        self._inode: int | None = None
        self._records = np.empty(0, RECORD)
        self._order, self._ordered = KeyOrder(), 0

    @property
    def end(self) -> int:
        """Where the next record goes in the file, in bytes; 0 while there is no header."""
        return 0 if self.width is None else RECORD.itemsize * (1 + self.rows)

    def refresh(self) -> None:
        """Takes in the rows that became whole since the last look.

        Raises:
            CrossModalError: If the file is of another format, or is no longer the one that was opened.
        """
        path = self._folder / INDEX
        try:
            found = path.stat()
        except FileNotFoundError:  # nothing appended yet, or pruned by force: then what is mapped stays readable
            return
        if self._inode not in {None, found.st_ino}:
            raise CrossModalError(f"{path}: expected the index that was opened, found another; it was pruned meanwhile")
        self._inode = found.st_ino
        count = found.st_size // RECORD.itemsize - 1
        if count <= self.rows or not (self.width is not None or self._read_header(path)):
            return
        records = np.memmap(path, RECORD, "r", offset=RECORD.itemsize, shape=(count,))
        fresh = np.array(records[self.rows :])
        fresh = fresh[: self._whole(fresh)]
        if not len(fresh):
            return
        alike = self.rows == 0 or self.length is not None
        lengths = fresh["length"] if self.rows == 0 else np.append(fresh["length"], self.length or 0)
        self.length = int(lengths[0]) if alike and (lengths == lengths[0]).all() else None
        self._records = records.view(np.ndarray)
        self.tokens += int(fresh["length"].sum(dtype=np.int64))
        self.rows += len(fresh)

    def find(self, keys: np.ndarray) -> np.ndarray:
        """The row of each key (n, 16) uint8, −1 where there is none: (n,) int64."""
        if self._ordered < self.rows:  # not in `refresh`: who only counts rows need not sort them
            self._order.add(self._records["key"][self._ordered : self.rows], self._ordered)
            self._ordered = self.rows
        return self._order.find(keys)

    def spans(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The first token and the number of tokens of rows (n,): two (n,) int64."""
        records = self._records[rows]
        return records["start"].astype(np.int64), records["length"].astype(np.int64)

    def _read_header(self, path: Path) -> bool:
        """Reads the widths; a header that is not whole belongs to a first append that never ended."""
        words = np.fromfile(path, "<u4", _WORDS)
        if len(words) < _WORDS or _checks(words[None])[0] != words[-1] or (words[:2] != _MAGIC).any():
            return False
        if words[2] != _FORMAT:
            raise CrossModalError(f"{path}: expected a feature index of format {_FORMAT}, found {words[2]}")
        self.width, self.pooled_width = int(words[3]), int(words[4])
        return True

    def _whole(self, fresh: np.ndarray) -> int:
        """How many records hold, from the first on: checksum, no gap before it, its values and pooled in the files."""
        assert self.width is not None
        assert self.pooled_width is not None
        ends = self.tokens + np.cumsum(fresh["length"], dtype=np.int64)
        good = _checks(_words(fresh)) == fresh["check"]
        good &= fresh["start"] == (ends - fresh["length"]).astype(np.uint64)
        good &= ends <= size_of(self._folder / VALUES) // (HALF.itemsize * self.width)
        if self.pooled_width:
            held = size_of(self._folder / POOLED) // (HALF.itemsize * self.pooled_width)
            good &= np.arange(self.rows, self.rows + len(fresh)) < held
        return len(fresh) if good.all() else int(np.argmin(good))


def header(width: int, pooled_width: int) -> bytes:
    """The header of an index: what the file is, its format, the widths, a checksum."""
    words = np.array([[*_MAGIC, _FORMAT, width, pooled_width, 0, 0, 0]], "<u4")
    words[:, -1] = _checks(words)
    return words.tobytes()


def records(keys: np.ndarray, lengths: np.ndarray, first_token: int) -> bytes:
    """Records of rows that lie one behind the other.

    Args:
        keys: (n, 16) uint8.
        lengths: (n,) tokens of each row.
        first_token: Where the first row's tokens start.
    """
    made = np.zeros(len(keys), RECORD)
    made["key"], made["length"] = keys, lengths
    made["start"] = first_token + np.cumsum(lengths, dtype=np.int64) - lengths
    made["check"] = _checks(_words(made))
    return made.tobytes()


def size_of(path: Path) -> int:
    """A file's size in bytes, 0 where there is none."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _words(rows: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(rows).view("<u4").reshape(-1, _WORDS)


def _checks(words: np.ndarray) -> np.ndarray:
    """Checksums of records (n, 8) uint32, their own word left out: multiply, shift, exclusive or, word by word.

    Salted, so that a record of zeros (a block that never reached the disk) does not hold.
    """
    total = np.full(len(words), _SALT)
    for column in range(_WORDS - 1):
        total = (total ^ words[:, column]) * _ODD
        total ^= total >> np.uint32(15)
    return total
