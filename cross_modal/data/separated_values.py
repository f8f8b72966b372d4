"""CSV and TSV in chunks: pyarrow reads what is plainly well-formed, the standard library judges everything else.

pyarrow is several times quicker and guesses where a quote stands in an odd place; Python's reader is strict and says
what is wrong. So the quotes are looked at first, all at once: where each opens after a separator and closes before
one, both readers agree. Where pyarrow stops (a row of another length, bytes that are no UTF-8), Python's reader goes on
from that row, and finds the fault in its own words.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from cross_modal.errors import CrossModalError

ROWS = 1 << 16  # of a chunk that Python's reader makes
BLOCK = 1 << 22  # bytes of a chunk that pyarrow makes
QUOTE, NEWLINE, RETURN = b'"\n\r'
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
Cells = list[np.ndarray]


def read_separated(path: Path, separator: str) -> tuple[list[str], Iterator[Cells]]:
    """Opens a CSV or TSV file in UTF-8.

    Args:
        path: The file.
        separator: What stands between two cells.

    Returns:
        Its header, and its rows: in each chunk, one (M,) object array of strings a column. Blank lines are no rows.

    Raises:
        CrossModalError: Where it is empty or malformed, or a row has another number of cells than the header.
        UnicodeDecodeError: Where it is not UTF-8.
    """
    header = next(_lines(path, separator), None)
    if header is None:
        raise CrossModalError(f"{path.name}: expected a header and rows, found an empty file")
    return [name.strip() for name in header], _chunks(path, separator, len(header))


def _chunks(path: Path, separator: str, width: int) -> Iterator[Cells]:
    """The rows in chunks, by whichever reader fits."""
    import pyarrow

    done = 0
    if is_plain(path, separator):
        try:
            for cells in _by_arrow(path, separator, width):
                yield cells
                done += len(cells[0])
            return
        except pyarrow.ArrowInvalid:
            pass  # Python's reader says what it is, or reads what pyarrow cannot
    lines = islice(_lines(path, separator), done + 1, None)
    while batch := list(islice(lines, ROWS)):
        widths = np.fromiter(map(len, batch), np.int64, len(batch))
        wrong = np.flatnonzero(widths != width)
        if len(wrong):
            row, found = done + 1 + int(wrong[0]), int(widths[wrong[0]])
            raise CrossModalError(f"{path.name} row {row}: expected {width} cells, found {found}")
        yield [np.fromiter(column, object, len(batch)) for column in zip(*batch, strict=True)]
        done += len(batch)


def _by_arrow(path: Path, separator: str, width: int) -> Iterator[Cells]:
    """The rows as pyarrow reads them; every cell is a string, an empty one too."""
    import pyarrow
    import pyarrow.csv

    names = [str(number) for number in range(width)]
    with pyarrow.csv.open_csv(
        path,
        read_options=pyarrow.csv.ReadOptions(column_names=names, skip_rows_after_names=1, block_size=BLOCK),
        parse_options=pyarrow.csv.ParseOptions(delimiter=separator, newlines_in_values=True),
        convert_options=pyarrow.csv.ConvertOptions(column_types=dict.fromkeys(names, pyarrow.string())),
    ) as reader:
        for batch in reader:
            if len(batch):
                yield [cells.to_numpy(zero_copy_only=False) for cells in batch.columns]


def _lines(path: Path, separator: str) -> Iterator[list[str]]:
    """The lines of a file, split by Python's reader; blank ones are no lines."""
    with path.open(newline="", encoding="utf-8-sig") as file:
        try:
            yield from filter(None, csv.reader(file, delimiter=separator, strict=True))
        except csv.Error as error:
            raise CrossModalError(f"{path.name}: expected well-formed {path.suffix[1:].upper()}, {error}") from None


def is_plain(path: Path, separator: str) -> bool:
    """Whether two readers of CSV cannot disagree about a file.

    Args:
        path: The file.
        separator: What stands between two cells.

    Returns:
        Whether it starts with its header, no carriage return stands by itself, every quote that opens stands after a
        separator or a line's end, and every quote that closes before one; a quote inside quotes is doubled.
    """
    around = np.zeros(256, bool)
    around[[ord(separator), NEWLINE, RETURN, QUOTE]] = True
    inside, before = False, NEWLINE  # what the last block left
    with path.open("rb") as file:
        if file.read(3) != BYTE_ORDER_MARK:
            file.seek(0)
        block = file.read(BLOCK)
        if block[:1] in (b"\n", b"\r"):
            return False
        while block:
            following = file.read(BLOCK)
            # One byte on either side, so that no quote stands at an edge.
            values = np.frombuffer(bytes([before]) + block + (following[:1] or b"\n"), np.uint8)
            middle = values[1:-1]
            if b"\r" in block and bool(((middle == RETURN) & (values[2:] != NEWLINE)).any()):
                return False
            if QUOTE in block:
                places = np.flatnonzero(middle == QUOTE) + 1
                opens = (np.arange(len(places)) + inside) % 2 == 0
                if not (around[values[places[opens] - 1]].all() and around[values[places[~opens] + 1]].all()):
                    return False
                inside = bool((inside + len(places)) % 2)
            before = block[-1]
            block = following
    return not inside
