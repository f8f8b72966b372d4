"""Manifests: one row an item, in CSV, TSV, Parquet or JSON Lines.

Cells of CSV are taken as they stand: a class called "NA" or "001" stays "NA" and "001" (pandas would make them a
missing value and a number). Rows are counted from 1, without the header. Image paths are relative to the manifest.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from cross_modal.configuration import DataConfig
from cross_modal.data.bad_items import BadItems
from cross_modal.data.checked_items import CheckedItems
from cross_modal.data.items import MANIFEST_SUFFIXES, Items
from cross_modal.data.manifest_cells import TRUTHS, Row, image_cell, text_cell
from cross_modal.data.table_chunks import read_chunks
from cross_modal.errors import CrossModalError

__all__ = [
    "COLUMNS",
    "TRUTHS",
    "Kind",
    "Row",
    "check_columns",
    "image_cell",
    "is_manifest",
    "kind_of_columns",
    "read_manifest",
    "read_table",
    "text_cell",
]

COLUMNS = ("image", "text", "label", "split", "group", "genuine")
LIKELY_SLIP = 0.8  # likeness from which a further column is taken for a misspelt one
Kind = Literal["items", "pairs", "triplets"]


def is_manifest(source: str) -> bool:
    """Whether a source is a manifest, by its suffix."""
    return source.lower().endswith(MANIFEST_SUFFIXES)


def kind_of_columns(columns: list[str]) -> Kind:
    """Whether the rows of a table are items, pairs or triplets.

    >>> kind_of_columns(["image_a", "image_b", "same"]), kind_of_columns(["image"])
    ('pairs', 'items')
    """
    sides = {name.partition("_")[2] for name in columns if name.startswith(("image_", "text_"))}
    if sides & {"anchor", "positive", "negative"}:
        return "triplets"
    return "pairs" if sides & {"a", "b"} else "items"


def check_columns(file: str, found: list[str], legal: tuple[str, ...], further: bool = False) -> None:
    """Checks the columns of a table.

    Args:
        file: Its name, for messages.
        found: Its columns.
        legal: Those that are known.
        further: Whether it may have others, unless one looks like a slip of the pen for a known one that is missing.

    Raises:
        CrossModalError: For the first column that is unknown or stands twice; names the legal ones and the nearest.
    """
    for name in found:
        if name not in legal:
            near = difflib.get_close_matches(name.strip().lower(), legal, 1, LIKELY_SLIP if further else 0.6)
            if not further or (near and near[0] not in found):
                hint = f" (did you mean '{near[0]}'?)" if near else ""
                raise CrossModalError(f"{file}: unknown column '{name}'{hint}, expected {', '.join(legal)}")
        if found.count(name) > 1:
            raise CrossModalError(f"{file}: column '{name}' stands twice, expected once")


def read_table(path: Path) -> tuple[list[str], Iterator[Row]]:
    """Opens a manifest, row by row.

    Args:
        path: A .csv, .tsv, .parquet or .jsonl file.

    Returns:
        Its columns, and its rows, one dictionary each; missing cells are None.

    Raises:
        CrossModalError: As `read_chunks`.
    """
    names, chunks = read_chunks(path)
    return names, (
        dict(zip(names, cells, strict=True))
        for chunk in chunks
        for cells in zip(*(chunk.columns[name] for name in names), strict=True)
    )


def read_manifest(source: str, config: DataConfig, further: bool = False) -> Items:
    """Reads a manifest of items.

    Args:
        source: Path of a .csv, .tsv, .parquet or .jsonl file with the columns image, text, label, split, group,
            genuine, of which image or text is needed.
        config: `on_bad_item` decides what happens to bad rows.
        further: Whether it may have other columns beside these (`cross_modal.data.further_columns` reads them).

    Returns:
        The items, with the splits that the manifest brings.

    Raises:
        CrossModalError: For an unknown column, or at the first bad row where `on_bad_item` is "error".
    """
    path = Path(source)
    columns, chunks = read_chunks(path)
    if (kind := kind_of_columns(columns)) != "items":
        raise CrossModalError(f"{path.name}: expected items (image, text, label, …), found columns of {kind}")
    check_columns(path.name, columns, COLUMNS, further)
    if not {"image", "text"} & set(columns):
        raise CrossModalError(f"{path.name}: expected a column image or text, found {', '.join(columns) or 'none'}")
    bad = BadItems(config.on_bad_item)
    checked = CheckedItems([name for name in COLUMNS if name in columns], path, bad)
    for chunk in chunks:
        checked.add(chunk)
    return checked.items(source)
