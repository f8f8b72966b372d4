"""Items: the one table that every command reads. A row has a picture, a text, or both, and what is known about it.

The table is a set of aligned columns rather than a data frame: cells of ``images`` may be paths, encoded bytes or
arrays, and a selection (`take`, `split`) is an index into each column, nothing else.
"""

from __future__ import annotations

import hashlib
import operator
import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import chain, repeat
from pathlib import Path
from typing import Any

import numpy as np

from cross_modal.data.archive_member import ArchiveMember
from cross_modal.data.bad_items import BadItem
from cross_modal.errors import CrossModalError

__all__ = ["BadItem", "Items", "column", "given", "image_keys"]

MANIFEST_SUFFIXES = (".csv", ".tsv", ".parquet", ".jsonl")
HASHED_AT_ONCE = 64  # files that a thread takes
SPLIT_NAMES = ("train", "validation", "test")


def column(values: Iterable[object]) -> np.ndarray:
    """An object array of one cell a value, whatever the values are (NumPy would stack arrays of equal shape).

    >>> column([np.zeros((2, 2)), None]).shape
    (2,)
    """
    if isinstance(values, np.ndarray) and values.dtype == object and values.ndim == 1:
        return values  # a table of millions of rows is not copied
    cells = list(values)
    return np.fromiter(cells, object, len(cells))


@dataclass(frozen=True)
class Items:
    """The table of items; every column has N cells.

    Attributes:
        images: (N,) object: a path (str), encoded bytes, an `ArchiveMember`, a uint8 array (H, W) or (H, W, 3), or
            None.
        texts: (N,) object: str or None.
        labels: (N,) object: the class of each item, or None where the data has no labels: then every distinct picture
            is a class of its own.
        splits: (N,) object: "train", "validation" or "test", or None before they are assigned.
        groups: (N,) object: source, drawer, session; support and query of an episode never share one, or None.
        genuine: (N,) bool: False for forgeries, which are never a positive, a support or a correct match, or None.
        sets: (N,) object: two classes of one set never meet in an episode (glyphs that look alike). None: no sets.
        rows: (N,) int64: number of the item in its source, from 1, for messages.
        source: The source as the user gave it.
        skipped: Items that were left out, and why.

    >>> items = Items.of(texts=["a cat", "a dog"], labels=["cat", "dog"], splits=["train", "test"])
    >>> len(items), items.classes, items.class_ids.tolist(), items.split("test").texts.tolist()
    (2, ['cat', 'dog'], [0, 1], ['a dog'])
    """

    images: np.ndarray
    texts: np.ndarray
    labels: np.ndarray | None
    splits: np.ndarray | None
    groups: np.ndarray | None
    genuine: np.ndarray | None
    sets: np.ndarray | None
    rows: np.ndarray
    source: str
    skipped: list[BadItem] = field(default_factory=list)

    @classmethod
    def of(
        cls,
        *,
        images: Iterable[object] | None = None,
        texts: Iterable[object] | None = None,
        labels: Iterable[str] | None = None,
        splits: Iterable[str] | None = None,
        groups: Iterable[str] | None = None,
        genuine: Iterable[bool] | None = None,
        sets: Iterable[str] | None = None,
        rows: Iterable[int] | None = None,
        source: str = "memory",
        skipped: Sequence[BadItem] = (),
    ) -> Items:
        """Builds items from plain sequences; columns that are not given are empty.

        Raises:
            CrossModalError: Where two columns differ in length.
        """
        given = {"images": images, "texts": texts, "labels": labels, "splits": splits, "groups": groups, "sets": sets}
        columns = {name: None if values is None else column(values) for name, values in given.items()}
        lengths = {name: len(values) for name, values in columns.items() if values is not None}
        count = next(iter(lengths.values()), 0)
        for name, length in lengths.items():
            if length != count:
                raise CrossModalError(f"items: column {name} has {length} cells, expected {count} as the others have")
        for name in ("images", "texts"):
            if columns[name] is None:
                columns[name] = column([None] * count)
        return cls(
            genuine=None if genuine is None else np.fromiter(genuine, bool, count),
            rows=np.arange(1, count + 1) if rows is None else _numbers(rows, count),
            source=source,
            skipped=list(skipped),
            **columns,  # type: ignore[arg-type]
        )

    def __len__(self) -> int:
        return len(self.images)

    def take(self, indices: Sequence[int] | np.ndarray) -> Items:
        """The items at these indices (or where a boolean mask is true), in that order."""
        wanted = np.asarray(indices)
        if wanted.dtype != bool:
            wanted = wanted.astype(np.int64)
        names = ("images", "texts", "labels", "splits", "groups", "genuine", "sets", "rows")
        columns: dict[str, Any] = {name: getattr(self, name) for name in names}
        return replace(
            self,
            **{name: None if cells is None else cells[wanted] for name, cells in columns.items()},  # type: ignore[arg-type]
        )

    def split(self, name: str) -> Items:
        """The items of one split ("train", "validation" or "test"), in their order.

        Raises:
            CrossModalError: Where the name is no split, or splits were not assigned.
        """
        if name not in SPLIT_NAMES:
            raise CrossModalError(f"split: expected one of {', '.join(SPLIT_NAMES)}, found '{name}'")
        if self.splits is None:
            raise CrossModalError(f"{self.source}: expected assigned splits, found none")
        return self.take(np.flatnonzero(self.splits == name))

    def where(self, index: int) -> str:
        """The place of an item as a reader would look it up, e.g. "items.csv row 3"."""
        if self.source.lower().endswith(MANIFEST_SUFFIXES):
            return f"{Path(self.source).name} row {self.rows[index]}"
        return f"{self.source} item {self.rows[index]}"

    @cached_property
    def keys(self) -> np.ndarray:
        """(N,) object: the class of each item by name: its label, else its distinct picture, else its text."""
        if self.labels is not None:
            return self.labels
        return column(picture or f"text:{text}" for picture, text in zip(self._image_keys, self.texts, strict=True))

    @cached_property
    def _image_keys(self) -> list[str | None]:
        return image_keys(self.images, self.source)

    @cached_property
    def _classes_and_ids(self) -> tuple[list[str], np.ndarray]:
        names = sorted(set(self.keys.tolist()))
        number = {name: index for index, name in enumerate(names)}
        return names, np.fromiter(map(number.__getitem__, self.keys), np.int64, len(self))

    @property
    def classes(self) -> list[str]:
        """The names of the classes, sorted."""
        return self._classes_and_ids[0]

    @property
    def class_ids(self) -> np.ndarray:
        """(N,) int64: index of each item's class in `classes`."""
        return self._classes_and_ids[1]

    @cached_property
    def image_ids(self) -> np.ndarray:
        """(N,) int64: equal for equal pictures; -1 where there is none. One picture with five captions counts once."""
        number: dict[str | None, int] = {None: -1}
        keys = self._image_keys
        return np.fromiter((number.setdefault(key, len(number) - 1) for key in keys), np.int64, len(self))

    @cached_property
    def has_image(self) -> np.ndarray:
        """(N,) bool: which items have a picture."""
        return given(self.images)

    @cached_property
    def has_text(self) -> np.ndarray:
        """(N,) bool: which items have a text."""
        return given(self.texts)

    @property
    def has_images(self) -> bool:
        """Whether any item has a picture."""
        return bool(self.has_image.any())

    @property
    def has_texts(self) -> bool:
        """Whether any item has a text."""
        return bool(self.has_text.any())

    @property
    def prefixes(self) -> np.ndarray | None:
        """(N,) object: the part of each label before the first "/"; None where there are no labels."""
        return None if self.labels is None else column(label.split("/", 1)[0] for label in self.labels)

    @cached_property
    def digest(self) -> str:
        """16 hex digits of a SHA-256 over all columns and the content of all pictures.

        Paths are not part of it: the same data in another folder has the same digest.
        """
        total = hashlib.sha256()
        for name in ("texts", "labels", "splits", "groups", "genuine", "sets"):
            cells = getattr(self, name)
            total.update(f"{name}:{cells is not None}\n".encode())
            if cells is not None:
                for cell in cells.tolist():
                    total.update(b"-" if cell is None else f"+{len(str(cell))}:{cell}".encode())
        for part in content_hashes(self.images):
            total.update(part)
        return total.hexdigest()[:16]


def _numbers(values: Iterable[int], count: int) -> np.ndarray:
    """(N,) int64; an array of that kind is not copied."""
    if isinstance(values, np.ndarray) and values.dtype == np.int64:
        return values
    return np.fromiter(values, np.int64, count)


def given(cells: np.ndarray) -> np.ndarray:
    """(N,) bool: which cells hold something. Not ``!=``, which compares arrays by their elements."""
    return np.fromiter(map(operator.is_not, cells, repeat(None)), bool, len(cells))


def content_hash(cell: object) -> bytes:
    """SHA-256 of one picture's content: the file's, the bytes', or the array's with its shape.

    Raises:
        CrossModalError: Where the file cannot be read.
    """
    if cell is None:
        return b"none"
    if isinstance(cell, np.ndarray):
        # A separator keeps (1, 4) and (4, 1) of equal bytes apart.
        return hashlib.sha256(f"{cell.shape}|".encode() + cell.tobytes()).digest()
    if isinstance(cell, bytes | ArchiveMember):
        return hashlib.sha256(cell if isinstance(cell, bytes) else cell.read()).digest()
    try:
        with open(str(cell), "rb") as file:
            return hashlib.file_digest(file, "sha256").digest()
    except OSError as error:
        raise CrossModalError(f"image '{cell}': expected a readable file, found: {error.strerror}") from None


def content_hashes(images: np.ndarray) -> list[bytes]:
    """`content_hash` of each cell; files and members of archives are read by threads, each distinct one once."""
    stored = (str, ArchiveMember)
    distinct = list(dict.fromkeys(cell for cell in images if isinstance(cell, stored)))
    parts = range(0, len(distinct), HASHED_AT_ONCE)
    with ThreadPoolExecutor(8) as pool:
        found = pool.map(lambda start: [content_hash(cell) for cell in distinct[start : start + HASHED_AT_ONCE]], parts)
        known = dict(zip(distinct, chain.from_iterable(found), strict=True))
    return [known[cell] if isinstance(cell, stored) else content_hash(cell) for cell in images]


def image_keys(images: np.ndarray, source: str = "memory") -> list[str | None]:
    """A name for each distinct picture, equal for byte-equal ones, wherever they lie.

    Files can be equal only where their sizes are, so that most are never read. Splits are made by these names: they
    must not change with the folder that the data is copied to, or that the reader stands in.

    Args:
        images: (N,) object cells.
        source: What they come from: a manifest or a folder, from which paths are seen.

    Returns:
        One name a cell: the first path that holds the picture, or "sha256:…"; None where there is no picture.
    """
    folder = os.path.join(Path(source).parent if source.lower().endswith(MANIFEST_SUFFIXES) else Path(source), "")
    paths = list(dict.fromkeys(cell for cell in images if isinstance(cell, str)))
    sizes = [os.stat(path).st_size if os.path.isfile(path) else -1 for path in paths]
    of_size: dict[int, list[str]] = {}
    for path, size in zip(paths, sizes, strict=True):
        of_size.setdefault(size, []).append(path)
    alike = [path for size, members in of_size.items() if size >= 0 and len(members) > 1 for path in members]
    name = {path: path.removeprefix(folder) for path in paths}
    first: dict[bytes, str] = {}
    for path, digest in zip(alike, content_hashes(column(alike)), strict=True):
        name[path] = first.setdefault(digest, name[path])
    others = [index for index, cell in enumerate(images) if cell is not None and not isinstance(cell, str)]
    keys: list[str | None] = [name.get(cell) if isinstance(cell, str) else None for cell in images]
    for index, digest in zip(others, content_hashes(images[others]), strict=True):
        keys[index] = f"sha256:{digest.hex()[:32]}"
    return keys
