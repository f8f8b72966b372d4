"""WebDataset shards: samples in local .tar files, read by our own decoders.

A sample is the members that share a name up to its first dot: a picture (jpg, jpeg, png, webp), a caption (txt), a
class (cls) or an object (json). The webdataset library is not used: its URLs run shell commands ("pipe:") and its
decoders unpickle. Here members are read, never extracted, and everything else is refused.
"""

from __future__ import annotations

import glob
import json
import re
import tarfile
from collections.abc import Iterator
from pathlib import Path

from cross_modal.configuration import DataConfig
from cross_modal.data.bad_items import BadItems
from cross_modal.data.items import Items
from cross_modal.data.manifest import TRUTHS, text_cell
from cross_modal.data.splits import split_name
from cross_modal.errors import CrossModalError

PICTURES = ("jpg", "jpeg", "png", "webp")
MEMBERS = (*PICTURES, "txt", "json", "cls")
HARMFUL = ("pyd", "pkl", "pickle", "pth", "pt", "ckpt", "bin", "npy", "npz", "joblib", "dill", "mp", "msgpack", "ten")
JSON_NAMES = {"text": "text", "caption": "text", "label": "label", "class": "label"} | {
    name: name for name in ("split", "group", "genuine")
}
TEXT_LIMIT = 1 << 20  # bytes of a txt, json or cls member
Sample = dict[str, bytes]


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


def read_members(shard: Path, limit: int) -> dict[str, Sample]:
    """Reads one shard.

    Args:
        shard: An uncompressed .tar file.
        limit: Largest picture member in bytes.

    Returns:
        Name → members by extension, in the order of the shard.

    Raises:
        CrossModalError: For a file that is no plain tar, and members that are links, have a path that leaves the shard,
            are pickled, unknown, doubled or too large.
    """
    samples: dict[str, Sample] = {}
    try:
        with tarfile.open(shard, "r:") as archive:
            for member in archive:
                if member.isdir():
                    continue
                name, extension = checked_name(shard, member)
                size = limit if extension in PICTURES else TEXT_LIMIT
                if member.size > size:
                    raise CrossModalError(
                        f"{shard.name}: member '{member.name}' is {member.size} bytes, expected at most {size}"
                    )
                sample = samples.setdefault(name, {})
                if extension in sample:
                    raise CrossModalError(f"{shard.name}: member '{member.name}' stands twice, expected once")
                content = archive.extractfile(member)
                assert content is not None
                sample[extension] = content.read()
    except (tarfile.TarError, EOFError, OSError) as error:
        raise CrossModalError(f"{shard}: expected an uncompressed, whole .tar file, {error}") from None
    return samples


def checked_name(shard: Path, member: tarfile.TarInfo) -> tuple[str, str]:
    """Name of the sample and extension of a member.

    Raises:
        CrossModalError: Where the member is not a plain file of a known kind at a plain path.
    """
    path = member.name.replace("\\", "/").removeprefix("./")
    if not member.isreg():
        raise CrossModalError(f"{shard.name}: member '{member.name}' is a link or device, expected a plain file")
    if path.startswith("/") or ".." in path.split("/") or re.match(r"[A-Za-z]:", path):
        raise CrossModalError(f"{shard.name}: member '{member.name}' has a path that leaves the shard")
    folder, _, base = path.rpartition("/")
    stem, _, extension = base.partition(".")
    extension = extension.lower()
    if extension.rpartition(".")[2] in HARMFUL:
        raise CrossModalError(
            f"{shard.name}: member '{member.name}' is a pickled or binary object, which is never read"
        )
    if extension not in MEMBERS:
        raise CrossModalError(f"{shard.name}: member '{member.name}' is unknown, expected {', '.join(MEMBERS)}")
    return f"{folder}/{stem}" if folder else stem, extension


def read_shards(pattern: str, config: DataConfig) -> Items:
    """Reads all shards of a pattern.

    Args:
        pattern: See `expand`.
        config: `max_pixels` bounds the members, `on_bad_item` decides what happens to bad samples.

    Returns:
        The items; pictures stay encoded bytes.

    Raises:
        CrossModalError: As `expand` and `read_members`, and at the first bad sample where `on_bad_item` is "error".
    """
    bad = BadItems(config.on_bad_item)
    kept: list[tuple[int, str, dict[str, object]]] = []
    number = 0
    for shard in expand(pattern):
        for name, sample in read_members(shard, 8 * config.max_pixels).items():
            number += 1
            where = f"{shard.name} sample '{name}'"
            try:
                kept.append((number, where, item_of(sample)))
            except ValueError as error:
                bad.add(number, where, str(error))
    columns: dict[str, list[object] | None] = {}
    for column in ("label", "split", "group", "genuine"):
        if not any(column in item for _, _, item in kept):
            columns[column] = None
            continue
        for row, where, item in kept:
            if column not in item:
                bad.add(row, where, f"{column} is empty")
        kept = [entry for entry in kept if column in entry[2]]
        columns[column] = []
    for column, cells in columns.items():
        if cells is not None:
            cells += [item[column] for _, _, item in kept]
    return Items.of(
        images=[item.get("image") for _, _, item in kept],
        texts=[item.get("text") for _, _, item in kept],
        labels=columns["label"],  # type: ignore[arg-type]
        splits=columns["split"],  # type: ignore[arg-type]
        groups=columns["group"],  # type: ignore[arg-type]
        genuine=columns["genuine"],  # type: ignore[arg-type]
        rows=[row for row, _, _ in kept],
        source=f"webdataset:{pattern}",
        skipped=bad.skipped,
    )


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
        item |= json_cells(sample["json"])
    for extension, column in (("txt", "text"), ("cls", "label")):
        if extension in sample:
            item[column] = text_cell(utf8(sample[extension], extension).strip())
    if item.get("image") is None and item.get("text") is None:
        raise ValueError("expected a picture or a text, found neither")
    if "label" in item and item["label"] is None:
        raise ValueError("label is empty")
    return item


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
