"""The cells of one row of a manifest: what each means, and what is wrong with it, in words.

This is the rule; `cross_modal.data.checked_items` applies it to many rows at once.
"""

from __future__ import annotations

from pathlib import Path

from cross_modal.data.splits import split_name
from cross_modal.errors import CrossModalError

TRUTHS = {"1": True, "1.0": True, "true": True, "yes": True, "0": False, "0.0": False, "false": False, "no": False}
Row = dict[str, object]


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


def item_of(row: Row, columns: list[str], root: Path) -> dict[str, object]:
    """The cells of one row, checked.

    Raises:
        ValueError: Where the row is bad; the message is a reason for `BadItems`.
    """
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
