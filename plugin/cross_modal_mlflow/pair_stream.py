"""Rows of a pair file one after the other: a file of any size is read in little memory.

Training reads its manifests whole (splits depend on all rows); scoring need not.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from pathlib import Path

from cross_modal.data.manifest import Row
from cross_modal.errors import CrossModalError

BATCH = 4096  # rows of Parquet at a time


def stream_rows(path: Path) -> tuple[list[str], Iterator[Row]]:
    """Opens a table.

    Args:
        path: A .csv, .tsv, .parquet or .jsonl file; the columns of JSON Lines are those of its first row.

    Returns:
        Its columns, and its rows, read as they are asked for.

    Raises:
        CrossModalError: Where it does not exist or cannot be read; one line with file and, where known, row.
    """
    readers: dict[str, Callable[[Path], Iterator[list[str] | Row]]] = {
        ".csv": lambda file: _separated(file, ","),
        ".tsv": lambda file: _separated(file, "\t"),
        ".jsonl": _json_lines,
        ".parquet": _parquet,
    }
    if path.suffix.lower() not in readers:
        raise CrossModalError(f"{path}: expected a .csv, .tsv, .parquet or .jsonl file of pairs, found another")
    if not path.is_file():
        raise CrossModalError(f"{path}: expected a file of pairs, found no such file")
    stream = readers[path.suffix.lower()](path)
    columns = next(stream)
    return list(columns), stream  # type: ignore[return-value]


def _separated(path: Path, separator: str) -> Iterator[list[str] | Row]:
    """The header, then the rows of CSV or TSV."""
    with path.open(newline="", encoding="utf-8-sig") as file:
        lines = csv.reader(file, delimiter=separator, strict=True)
        try:
            header = [name.strip() for name in next((line for line in lines if line), [])]
            if not header:
                raise CrossModalError(f"{path.name}: expected a header and rows, found an empty file")
            yield header
            for row, line in enumerate((line for line in lines if line), 1):
                if len(line) != len(header):
                    raise CrossModalError(f"{path.name} row {row}: expected {len(header)} cells, found {len(line)}")
                yield dict(zip(header, line, strict=True))
        except csv.Error as error:
            raise CrossModalError(f"{path.name}: expected well-formed {path.suffix[1:].upper()}, {error}") from None
        except UnicodeDecodeError as error:
            raise CrossModalError(f"{path.name}: expected UTF-8, found byte {error.object[error.start]:#04x}") from None


def _json_lines(path: Path) -> Iterator[list[str] | Row]:
    """The columns of the first row, then all rows."""
    columns: list[str] = []
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate((line for line in file if line.strip()), 1):
            try:
                value = json.loads(line)
            except (json.JSONDecodeError, RecursionError):
                value = "broken JSON"
            if not isinstance(value, dict):
                found = value if value == "broken JSON" else type(value).__name__
                raise CrossModalError(f"{path.name} row {number}: expected a JSON object, found {found}")
            if number == 1:
                columns = list(value)
                yield columns
            unknown = set(value) - set(columns)
            if unknown:
                raise CrossModalError(
                    f"{path.name} row {number}: expected the columns of row 1 ({', '.join(columns)}), "
                    f"found {', '.join(sorted(unknown))}"
                )
            yield value
    if not columns:
        raise CrossModalError(f"{path.name}: expected rows, found an empty file")


def _parquet(path: Path) -> Iterator[list[str] | Row]:
    """The columns, then the rows of Parquet."""
    import pyarrow
    import pyarrow.parquet

    try:
        file = pyarrow.parquet.ParquetFile(path)
        yield list(file.schema_arrow.names)
        for batch in file.iter_batches(BATCH):
            yield from batch.to_pylist()
    except (pyarrow.ArrowException, OSError) as error:
        reason = str(error).split("\n", 1)[0]
        raise CrossModalError(f"{path.name}: expected a Parquet file, {reason}") from None
