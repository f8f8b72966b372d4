"""What shards hold, by the column: every shard is listed once, by one of the processes that read together.

What a process found goes to the others as tensors: a picture as its place in the shard, strings as bytes. In the end
every process has the whole, in the order of the shards, as if it had listed them all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cross_modal.configuration import OnBadItem
from cross_modal.data.archive_member import ArchiveMember
from cross_modal.data.bad_items import BadItems
from cross_modal.data.shard_cells import NEEDED, item_of
from cross_modal.data.shard_stream import ShardStream, list_shard, sample_name
from cross_modal.data.together import (
    ALONE,
    Together,
    name_mark,
    packed_strings,
    refuse_others,
    unpacked_strings,
)
from cross_modal.errors import CrossModalError

CELLS = ("image", "text", *NEEDED)
STRINGS = ("text", "label", "split", "group")
Bad = tuple[int, int, str, str]  # shard, number of the sample in it from 1, its name, reason


@dataclass(frozen=True)
class Listing:
    """Samples of shards.

    Attributes:
        counts: (S,) int64, samples of each shard, bad ones too; 0 for those that were not listed.
        shards: (N,) int64, place of each good sample's shard.
        numbers: (N,) int64, its number in the shard, from 1.
        names: (N,) object: its name where it has no picture; those of pictures tell it.
        columns: (N,) object cells by name: image, text, label, split, group, genuine.
        bad: The bad samples.
    """

    counts: np.ndarray
    shards: np.ndarray
    numbers: np.ndarray
    names: np.ndarray
    columns: dict[str, np.ndarray]
    bad: list[Bad]

    def name(self, place: int) -> str:
        """The name of a sample."""
        picture = self.columns["image"][place]
        return str(self.names[place]) if picture is None else sample_name(picture.name)


def list_together(shards: Sequence[Path], limit: int, policy: OnBadItem, together: Together = ALONE) -> Listing:
    """Lists shards, each of them once over all processes.

    Args:
        shards: All shards, the same in every process.
        limit: Largest picture in bytes.
        policy: What happens to bad samples.
        together: The processes that list; with more processes than shards, some list none.

    Returns:
        The samples of all shards, the same in every process.

    Raises:
        CrossModalError: The same in every process: the first shard that cannot be listed, or holds a bad sample where
            `policy` is "error"; or a process that has other shards than process 0.
    """
    readers = min(together.size, len(shards))
    own: list[int] = []
    if together.rank < readers:
        stream = ShardStream(shards, limit, rank=together.rank, world_size=readers)
        own = [shard for shard, _, _ in stream.parts()]
    found, fault = _listed(shards, own, limit, policy)
    if together.size == 1:
        if fault is not None:
            raise fault[1]
        return found
    content = {"count": len(shards), "mark": name_mark(map(str, shards))}
    said = together.collected(
        content | {"fault": None if fault is None else (fault[0], str(fault[1])), "listing": _packed(found)}
    )
    refuse_others(said, "shards")
    faults = [each["fault"] for each in said if each["fault"] is not None]
    if faults:
        raise CrossModalError(min(faults)[1])
    parts = (found if rank == together.rank else _unpacked(each["listing"], shards) for rank, each in enumerate(said))
    return _joined(list(parts))


def _listed(
    shards: Sequence[Path], own: Sequence[int], limit: int, policy: OnBadItem
) -> tuple[Listing, tuple[int, CrossModalError] | None]:
    """Some of the shards, up to the first fault: the place of its shard, and what it is."""
    columns: dict[str, list[object]] = {name: [] for name in CELLS}
    counts, places, numbers, names = np.zeros(len(shards), np.int64), list[int](), list[int](), list[str | None]()
    bad, fault = list[Bad](), None
    for shard in own:
        try:
            samples = list_shard(shards[shard], limit)
            counts[shard] = len(samples)
            for number, (name, sample) in enumerate(samples.items(), 1):
                try:
                    item = item_of(sample)
                except ValueError as error:
                    BadItems(policy).add(number, f"{shards[shard].name} sample '{name}'", str(error))
                    bad.append((shard, number, name, str(error)))
                    continue
                places.append(shard)
                numbers.append(number)
                names.append(None if "image" in item else name)
                for column, cells in columns.items():
                    cells.append(item.get(column))
        except CrossModalError as error:
            fault = shard, error
            break
    table = {name: np.fromiter(columns.pop(name), object, len(places)) for name in CELLS}
    known = np.fromiter(names, object, len(places))
    return Listing(counts, np.array(places, np.int64), np.array(numbers, np.int64), known, table, bad), fault


def _packed(listing: Listing) -> dict[str, Any]:
    """A listing as tensors and primitives."""
    import torch

    images, genuine = listing.columns["image"], listing.columns["genuine"]
    members = [(-1, -1) if image is None else (image.offset, image.size) for image in images]
    names = [name if image is None else image.name for image, name in zip(images, listing.names, strict=True)]
    return {
        "counts": torch.from_numpy(listing.counts),
        "shards": torch.from_numpy(listing.shards),
        "numbers": torch.from_numpy(listing.numbers),
        "members": torch.from_numpy(np.array(members, np.int64).reshape(-1, 2)),
        "names": packed_strings(names),
        "genuine": torch.tensor([-1 if cell is None else int(cell) for cell in genuine], dtype=torch.int8),
        "strings": {name: packed_strings(listing.columns[name]) for name in STRINGS},
        "bad": listing.bad,
    }


def _unpacked(packed: Mapping[str, Any], shards: Sequence[Path]) -> Listing:
    """The inverse of `_packed`; members of one shard share its path."""
    archives = [str(shard) for shard in shards]
    names, places, members = unpacked_strings(packed["names"]), packed["shards"].numpy(), packed["members"].tolist()
    images = [
        None if offset < 0 else ArchiveMember(archives[shard], str(name), offset, size)
        for shard, name, (offset, size) in zip(places.tolist(), names, members, strict=True)
    ]
    nameless = [name if image is None else None for image, name in zip(images, names, strict=True)]
    cells: dict[str, list[Any]] = {name: unpacked_strings(packed["strings"][name]) for name in STRINGS}
    cells |= {"image": images, "genuine": [None if cell < 0 else bool(cell) for cell in packed["genuine"].tolist()]}
    return Listing(
        packed["counts"].numpy(),
        places,
        packed["numbers"].numpy(),
        np.fromiter(nameless, object, len(places)),
        {name: np.fromiter(cells[name], object, len(places)) for name in CELLS},
        list(map(tuple, packed["bad"])),
    )


def _joined(parts: Sequence[Listing]) -> Listing:
    """The parts as one, in the order of the shards."""
    order = np.argsort(np.concatenate([part.shards for part in parts]), kind="stable")
    return Listing(
        np.sum([part.counts for part in parts], axis=0),
        np.concatenate([part.shards for part in parts])[order],
        np.concatenate([part.numbers for part in parts])[order],
        np.concatenate([part.names for part in parts])[order],
        {name: np.concatenate([part.columns[name] for part in parts])[order] for name in CELLS},
        sorted(each for part in parts for each in part.bad),
    )
