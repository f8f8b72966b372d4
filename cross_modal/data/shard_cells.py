"""What the members of one sample of a WebDataset shard mean: its cells, checked."""

from __future__ import annotations

import json

from cross_modal.data.archive_member import ArchiveMember
from cross_modal.data.manifest import TRUTHS, text_cell
from cross_modal.data.shard_stream import PICTURES, Sample
from cross_modal.data.splits import split_name

NEEDED = ("label", "split", "group", "genuine")  # where one sample has it, all must
JSON_NAMES = {"text": "text", "caption": "text", "label": "label", "class": "label"} | {
    name: name for name in ("split", "group", "genuine")
}


def item_of(sample: Sample) -> dict[str, object]:
    """The cells of one sample.

    Raises:
        ValueError: Where it is bad; the message is a reason for `BadItems`.
    """
    item: dict[str, object] = {}
    pictures = [extension for extension in PICTURES if extension in sample]
    if len(pictures) > 1:
        raise ValueError(f"expected one picture, found {' and '.join(pictures)}")
    if pictures:
        item["image"] = sample[pictures[0]]
    if "json" in sample:
        item |= json_cells(_small(sample["json"]))
    for extension, column in (("txt", "text"), ("cls", "label")):
        if extension in sample:
            item[column] = text_cell(utf8(_small(sample[extension]), extension).strip())
    if item.get("image") is None and item.get("text") is None:
        raise ValueError("expected a picture or a text, found neither")
    if "label" in item and item["label"] is None:
        raise ValueError("label is empty")
    return item


def _small(member: bytes | ArchiveMember) -> bytes:
    """The content of a member that was read with the listing."""
    assert isinstance(member, bytes)
    return member


def json_cells(content: bytes) -> dict[str, object]:
    """The cells that a json member holds under known names; others (a URL, a licence) are passed over.

    Raises:
        ValueError: Where it is no JSON object, or split or genuine have no known value.
    """
    try:
        value = json.loads(utf8(content, "json"))
    except (json.JSONDecodeError, RecursionError):
        raise ValueError("json is broken") from None
    if not isinstance(value, dict):
        raise ValueError(f"json holds a {type(value).__name__}, expected an object")
    cells = {
        JSON_NAMES[name]: cell for name, given in value.items() if name in JSON_NAMES and (cell := text_cell(given))
    }
    item: dict[str, object] = dict(cells)
    if "split" in cells:
        item["split"] = split_name(cells["split"])
        if item["split"] is None:
            raise ValueError(f"split is '{cells['split']}', expected train, validation or test")
    if "genuine" in cells:
        if cells["genuine"].lower() not in TRUTHS:
            raise ValueError(f"genuine is '{cells['genuine']}', expected 0 or 1")
        item["genuine"] = TRUTHS[cells["genuine"].lower()]
    return item


def utf8(content: bytes, extension: str) -> str:
    """Content as text.

    Raises:
        ValueError: Where it is not UTF-8.
    """
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError(f"{extension} is not UTF-8") from None
