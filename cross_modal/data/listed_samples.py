"""The samples of shards as a table, listed by several processes: every shard once, by one of them.

Each process parses its own shards and tells the others what it found: cells, where the pictures lie, and what is wrong.
So all of them hold the same table, and stop at the same fault.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from cross_modal.configuration import OnBadItem
from cross_modal.data.archive_member import ArchiveMember
from cross_modal.data.bad_items import BadItems
from cross_modal.data.shard_stream import Sample, ShardStream
from cross_modal.data.together import Together
from cross_modal.errors import CrossModalError

Parse = Callable[[Sample], dict[str, object]]
Place = tuple[int, int]  # shard, number of the sample in it, from 1


@dataclass
class ListedSamples:
    """Samples that were read and found good, in the order of the shards.

    Attributes:
        columns: Column → M cells; a picture is a place in its shard.
        rows: (M,) int64 numbers of the samples among all, bad ones included, from 1.
        counts: Shard → samples in it, in the order of the shards.
    """

    columns: dict[str, np.ndarray]
    rows: np.ndarray
    counts: dict[Path, int]


@dataclass
class _Part:
    """What one process found in its shards."""

    places: array[int] = field(default_factory=lambda: array("q"))  # shard, number, shard, number, …
    cells: dict[str, list[Any]] = field(default_factory=dict)
    counts: dict[int, int] = field(default_factory=dict)
    bad: list[tuple[Place, str, str]] = field(default_factory=list)
    fault: tuple[Place, str] | None = None  # what ends the reading, wherever it is


def list_samples(
    shards: Sequence[Path], limit: int, names: Sequence[str], parse: Parse, bad: BadItems, together: Together
) -> ListedSamples:
    """Lists all shards, each once over all processes.

    Args:
        shards: The shards, the same in every process.
        limit: Largest picture in bytes.
        names: The columns.
        parse: A sample's cells; raises ValueError where it is bad.
        bad: What happens to bad samples.
        together: The processes that list them.

    Raises:
        CrossModalError: As `list_shard`, and at the first bad sample where the policy is "error"; the same in all.
    """
    own = _listed(shards, limit, names, parse, bad.policy, together)
    parts = [own] if together.size == 1 else [_read(told, shards) for told in together.collected(_told(own, shards))]
    counts = dict.fromkeys(shards, 0)
    for shard, count in (each for part in parts for each in part.counts.items()):
        counts[shards[shard]] = count
    before = np.cumsum([0, *counts.values()])
    faults = [part.fault for part in parts if part.fault is not None]
    first = min(faults, default=None)
    for (shard, number), where, reason in sorted(each for part in parts for each in part.bad):
        if first is None or (shard, number) < first[0]:
            bad.add(int(before[shard]) + number, where, reason)
    if first is not None:
        raise CrossModalError(first[1])
    places = np.concatenate([np.array(part.places, np.int64) for part in parts]).reshape(-1, 2)
    rows = before[places[:, 0]] + places[:, 1]
    order = np.argsort(rows, kind="stable")
    columns = {}
    for name in names:  # column by column, so that never more than one stands in memory twice
        cells = [cell for part in parts for cell in part.cells.pop(name)]
        columns[name] = np.fromiter(cells, object, len(cells))[order]
    return ListedSamples(columns, rows[order], counts)


def _listed(
    shards: Sequence[Path], limit: int, names: Sequence[str], parse: Parse, policy: OnBadItem, together: Together
) -> _Part:
    """What this process finds in its own shards; it stops where the policy is to stop."""
    part = _Part(cells={name: [] for name in names})
    readers = min(together.size, len(shards))  # a process without a shard of its own lists none
    if together.rank >= readers:
        return part
    shard = together.rank
    try:
        for path, name, sample, (shard, number) in ShardStream(shards, limit, rank=together.rank, world_size=readers):
            part.counts[shard] = number
            try:
                item = parse(sample)
            except ValueError as error:
                part.bad.append(((shard, number), f"{path.name} sample '{name}'", str(error)))
                if policy == "error":
                    break
                continue
            part.places.extend((shard, number))
            for column, cells in part.cells.items():
                cells.append(item.get(column))
    except CrossModalError as error:  # of the shard after the last sample
        part.fault = (shard + readers if part.counts else shard, 0), str(error)
    return part


def _told(part: _Part, shards: Sequence[Path]) -> dict[str, Any]:
    """A part as primitives."""
    known = {str(path): shard for shard, path in enumerate(shards)}
    pictures = [
        (known[cell.archive], cell.name, cell.offset, cell.size) if isinstance(cell, ArchiveMember) else _hex(cell)
        for cell in part.cells["image"]
    ]
    return {
        "places": part.places.tolist(),
        "cells": part.cells | {"image": pictures},
        "counts": part.counts,
        "bad": part.bad,
        "fault": part.fault,
    }


def _read(told: dict[str, Any], shards: Sequence[Path]) -> _Part:
    """The inverse of `_told`; members of one shard share its path."""
    archives = [str(path) for path in shards]
    part = _Part(**told | {"places": array("q", told["places"])})
    part.cells["image"] = [
        ArchiveMember(archives[cell[0]], *cell[1:]) if isinstance(cell, tuple) else cell and bytes.fromhex(cell)
        for cell in part.cells["image"]
    ]
    return part


def _hex(cell: bytes | None) -> str | None:
    return None if cell is None else cell.hex()
