"""Requests of any kind (a table, a dict of columns, a list of records, of texts or of pictures) become checked rows.

Rows are counted from 0, as in the JSON that a request was. Whatever is wrong names its row and its column.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cross_modal.errors import CrossModalError
from cross_modal_mlflow.request_cells import image_cell, is_missing, text_cell
from cross_modal_mlflow.request_files import FileAccess

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("image", "text", "role", "label", "pair")
ROLES = ("support", "query")


@dataclass(frozen=True)
class RequestRows:
    """The rows of a request; every column has N cells.

    Attributes:
        images: Encoded bytes, a uint8 array, or None.
        texts: Text or None.
        roles: "support", "query" or None.
        labels: The class of the row, or None.
        pairs: What two rows that are to be compared share, or None.
    """

    images: list[bytes | np.ndarray | None]
    texts: list[str | None]
    roles: list[str | None]
    labels: list[str | None]
    pairs: list[str | None]

    def __len__(self) -> int:
        return len(self.images)

    @property
    def support(self) -> list[int]:
        """The rows that are support."""
        return [row for row, role in enumerate(self.roles) if role == "support"]

    @property
    def queries(self) -> list[int]:
        """The rows that are not: those without a role ask too."""
        return [row for row, role in enumerate(self.roles) if role != "support"]


def read_rows(request: Any, files: FileAccess) -> RequestRows:
    """Reads a request.

    Args:
        request: A DataFrame, a Series, a dict of columns, a list of dicts, one or many texts, pictures or base64, or an
            array of pictures (N, H, W) or (N, H, W, C) uint8.
        files: Whether pictures may be named by path or URL.

    Returns:
        Its rows.

    Raises:
        CrossModalError: No column that is known, no row, a row with neither picture nor text, or a cell that is none.

    >>> read_rows([{"text": "a cat", "role": "support"}, {"text": "a dog"}], FileAccess()).support
    [0]
    """
    table = _columns(request)
    count = len(next(iter(table.values())))

    def read(name: str, of_cell: Callable[[Any], Any]) -> list[Any]:
        return [_cell(of_cell, cell, name, row) for row, cell in enumerate(table.get(name, [None] * count))]

    rows = RequestRows(
        images=read("image", lambda cell: image_cell(cell, files)),
        texts=read("text", text_cell),
        roles=read("role", _role),
        labels=read("label", text_cell),
        pairs=read("pair", text_cell),
    )
    for row, (image, text) in enumerate(zip(rows.images, rows.texts, strict=True)):
        if image is None and text is None:
            raise CrossModalError(f"row {row}: expected an image, a text or both, found neither")
    return rows


def _cell(of_cell: Callable[[Any], Any], cell: Any, name: str, row: int) -> Any:
    try:
        return of_cell(cell)
    except CrossModalError as error:
        raise CrossModalError(f"row {row}: {name}: {error}") from None


def _role(cell: Any) -> str | None:
    role = text_cell(cell)
    if role is None:
        return None
    if role.strip().lower() not in ROLES:
        raise CrossModalError(f'expected "support" or "query", found {role[:60]!r}')
    return role.strip().lower()


def _columns(request: Any) -> dict[str, list[Any]]:
    """The known columns of a request, of equal length."""
    named = _named(request)
    known = {name: named[name] for name in COLUMNS if name in named}
    if not {"image", "text"} & set(known):
        found = ", ".join(map(str, list(named)[:10])) or "none of them"
        raise CrossModalError(f"request: expected a column image or text (of {', '.join(COLUMNS)}), found {found}")
    lengths = {name: len(cells) for name, cells in known.items()}
    if len(set(lengths.values())) > 1:
        found = ", ".join(f"{name} {count}" for name, count in lengths.items())
        raise CrossModalError(f"request: expected columns of one length, found {found}")
    if not next(iter(lengths.values())):
        raise CrossModalError("request: expected at least one row, found none")
    return known


def _named(request: Any) -> dict[Any, list[Any]]:
    """All columns of a request by name."""
    kind = type(request).__name__
    if kind == "DataFrame" and hasattr(request, "columns"):
        return _columns_of_frame(request)
    if kind == "Series" and hasattr(request, "to_numpy"):
        cells = list(request)
        return {request.name: cells} if request.name in COLUMNS else _guessed(cells)
    if isinstance(request, Mapping):
        alone = all(isinstance(cells, str | bytes) or np.ndim(cells) == 0 for cells in request.values())
        return {name: [cells] if alone else _listed(name, cells) for name, cells in request.items()}
    if isinstance(request, np.ndarray) and request.ndim in (3, 4) and request.dtype == np.uint8:
        return {"image": list(request)}
    if isinstance(request, np.ndarray | list | tuple) and np.ndim(request[:0]) <= 1:
        cells = list(request)
        if cells and all(isinstance(cell, Mapping) for cell in cells):
            names = dict.fromkeys(name for cell in cells for name in cell)
            return {name: [cell.get(name) for cell in cells] for name in names}
        return _guessed(cells)
    if isinstance(request, str | bytes) or hasattr(request, "getexif"):
        return _guessed([request])
    raise CrossModalError(f"request: expected a table with columns {', '.join(COLUMNS)}, found {kind}")


def _columns_of_frame(frame: pd.DataFrame) -> dict[Any, list[Any]]:
    columns = {}
    for place, name in enumerate(frame.columns):
        if name in columns:
            raise CrossModalError(f"request: expected each column once, found {name} twice")
        columns[name] = frame.iloc[:, place].tolist()
    return columns


def _guessed(cells: list[Any]) -> dict[Any, list[Any]]:
    """One column without a name: texts are texts, all else is pictures."""
    words = [isinstance(cell, str) for cell in cells if not is_missing(cell)]
    return {"text" if all(words) else "image": cells}


def _listed(name: Any, cells: Any) -> list[Any]:
    if isinstance(cells, str | bytes | Mapping) or not isinstance(cells, Iterable):
        raise CrossModalError(f"request: column {name}: expected a list of cells, found {type(cells).__name__}")
    return list(cells)
