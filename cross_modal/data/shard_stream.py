"""The samples of WebDataset shards, in their order: split over processes and workers, and resumable anywhere.

A shard is listed when its turn comes, once, by the process whose turn it is. Listing reads the headers and the small
members (captions, classes); pictures stay where they are, and are read by offset when they are decoded.
"""

from __future__ import annotations

import re
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from cross_modal.data.archive_member import ArchiveMember
from cross_modal.errors import CrossModalError

PICTURES = ("jpg", "jpeg", "png", "webp")
MEMBERS = (*PICTURES, "txt", "json", "cls")
HARMFUL = ("pyd", "pkl", "pickle", "pth", "pt", "ckpt", "bin", "npy", "npz", "joblib", "dill", "mp", "msgpack", "ten")
TEXT_LIMIT = 1 << 20  # bytes of a txt, json or cls member
Sample = dict[str, bytes | ArchiveMember]


class Position(NamedTuple):
    """Where a stream stands, as primitives that a checkpoint can hold.

    Attributes:
        shard: Place of the shard among the stream's shards, over all processes.
        sample: Number of the next sample of that shard, from 0.
    """

    shard: int = 0
    sample: int = 0


class Placed(NamedTuple):
    """One sample and where it stood.

    Attributes:
        shard: The shard.
        name: The members' common name.
        sample: Its members by extension: a picture as a place in the shard, the others as bytes.
        after: Where a stream goes on that has taken this sample.
    """

    shard: Path
    name: str
    sample: Sample
    after: Position


class ShardStream:
    """The samples that one of several readers takes. All readers together take each sample once.

    Where there are at least as many shards as readers, each reader takes every n-th shard; else several readers share
    a shard and take its samples in turn.

    Args:
        shards: All shards, the same for every reader.
        limit: Largest picture in bytes.
        rank: Number of this process.
        world_size: Number of processes.
        worker: Number of this worker of the process.
        workers: Workers of each process.
        start: Where to go on; what `after` of the last sample said.

    Raises:
        CrossModalError: Where rank or worker is not among those that there are.
    """

    def __init__(
        self,
        shards: Sequence[Path],
        limit: int,
        *,
        rank: int = 0,
        world_size: int = 1,
        worker: int = 0,
        workers: int = 1,
        start: Position = Position(),  # noqa: B008 (a tuple)
    ) -> None:
        if not (0 <= rank < world_size and 0 <= worker < workers):
            raise CrossModalError(
                f"shards: expected a rank below {world_size} and a worker below {workers}, found {rank} and {worker}"
            )
        self.shards, self.limit = list(shards), limit
        self._reader, self._readers = rank * workers + worker, world_size * workers
        self._start = Position(*start)

    def parts(self) -> list[tuple[int, int, int]]:
        """What this reader takes: (shard, first sample, every so many samples)."""
        count = len(self.shards)
        if count >= self._readers:
            return [(shard, 0, 1) for shard in range(self._reader, count, self._readers)]
        if not count:
            return []
        shard, place = self._reader % count, self._reader // count
        return [(shard, place, len(range(shard, self._readers, count)))]

    def __iter__(self) -> Iterator[Placed]:
        """The samples from the start that was given.

        Raises:
            CrossModalError: As `list_shard`.
        """
        for shard, first, every in self.parts():
            if shard < self._start.shard:
                continue
            path = self.shards[shard]
            done = self._start.sample if shard == self._start.shard else 0
            samples = list(list_shard(path, self.limit).items())
            for number in range(first, len(samples), every):
                if number >= done:
                    name, sample = samples[number]
                    yield Placed(path, name, sample, Position(shard, number + 1))


def list_shard(shard: Path, limit: int) -> dict[str, Sample]:
    """Lists one shard; no picture is read.

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
    archive_path = str(shard)
    try:
        with tarfile.open(shard, "r:") as archive:
            while (member := archive.next()) is not None:
                archive.members = []  # type: ignore[attr-defined]  # it would keep every header
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
                if extension in PICTURES and not member.issparse():
                    sample[extension] = ArchiveMember(archive_path, member.name, member.offset_data, member.size)
                    continue
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
    extension = path.rpartition("/")[2].partition(".")[2].lower()
    if extension.rpartition(".")[2] in HARMFUL:
        raise CrossModalError(
            f"{shard.name}: member '{member.name}' is a pickled or binary object, which is never read"
        )
    if extension not in MEMBERS:
        raise CrossModalError(f"{shard.name}: member '{member.name}' is unknown, expected {', '.join(MEMBERS)}")
    return sample_name(member.name), extension


def sample_name(member: str) -> str:
    """Name of the sample that a member belongs to: its path up to the first dot of the last part.

    >>> sample_name("./birds/01.seg.png")
    'birds/01'
    """
    folder, _, base = member.replace("\\", "/").removeprefix("./").rpartition("/")
    stem = base.partition(".")[0]
    return f"{folder}/{stem}" if folder else stem
