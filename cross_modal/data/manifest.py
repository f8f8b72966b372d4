"""Manifests: one row an item, in CSV, TSV, Parquet or JSON Lines.

Cells of CSV are taken as they stand: a class called "NA" or "001" stays "NA" and "001" (pandas would make them a
missing value and a number). Rows are counted from 1, without the header. Image paths are relative to the manifest.
"""

from __future__ import annotations

import csv
import difflib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

from cross_modal.configuration import DataConfig
from cross_modal.data.bad_items import BadItems
from cross_modal.data.items import MANIFEST_SUFFIXES, Items
from cross_modal.errors import CrossModalError

COLUMNS = ("image", "text", "label", "split", "group", "genuine")
LIKELY_SLIP = 0.8  # likeness from which a further column is taken for a misspelt one
TRUTHS = {"1": True, "1.0": True, "true": True, "yes": True, "0": False, "0.0": False, "false": False, "no": False}
Row = dict[str, object]
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
    """Opens a manifest.

    Args:
        path: A .csv, .tsv, .parquet or .jsonl file.

    Returns:
        Its columns, and its rows, one dictionary each; missing cells are None or absent.

    Raises:
        CrossModalError: Where it does not exist or cannot be read; one line with file and, where known, row.
    """
    if not path.is_file():
        raise CrossModalError(f"{path}: expected a manifest, found no such file")
    readers: dict[str, Callable[[Path], tuple[list[str], Iterator[Row]]]] = {
        ".csv": lambda file: read_separated(file, ","),
        ".tsv": lambda file: read_separated(file, "\t"),
        ".jsonl": read_json_lines,
        ".parquet": read_parquet,
    }
    try:
        return readers[path.suffix.lower()](path)
    except UnicodeDecodeError as error:
        raise CrossModalError(f"{path.name}: expected UTF-8, found byte {error.object[error.start]:#04x}") from None


def read_separated(path: Path, separator: str) -> tuple[list[str], Iterator[Row]]:
    """Reads CSV or TSV; see `read_table`."""
    with path.open(newline="", encoding="utf-8-sig") as file:
        try:
            lines = list(csv.reader(file, delimiter=separator, strict=True))
        except csv.Error as error:
            raise CrossModalError(f"{path.name}: expected well-formed {path.suffix[1:].upper()}, {error}") from None
    lines = [line for line in lines if line]
    if not lines:
        raise CrossModalError(f"{path.name}: expected a header and rows, found an empty file")
    header = [name.strip() for name in lines[0]]
    for row, line in enumerate(lines[1:], 1):
        if len(line) != len(header):
            raise CrossModalError(f"{path.name} row {row}: expected {len(header)} cells, found {len(line)}")
    return header, (dict(zip(header, line, strict=True)) for line in lines[1:])


def read_json_lines(path: Path) -> tuple[list[str], Iterator[Row]]:
    """Reads JSON Lines, one object a line; see `read_table`."""
    rows: list[Row] = []
    names: dict[str, None] = {}
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate((line for line in file if line.strip()), 1):
            try:
                value = json.loads(line)
            except (json.JSONDecodeError, RecursionError):
                raise CrossModalError(f"{path.name} row {number}: expected a JSON object, found broken JSON") from None
            if not isinstance(value, dict):
                raise CrossModalError(f"{path.name} row {number}: expected a JSON object, found {type(value).__name__}")
            names.update(dict.fromkeys(value))
            rows.append(value)
    return list(names), iter(rows)


def read_parquet(path: Path) -> tuple[list[str], Iterator[Row]]:
    """Reads Parquet; labels that Hugging Face stored as numbers get their names back. See `read_table`."""
    import pyarrow
    import pyarrow.parquet

    try:
        # Not read_table: it would make columns of folders called "key=value".
        table = pyarrow.parquet.ParquetFile(path).read()
    except (pyarrow.ArrowException, OSError) as error:
        reason = str(error).split("\n", 1)[0]
        raise CrossModalError(f"{path.name}: expected a Parquet file, {reason}") from None
    names_of = class_names(table.schema.metadata or {})

    def rows() -> Iterator[Row]:
        for batch in table.to_batches(max_chunksize=4096):
            for row in batch.to_pylist():
                for name, names in names_of.items():
                    if isinstance(row.get(name), int) and 0 <= row[name] < len(names):
                        row[name] = names[row[name]]
                yield row

    return table.column_names, rows()


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


def text_cell(value: object) -> str | None:
    """A cell as text; empty and missing ones are None.

    Raises:
        CrossModalError: A list, a mapping or bytes, which JSON Lines and Parquet can hold: written out as Python does
            it, that would be trained on as if it were a text.

    >>> text_cell(" "), text_cell(3), text_cell(2.0), text_cell("NA")
    (None, '3', '2', 'NA')
    """
    if isinstance(value, list | dict | bytes):
        raise CrossModalError(f"found a cell that holds a {type(value).__name__}, expected one text")
    if isinstance(value, float) and value == value and value.is_integer():
        value = int(value)
    if value is None or value != value or not str(value).strip():
        return None
    return str(value)


def image_cell(value: object, root: Path) -> str | bytes | None:
    """A cell as a path, seen from the manifest's folder, or as encoded bytes; None where it is empty.

    Raises:
        ValueError: Where it does not exist, or is neither; the message is a reason for `BadItems`.
    """
    if isinstance(value, dict):  # Hugging Face: {"bytes": …, "path": …}
        value = value.get("bytes") or value.get("path")
    if isinstance(value, bytes):
        return value or None
    if value is not None and not isinstance(value, str) and value == value:
        raise ValueError(f"image is a {type(value).__name__}, expected a path or bytes")
    written = text_cell(value)
    if written is None:
        return None
    path = root / written
    if "\0" in written or not path.is_file():
        raise ValueError(f"image '{written}' does not exist")
    return str(path)


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
    columns, rows = read_table(path)
    if (kind := kind_of_columns(columns)) != "items":
        raise CrossModalError(f"{path.name}: expected items (image, text, label, …), found columns of {kind}")
    check_columns(path.name, columns, COLUMNS, further)
    if not {"image", "text"} & set(columns):
        raise CrossModalError(f"{path.name}: expected a column image or text, found {', '.join(columns) or 'none'}")
    bad = BadItems(config.on_bad_item)
    kept: list[tuple[int, dict[str, object]]] = []
    for number, row in enumerate(rows, 1):
        try:
            kept.append((number, item_of(row, columns, path.parent)))
        except ValueError as error:
            bad.add(number, f"{path.name} row {number}", str(error))
    cells = {name: [item[name] for _, item in kept] if name in columns else None for name in COLUMNS}
    return Items.of(
        images=cells["image"] or [None] * len(kept),
        texts=cells["text"] or [None] * len(kept),
        labels=cells["label"],  # type: ignore[arg-type]
        splits=cells["split"],  # type: ignore[arg-type]
        groups=cells["group"],  # type: ignore[arg-type]
        genuine=cells["genuine"],  # type: ignore[arg-type]
        rows=[number for number, _ in kept],
        source=source,
        skipped=bad.skipped,
    )


def item_of(row: Row, columns: list[str], root: Path) -> dict[str, object]:
    """The cells of one row, checked.

    Raises:
        ValueError: Where the row is bad; the message is a reason for `BadItems`.
    """
    from cross_modal.data.splits import split_name

    item: dict[str, object] = {"image": image_cell(row.get("image"), root), "text": text_cell(row.get("text"))}
    if item["image"] is None and item["text"] is None:
        raise ValueError("expected an image or a text, found neither")
    for name in ("label", "split", "group", "genuine"):
        if name in columns:
            item[name] = text_cell(row.get(name))
            if item[name] is None:
                raise ValueError(f"{name} is empty")
    if "split" in item:
        split = split_name(str(item["split"]))
        if split is None:
            raise ValueError(f"split is '{item['split']}', expected train, validation or test")
        item["split"] = split
    if "genuine" in item:
        truth = TRUTHS.get(str(item["genuine"]).strip().lower())
        if truth is None:
            raise ValueError(f"genuine is '{item['genuine']}', expected 0 or 1")
        item["genuine"] = truth
    return item
