"""Sources: the one grammar of ``--data``. A string becomes items, checked and split.

``items.csv`` (also .tsv, .parquet, .jsonl), a folder of class folders, ``torchvision:NAME``, ``webdataset:PATTERN``,
``glyphs``. The readers are imported when they are needed, for some bring a library along.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from cross_modal.configuration import DataConfig
from cross_modal.data.bad_items import BadItems
from cross_modal.data.items import Items
from cross_modal.data.manifest import is_manifest, read_manifest
from cross_modal.data.picture_faults import Stored, picture_faults
from cross_modal.data.splits import assign_splits
from cross_modal.data.together import ALONE, Together
from cross_modal.errors import CrossModalError

GRAMMAR = (
    "a .csv, .tsv, .parquet or .jsonl manifest, a published split (.json), a folder of class folders, "
    "torchvision:NAME, webdataset:PATTERN or glyphs"
)


def read_items(
    source: str, config: DataConfig | None = None, further: bool = False, together: Together = ALONE
) -> Items:
    """Reads a source.

    Args:
        source: See the grammar above.
        config: How it becomes items and splits; None takes the defaults.
        further: Whether a manifest may have columns of its own.
        together: The processes that read this source at the same time: shards are listed and pictures looked at once
            over all of them, and all get the same items or the same error.

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


def read_unsplit(source: str, config: DataConfig, further: bool = False, together: Together = ALONE) -> Items:
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


def check_pictures(items: Items, config: DataConfig, together: Together = ALONE) -> Items:
    """Looks at every picture (each distinct path once), so that a bad one is found now, not at step 300.

    Under `on_bad_item` "skip" pictures are decoded too (see `picture_faults`), so that none of the kept ones fails
    later.

    Args:
        items: The items; arrays are taken as they are.
        config: Size limit, workers and policy.
        together: The processes that hold these items; each looks at its part, and all follow the policy alike.

    Returns:
        The items without the bad ones, which are listed in `skipped`.

    Raises:
        CrossModalError: At the first bad picture where `on_bad_item` is "error".
    """
    distinct = list(dict.fromkeys(cell for cell in items.images if isinstance(cell, Stored)))
    faults = picture_faults(distinct, config, together)
    if not faults:
        return items
    bad = BadItems(config.on_bad_item, list(items.skipped))
    keep = np.ones(len(items), bool)
    folder = f"{Path(items.source).parent}/" if is_manifest(items.source) else ""
    for index, cell in enumerate(items.images):
        fault = faults.get(cell) if isinstance(cell, Stored) else None
        if fault:
            keep[index] = False
            bad.add(int(items.rows[index]), items.where(index), fault.replace(f"'{folder}", "'", 1))
    return replace(items.take(np.flatnonzero(keep)), skipped=bad.skipped)
