"""WebDataset shards: samples in local .tar files, read by our own decoders.

A sample is the members that share a name up to its first dot: a picture (jpg, jpeg, png, webp), a caption (txt), a
class (cls) or an object (json). The webdataset library is not used: its URLs run shell commands ("pipe:") and its
decoders unpickle. Here members are read, never extracted, and everything else is refused.
"""

from __future__ import annotations

import glob
import json
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from cross_modal.configuration import DataConfig
from cross_modal.data.archive_member import ArchiveMember
from cross_modal.data.bad_items import BadItems
from cross_modal.data.items import Items, given
from cross_modal.data.listed_samples import list_samples
from cross_modal.data.manifest import TRUTHS, text_cell
from cross_modal.data.shard_stream import PICTURES, Sample, list_shard
from cross_modal.data.splits import split_name
from cross_modal.data.together import Alone, Together
from cross_modal.errors import CrossModalError

NEEDED = ("label", "split", "group", "genuine")  # where one sample has it, all must
JSON_NAMES = {"text": "text", "caption": "text", "label": "label", "class": "label"} | {
    name: name for name in ("split", "group", "genuine")
}


def expand(pattern: str) -> list[Path]:
    """The shards that a pattern names.

    Args:
        pattern: A path with {000..010}, {a,b}, * and ?.

    Returns:
        Existing .tar files, in order.

    Raises:
        CrossModalError: For a pipe, another scheme than a path, another suffix than .tar, or no file.
    """
    if re.match(r"\s*pipe:", pattern, re.I) or re.match(r"\s*[\w+.-]+://", pattern) or "|" in pattern:
        raise CrossModalError(f"webdataset:{pattern}: expected local .tar files, found a pipe or a remote address")
    files: list[Path] = []
    for name in braces(pattern):
        found = sorted(glob.glob(name)) if glob.has_magic(name) else [name]
        files += [Path(file) for file in found]
    if not files:
        raise CrossModalError(f"webdataset:{pattern}: expected .tar files, found none")
    for file in files:
        if file.suffix.lower() != ".tar" or not file.is_file():
            raise CrossModalError(f"webdataset:{pattern}: expected .tar files, found no such file '{file}'")
    return files


def braces(pattern: str) -> Iterator[str]:
    """Expands {first..last} and {one,two}, as a shell does.

    >>> list(braces("a-{08..10}.tar")), list(braces("{x,y}.tar"))
    (['a-08.tar', 'a-09.tar', 'a-10.tar'], ['x.tar', 'y.tar'])
    """
    match = re.search(r"\{(\d+)\.\.(\d+)\}|\{([^{}]*,[^{}]*)\}", pattern)
    if match is None:
        yield pattern
        return
    if match[3] is not None:
        choices = match[3].split(",")
    else:
        first, last = int(match[1]), int(match[2])
        if abs(last - first) > 1_000_000:
            raise CrossModalError(f"webdataset:{pattern}: expected at most a million shards")
        width = len(match[1]) if match[1].startswith("0") or len(match[1]) == len(match[2]) else 0
        choices = [
            f"{n:0{width}d}" for n in range(first, last + 1 if first <= last else last - 1, 1 if first <= last else -1)
        ]
    for choice in choices:
        yield from braces(pattern[: match.start()] + choice + pattern[match.end() :])


def read_shards(pattern: str, config: DataConfig, together: Together | None = None) -> Items:
    """Reads all shards of a pattern.

    Args:
        pattern: See `expand`.
        config: `max_pixels` bounds the members, `on_bad_item` decides what happens to bad samples.
        together: The processes that list the shards, each its own; None is this one alone.

    Returns:
        The items, the same in every process; pictures stay in their shards, and are read when they are decoded.

    Raises:
        CrossModalError: As `expand` and `list_shard`, and at the first bad sample where `on_bad_item` is "error".
    """
    bad = BadItems(config.on_bad_item)
    names = ("image", "text", *NEEDED)
    listed = list_samples(expand(pattern), picture_limit(config), names, item_of, bad, together or Alone())
    table, rows = listed.columns, listed.rows
    keep = np.ones(len(rows), bool)
    needed = {name: given(table[name]) for name in NEEDED}
    needed = {name: there for name, there in needed.items() if there.any()}
    for place in np.flatnonzero(~np.logical_and.reduce([keep, *needed.values()])).tolist():
        missing = next(name for name, there in needed.items() if not there[place])
        bad.add(int(rows[place]), _where(listed.counts, int(rows[place]), config), f"{missing} is empty")
        keep[place] = False
    found = {name: cells[keep] for name, cells in table.items() if name in ("image", "text") or name in needed}
    return Items.of(
        images=found["image"],
        texts=found["text"],
        labels=found.get("label"),
        splits=found.get("split"),
        groups=found.get("group"),
        genuine=found.get("genuine"),
        rows=rows[keep],
        source=f"webdataset:{pattern}",
        skipped=bad.skipped,
    )


def picture_limit(config: DataConfig) -> int:
    """Largest picture member in bytes: encoded, no sane picture takes more than its pixels do."""
    return 8 * config.max_pixels


def _where(counts: dict[Path, int], row: int, config: DataConfig) -> str:
    """The place of a row, for a message: its shard is listed again, for names are not kept."""
    for shard, count in counts.items():
        if row <= count:
            return f"{shard.name} sample '{list(list_shard(shard, picture_limit(config)))[row - 1]}'"
        row -= count
    raise AssertionError


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
