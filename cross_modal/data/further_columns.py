"""The further columns of a manifest: what its rows say beside image, text, label, split, group and genuine.

Training looks at none of them. A gallery keeps them to filter by (``price<20``, ``colour=red``), and takes its rows'
names from the column ``id`` where there is one.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cross_modal.data.items import Items
from cross_modal.data.manifest import COLUMNS, TRUTHS, is_manifest, read_table, text_cell
from cross_modal.errors import CrossModalError

ID = "id"
INTEGER = re.compile(r"-?(0|[1-9]\d{0,17})")  # "007" is a name
NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][-+]?\d+)?")
SIMPLE = (str, bool, int, float, datetime.date, datetime.time, datetime.timedelta)

Cell = str | bool | int | float | None


@dataclass(frozen=True)
class FurtherColumns:
    """What the rows of a manifest say besides.

    Attributes:
        ids: One name an item, all distinct; None where there is no such column.
        columns: Column → one cell an item: all of one type, None where a cell is empty.
        left_out: Columns that hold something else than strings, numbers and truths.
    """

    ids: list[str] | None
    columns: dict[str, list[Cell]]
    left_out: list[str]

    def take(self, places: np.ndarray) -> FurtherColumns:
        """The cells of the items at these places."""
        wanted = places.tolist()
        return FurtherColumns(
            None if self.ids is None else [self.ids[place] for place in wanted],
            {name: [cells[place] for place in wanted] for name, cells in self.columns.items()},
            self.left_out,
        )


def further_columns(items: Items) -> FurtherColumns:
    """Reads the further columns of the manifest that items came from.

    Args:
        items: N items of one source; those of other sources than manifests have no further columns.

    Returns:
        One cell an item. A column of CSV whose cells are all numbers (or all truths) is one of numbers (or of truths).

    Raises:
        CrossModalError: An id that is missing or stands twice; names file and row.
    """
    if not is_manifest(items.source):
        return FurtherColumns(None, {}, [])
    path = Path(items.source)
    names, rows = read_table(path)
    further = [name for name in names if name not in COLUMNS]
    if not further:
        return FurtherColumns(None, {}, [])
    table: dict[str, list[object]] = {name: [] for name in further}
    for row in rows:
        for name, cells in table.items():
            cells.append(row.get(name))
    places = (items.rows - 1).tolist()
    ids = _ids(table.pop(ID), places, path.name) if ID in table else None
    columns, left_out = {}, []
    for name, cells in table.items():
        # What a column is follows from all of it: the same for every split.
        of_one_type = _typed(cells)
        if of_one_type is None:
            left_out.append(name)
        else:
            columns[name] = [of_one_type[place] for place in places]
    return FurtherColumns(ids, columns, left_out)


def _ids(cells: Sequence[object], places: list[int], file: str) -> list[str]:
    """The ids of the items at these rows."""
    first: dict[str, int] = {}
    found = []
    for place in places:
        name = text_cell(cells[place])
        if name is None:
            raise CrossModalError(f"{file} row {place + 1}: expected an id, found none")
        if name in first:
            raise CrossModalError(
                f"{file} row {place + 1}: expected an id of its own, found {name!r} as in row {first[name] + 1}"
            )
        first[name] = place
        found.append(name)
    return found


def _typed(cells: Sequence[object]) -> list[Cell] | None:
    """Cells of one type: truths, whole numbers, numbers, else strings; None where one is a list or the like.

    >>> _typed(["1", "", "20"]), _typed(["007", "1"]), _typed([1.5, 2]), _typed([[1], None])
    ([1, None, 20], ['007', '1'], [1.5, 2.0], None)
    """
    full = [cell for cell in cells if not _empty(cell)]
    if not all(isinstance(cell, SIMPLE) for cell in full):
        return None
    kinds = {type(cell) for cell in full}
    if kinds == {str}:
        words = [str(cell).strip() for cell in full]
        if all(INTEGER.fullmatch(word) for word in words):
            return [None if _empty(cell) else int(str(cell)) for cell in cells]
        if all(NUMBER.fullmatch(word) for word in words):
            return [None if _empty(cell) else float(str(cell)) for cell in cells]
        if all(word.lower() in ("true", "false") for word in words):
            return [None if _empty(cell) else TRUTHS[str(cell).strip().lower()] for cell in cells]
    if kinds in ({bool}, {int}, {float}):
        return [None if _empty(cell) else cell for cell in cells]  # type: ignore[misc]
    if kinds == {int, float}:
        return [None if _empty(cell) else float(cell) for cell in cells]  # type: ignore[arg-type]
    return [None if _empty(cell) else str(cell) for cell in cells]


def _empty(cell: object) -> bool:
    return cell is None or cell != cell or (isinstance(cell, str) and not cell.strip())
