"""Sources: the one grammar of ``--data``. A string becomes items, checked and split.

``items.csv`` (also .tsv, .parquet, .jsonl), a folder of class folders, ``torchvision:NAME``, ``webdataset:PATTERN``,
``glyphs``. The readers are imported when they are needed, for some bring a library along.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np

from cross_modal.configuration import DataConfig
from cross_modal.data.archive_member import ArchiveMember
from cross_modal.data.bad_items import BadItems
from cross_modal.data.items import Items
from cross_modal.data.manifest import is_manifest, read_manifest
from cross_modal.data.splits import assign_splits
from cross_modal.data.together import Alone, Together
from cross_modal.errors import CrossModalError

STORED = (str, bytes, ArchiveMember)  # cells whose pictures are decoded from what is stored
CHECKED_AT_ONCE = 256  # pictures that a thread looks at
GRAMMAR = (
    "a .csv, .tsv, .parquet or .jsonl manifest, a published split (.json), a folder of class folders, "
    "torchvision:NAME, webdataset:PATTERN or glyphs"
)


def read_items(
    source: str, config: DataConfig | None = None, further: bool = False, together: Together | None = None
) -> Items:
    """Reads a source.

    Args:
        source: See the grammar above.
        config: How it becomes items and splits; None takes the defaults.
        further: Whether a manifest may have columns of its own.
        together: The processes that read it, each looking at a part of shards and pictures; None is this one alone.

    Returns:
        The items, every one with its split; what was left out is in `skipped`.

    Raises:
        CrossModalError: One line that names the source, what was expected and what was found.
    """
    config = config or DataConfig()
    items = check_pictures(read_unsplit(source, config, further, together), config, together)
    if not len(items):
        left = f" ({len(items.skipped)} were skipped, the first: {items.skipped[0]})" if items.skipped else ""
        raise CrossModalError(f"{source}: expected items, found none{left}")
    return assign_splits(items, config)


def read_unsplit(source: str, config: DataConfig, further: bool = False, together: Together | None = None) -> Items:
    """Reads a source by the reader that its form names; splits as the data brings them.

    Raises:
        CrossModalError: Where no reader fits, or the reader finds a fault.
    """
    kind, colon, rest = source.partition(":")
    if source == "glyphs":
        from cross_modal.data.glyph_items import read_glyphs

        return read_glyphs()
    if colon and kind == "torchvision":
        from cross_modal.data.torchvision_source import read_torchvision

        return read_torchvision(rest)
    if colon and kind == "webdataset":
        from cross_modal.data.shards import read_shards

        return read_shards(rest, config, together)
    if is_manifest(source):
        return read_manifest(source, config, further)
    if source.lower().endswith(".json") and Path(source).is_file():
        from cross_modal.data.published_source import read_published

        return read_published(source)
    if Path(source).is_dir():
        from cross_modal.data.folder import read_folder

        return read_folder(source)
    raise CrossModalError(f"data '{source}': expected {GRAMMAR}; found no such file, folder or name")


def check_pictures(items: Items, config: DataConfig, together: Together | None = None) -> Items:
    """Looks at the header of every picture (each distinct path once), so that a bad one is found now, not at step 300.

    Under `on_bad_item` "skip" pictures are decoded too (JPEG at an eighth of its size), so that none of the kept ones
    fails later.

    Args:
        items: The items; arrays are taken as they are.
        config: Size limit, workers and policy.
        together: The processes that share the looking; all of them learn of every fault. None is this one alone.

    Returns:
        The items without the bad ones, which are listed in `skipped`.

    Raises:
        CrossModalError: At the first bad picture where `on_bad_item` is "error".
    """
    from cross_modal.data.decode import check

    distinct = list(dict.fromkeys(cell for cell in items.images if isinstance(cell, STORED)))
    if not distinct:
        return items
    whole, together = config.on_bad_item == "skip", together or Alone()
    own = range(together.rank, len(distinct), together.size)

    def faults_of(start: int) -> list[tuple[int, str]]:
        places = own[start : start + CHECKED_AT_ONCE]
        looked_at = ((place, check(distinct[place], config.max_pixels, whole=whole)) for place in places)
        return [(place, fault) for place, fault in looked_at if fault]

    with ThreadPoolExecutor(
        max(config.workers, 1)
    ) as pool:  # threads take parts: one future a picture would fill memory
        parts = pool.map(faults_of, range(0, len(own), CHECKED_AT_ONCE))
        found = {"faults": [fault for part in parts for fault in part], "pictures": len(distinct)}
    everyone = together.collected(found)
    if any(told["pictures"] != len(distinct) for told in everyone):
        counts = ", ".join(str(told["pictures"]) for told in everyone)
        raise CrossModalError(f"{items.source}: expected the same pictures in every process, found {counts} of them")
    faults = {distinct[place]: fault for told in everyone for place, fault in told["faults"]}
    if not faults:
        return items
    bad = BadItems(config.on_bad_item, list(items.skipped))
    keep = np.ones(len(items), bool)
    folder = f"{Path(items.source).parent}/" if is_manifest(items.source) else ""
    for index, cell in enumerate(items.images):
        fault = faults.get(cell) if isinstance(cell, STORED) else None
        if fault:
            keep[index] = False
            bad.add(int(items.rows[index]), items.where(index), fault.replace(f"'{folder}", "'", 1))
    return replace(items.take(np.flatnonzero(keep)), skipped=bad.skipped)
