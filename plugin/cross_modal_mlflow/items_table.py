"""Items as a data frame and back: what `mlflow.models.evaluate` hands on, and what people have in a notebook.

Columns are those of a manifest: image, text, label, split, group, genuine; and `set`, classes of which never meet in
an episode. Rows are counted from 0, as in the frame.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from cross_modal.data.items import Items
from cross_modal.data.manifest import TRUTHS
from cross_modal.data.splits import split_name
from cross_modal.errors import CrossModalError
from cross_modal_mlflow.request_cells import image_cell, is_missing, text_cell
from cross_modal_mlflow.request_files import FileAccess

if TYPE_CHECKING:
    import pandas as pd

OPTIONAL = {"splits": "split", "groups": "group", "genuine": "genuine", "sets": "set"}


def items_of_table(
    table: pd.DataFrame,
    labels: Iterable[Any] | None = None,
    *,
    source: str = "memory",
    stand_ins: Sequence[bytes] | None = None,
) -> Items:
    """Reads a frame.

    Args:
        table: Its columns; a picture is a path, encoded bytes, base64, a data URL, an array or a PIL image.
        labels: The class of each row; None takes the column `label`, where there is one.
        source: What the items are called.
        stand_ins: (N,) what stands for the picture of a row with neither picture nor text; None has such rows refused.

    Returns:
        The items; columns that are not given stay None. Other columns are passed over.

    Raises:
        CrossModalError: No row, a row without picture and text, or a cell that is none; names row and column.
    """
    if not len(table):
        raise CrossModalError(f"{source}: expected rows, found an empty table")
    given = labels if labels is not None else table["label"].tolist() if "label" in table else None
    images = _column(table, "image", _image) or [None] * len(table)
    texts = _column(table, "text", text_cell) or [None] * len(table)
    for row, (image, text) in enumerate(zip(images, texts, strict=True)):
        if image is None and text is None:
            if stand_ins is None:
                raise CrossModalError(f"row {row}: expected an image or a text, found neither")
            images[row] = stand_ins[row]
    readers = {"splits": _split, "genuine": _genuine}
    columns: dict[str, Any] = {
        name: _column(table, column, readers.get(name, text_cell)) for name, column in OPTIONAL.items()
    }
    return Items.of(
        images=images,
        texts=texts,
        labels=None if given is None else [_read(_label, cell, "label", row) for row, cell in enumerate(given)],
        source=source,
        **columns,
    )


def table_of_items(items: Items) -> pd.DataFrame:
    """Items as a frame with the columns that they have; paths stay paths, arrays become PNG.

    Returns:
        One row an item.
    """
    import pandas as pd

    columns: dict[str, Any] = {}
    if items.has_images:
        columns["image"] = [encoded(cell) if isinstance(cell, np.ndarray) else cell for cell in items.images]
    if items.has_texts:
        columns["text"] = items.texts.tolist()
    if items.labels is not None:
        columns["label"] = items.labels.tolist()
    for name, column in OPTIONAL.items():
        cells = getattr(items, name)
        if cells is not None:
            columns[column] = cells.tolist()
    return pd.DataFrame({name: pd.Series(cells, dtype=object) for name, cells in columns.items()})


def encoded(cell: Any) -> bytes:
    """One picture as encoded bytes, which every model takes.

    Args:
        cell: A path, encoded bytes, or a uint8 array (H, W) or (H, W, 3).

    Raises:
        CrossModalError: The file cannot be read.
    """
    if isinstance(cell, bytes):
        return cell
    if isinstance(cell, str):
        try:
            with open(cell, "rb") as file:
                return file.read()
        except OSError as error:
            raise CrossModalError(f"image '{cell}': expected a readable file, found: {error.strerror}") from None
    from cross_modal.data.decode import from_array

    png = io.BytesIO()
    from_array(cell).save(png, "PNG", compress_level=1)
    return png.getvalue()


def _column(table: pd.DataFrame, name: str, read: Callable[[Any], Any]) -> list[Any] | None:
    """The cells of a column; None where the table has none."""
    if name not in table:
        return None
    return [_read(read, cell, name, row) for row, cell in enumerate(table[name].tolist())]


def _read(read: Callable[[Any], Any], cell: Any, name: str, row: int) -> Any:
    try:
        return read(cell)
    except CrossModalError as error:
        raise CrossModalError(f"row {row}: {name}: {error}") from None


def _image(cell: Any) -> Any:
    """A path stays a path: the frame is the caller's own, and files are opened when they are needed."""
    if isinstance(cell, str | os.PathLike) and not is_missing(cell) and os.path.isfile(cell):
        return os.fspath(cell)
    return image_cell(cell, FileAccess())


def _label(cell: Any) -> str:
    label = text_cell(cell)
    if label is None:
        raise CrossModalError("expected a class, found none")
    return label


def _split(cell: Any) -> str:
    name = split_name(text_cell(cell) or "")
    if name is None:
        raise CrossModalError(f"expected train, validation or test, found {cell!r}")
    return name


def _genuine(cell: Any) -> bool:
    truth = TRUTHS.get((text_cell(cell) or "").strip().lower())
    if truth is None:
        raise CrossModalError(f"expected 0 or 1, found {cell!r}")
    return truth
