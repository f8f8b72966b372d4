"""Tables in chunks: the columns of some ten thousand rows at a time, from CSV, TSV, Parquet or JSON Lines.

A manifest of millions of rows must not stand in memory twice, as text and as cells; nor may Python touch each row.
CSV is read by the block (`separated_values`), Parquet by the batch, and both become columns at once.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np

from cross_modal.data.items import column
from cross_modal.data.separated_values import read_separated
from cross_modal.errors import CrossModalError

ROWS = 1 << 16  # of a chunk


@dataclass(frozen=True)
class Chunk:
    """Some rows of a table, by column.

    Attributes:
        first: Number of the first row, from 1, without the header.
        columns: Name → (M,) object, all of one length; a missing cell is None.
        strings: The columns that hold strings and None, nothing else.
        integers: The columns that hold whole numbers and None, nothing else.
    """

    first: int
    columns: dict[str, np.ndarray]
    strings: frozenset[str] = field(default=frozenset())
    integers: frozenset[str] = field(default=frozenset())

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), ()))


Chunks = tuple[list[str], Iterator[Chunk]]


def read_chunks(path: Path) -> Chunks:
    """Opens a table.

    Args:
        path: A .csv, .tsv, .parquet or .jsonl file.

    Returns:
        Its columns, and its rows in chunks.

    Raises:
        CrossModalError: Where it does not exist or cannot be read; one line with file and, where known, row. What is
            wrong with a later row shows when its chunk is taken.
    """
    if not path.is_file():
        raise CrossModalError(f"{path}: expected a manifest, found no such file")
    readers: dict[str, Callable[[Path], Chunks]] = {
        ".csv": lambda file: _read_separated(file, ","),
        ".tsv": lambda file: _read_separated(file, "\t"),
        ".jsonl": _read_json_lines,
        ".parquet": _read_parquet,
    }
    try:
        names, chunks = readers[path.suffix.lower()](path)
    except UnicodeDecodeError as error:
        raise _not_utf8(path, error) from None
    return names, _checked(path, chunks)


def _checked(path: Path, chunks: Iterator[Chunk]) -> Iterator[Chunk]:
    """The chunks; faults of the format that only show on the way become one line."""
    try:
        yield from chunks
    except UnicodeDecodeError as error:
        raise _not_utf8(path, error) from None


def _not_utf8(path: Path, error: UnicodeDecodeError) -> CrossModalError:
    return CrossModalError(f"{path.name}: expected UTF-8, found byte {error.object[error.start]:#04x}")


def _read_separated(path: Path, separator: str) -> Chunks:
    """Reads CSV or TSV; see `read_chunks`."""
    names, parts = read_separated(path, separator)

    def chunks() -> Iterator[Chunk]:
        first = 1
        for cells in parts:
            yield Chunk(first, dict(zip(names, cells, strict=True)), strings=frozenset(names))
            first += len(cells[0])

    return names, chunks()


def _read_json_lines(path: Path) -> Chunks:
    """Reads JSON Lines, one object a line; any may bring a new column, so all are read first. See `read_chunks`."""
    found: list[tuple[int, int, dict[str, np.ndarray]]] = []
    names: dict[str, None] = {}
    number = 0
    with path.open(encoding="utf-8-sig") as file:
        lines = (line for line in file if line.strip())
        while batch := list(islice(lines, ROWS)):
            rows = [_json_row(path, number + place, line) for place, line in enumerate(batch, 1)]
            for row in rows:
                names.update(dict.fromkeys(row))
            columns = {name: np.fromiter((row.get(name) for row in rows), object, len(rows)) for name in names}
            found.append((number + 1, len(rows), columns))
            number += len(rows)

    def chunks() -> Iterator[Chunk]:
        found.reverse()
        while found:
            first, count, columns = found.pop()
            whole = {name: columns[name] if name in columns else np.full(count, None, object) for name in names}
            strings = [name for name, cells in whole.items() if set(map(type, cells)) <= {str, type(None)}]
            yield Chunk(first, whole, strings=frozenset(strings))

    return list(names), chunks()


def _json_row(path: Path, number: int, line: str) -> dict[str, object]:
    try:
        value = json.loads(line)
    except (json.JSONDecodeError, RecursionError):
        raise CrossModalError(f"{path.name} row {number}: expected a JSON object, found broken JSON") from None
    if not isinstance(value, dict):
        raise CrossModalError(f"{path.name} row {number}: expected a JSON object, found {type(value).__name__}")
    return value


def _read_parquet(path: Path) -> Chunks:
    """Reads Parquet; labels that Hugging Face stored as numbers get their names back. See `read_chunks`."""
    import pyarrow
    import pyarrow.parquet

    try:
        # Not read_table: it would make columns of folders called "key=value".
        file = pyarrow.parquet.ParquetFile(path)
    except (pyarrow.ArrowException, OSError) as error:
        raise _not_parquet(path, error) from None
    schema = file.schema_arrow
    names_of = class_names(schema.metadata or {})
    texts = {name: pyarrow.types.is_string(kind) or pyarrow.types.is_large_string(kind) or _is_dictionary(kind)
             for name, kind in zip(schema.names, schema.types, strict=True)}  # fmt: skip
    numbers = {name: pyarrow.types.is_integer(kind) for name, kind in zip(schema.names, schema.types, strict=True)}

    def chunks() -> Iterator[Chunk]:
        first = 1
        try:
            for batch in file.iter_batches(ROWS):
                columns, strings, integers = {}, set(), set()
                for name, cells in zip(batch.schema.names, batch.columns, strict=True):
                    columns[name] = _objects(cells, names_of.get(name))
                    if texts[name]:
                        strings.add(name)
                    elif numbers[name] and name not in names_of:
                        integers.add(name)
                yield Chunk(first, columns, frozenset(strings), frozenset(integers))
                first += len(batch)
        except (pyarrow.ArrowException, OSError) as error:
            raise _not_parquet(path, error) from None

    return schema.names, chunks()


def _not_parquet(path: Path, error: Exception) -> CrossModalError:
    reason = str(error).split("\n", 1)[0]
    return CrossModalError(f"{path.name}: expected a Parquet file, {reason}")


def _is_dictionary(kind: object) -> bool:
    """Whether a column's type is strings that are stored once each."""
    import pyarrow

    if not pyarrow.types.is_dictionary(kind):
        return False
    values = kind.value_type  # type: ignore[attr-defined]
    return bool(pyarrow.types.is_string(values) or pyarrow.types.is_large_string(values))


def _objects(cells: object, names: list[str] | None) -> np.ndarray:
    """(M,) object: the cells of an Arrow array as Python has them; equal strings of a dictionary are one object."""
    import pyarrow

    assert isinstance(cells, pyarrow.Array)
    kind = cells.type
    if _is_dictionary(kind):
        words = column([*cells.dictionary.to_pylist(), None])
        codes = cells.indices.fill_null(len(words) - 1).to_numpy(zero_copy_only=False)
        return words[codes]
    if pyarrow.types.is_string(kind) or pyarrow.types.is_large_string(kind):
        return cells.to_numpy(zero_copy_only=False)
    values = cells.to_pylist()
    if names is not None:
        values = [names[v] if isinstance(v, int) and 0 <= v < len(names) else v for v in values]
    return np.fromiter(values, object, len(values))


def class_names(metadata: dict[bytes, bytes]) -> dict[str, list[str]]:
    """Column → class names, from the metadata that Hugging Face's datasets write into a Parquet schema."""
    try:
        features = json.loads(metadata[b"huggingface"])["info"]["features"]
        return {
            name: [str(word) for word in feature["names"]]
            for name, feature in features.items()
            if isinstance(feature, dict) and feature.get("_type") == "ClassLabel"
        }
    except (KeyError, TypeError, ValueError):
        return {}
