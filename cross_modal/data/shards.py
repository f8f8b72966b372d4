"""WebDataset shards: samples in local .tar files, read by our own decoders.

A sample is the members that share a name up to its first dot: a picture (jpg, jpeg, png, webp), a caption (txt), a
class (cls) or an object (json). The webdataset library is not used: its URLs run shell commands ("pipe:") and its
decoders unpickle. Here members are read, never extracted, and everything else is refused.
"""

from __future__ import annotations

import glob
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from cross_modal.configuration import DataConfig
from cross_modal.data.bad_items import BadItem, BadItems
from cross_modal.data.items import Items, given
from cross_modal.data.shard_cells import NEEDED
from cross_modal.data.shard_listing import list_together
from cross_modal.data.together import ALONE, Together
from cross_modal.errors import CrossModalError


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


def read_shards(pattern: str, config: DataConfig, together: Together = ALONE) -> Items:
    """Reads all shards of a pattern.

    Args:
        pattern: See `expand`.
        config: `max_pixels` bounds the members, `on_bad_item` decides what happens to bad samples.
        together: The processes that read; each lists its own shards, and all have all items in the end.

    Returns:
        The items; pictures stay in their shards, and are read when they are decoded.

    Raises:
        CrossModalError: As `expand` and `list_together`, and at the first bad sample where `on_bad_item` is "error".
    """
    shards = expand(pattern)
    listing = list_together(shards, picture_limit(config), config.on_bad_item, together)
    starts = np.cumsum(listing.counts) - listing.counts
    rows = starts[listing.shards] + listing.numbers
    bad = BadItems(
        config.on_bad_item,
        [
            BadItem(int(starts[shard]) + number, f"{shards[shard].name} sample '{name}'", reason)
            for shard, number, name, reason in listing.bad
        ],
    )
    needed = {name: given(listing.columns[name]) for name in NEEDED}
    needed = {name: there for name, there in needed.items() if there.any()}
    keep = np.logical_and.reduce([np.ones(len(rows), bool), *needed.values()])
    for place in np.flatnonzero(~keep).tolist():
        missing = next(name for name, there in needed.items() if not there[place])
        where = f"{shards[listing.shards[place]].name} sample '{listing.name(place)}'"
        bad.add(int(rows[place]), where, f"{missing} is empty")
    found = {name: cells[keep] for name, cells in listing.columns.items() if name in ("image", "text", *needed)}
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
