"""What may be read because a tracking store says so: local data of this working folder, nothing that runs or fetches.

A dataset's source is text that somebody logged, perhaps somebody else. Loading it must not run a command
(``webdataset:pipe:…``), ask an address or unpickle; and it leaves the working folder only when the caller consents.
What the user types after ``--data`` is the user's own and not checked here.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from cross_modal.configuration import DataConfig
from cross_modal.data.manifest import is_manifest
from cross_modal.errors import CrossModalError

PICKLED = ("CIFAR10", "CIFAR100")  # data sets that torchvision unpickles
MOST_SHARDS = 10_000  # a pattern is a few letters and may name more files than memory holds
_REMOTE = re.compile(
    r"^[\s\"']*(?:[\w+.-]+:)?[\s\"']*(?:pipe:|[\w+.-]+://|(?:https?|ftp|s3|gs|hf|hdfs|file|dbfs):)", re.I
)
_MAGIC = re.compile(r"[*?[]")


def check_source(source: str, *, consent: bool = False, config: DataConfig | None = None) -> None:
    """Refuses a source that must not be read on somebody else's word.

    Args:
        source: As ``--data`` takes it.
        consent: The caller agrees to data outside the working folder.
        config: How a manifest is read.

    Raises:
        CrossModalError: It names a command, an address, a pickle, items that were only in memory, or, without consent,
            a path outside the working folder; a manifest is looked through for the pictures that it names.

    >>> check_source("glyphs")
    >>> check_source("webdataset:pipe:ls")
    Traceback (most recent call last):
    cross_modal.errors.CrossModalError: webdataset:pipe:ls: expected local data, found a command or an address
    """
    if "\0" in source or "|" in source or _REMOTE.match(source):
        raise CrossModalError(f"{source}: expected local data, found a command or an address")
    kind, _, rest = source.partition(":")
    if source == "glyphs":
        return
    if source == "memory":
        raise CrossModalError("memory: expected data that can be read again, found items that were only in memory")
    if kind == "torchvision":
        _check_torchvision(source, rest, consent)
    elif kind == "webdataset":
        for shard in _shards(source, rest):
            _check_path(shard, source, consent)
    else:
        _check_path(Path(source), source, consent)
        _check_pictures(source, consent, config or DataConfig())


def _check_torchvision(source: str, name: str, consent: bool) -> None:
    from cross_modal.data.torchvision_source import data_root

    if name in PICKLED:
        raise CrossModalError(f"{source}: expected data without pickles, found files that torchvision unpickles")
    _check_path(data_root(), source, consent)


def _shards(source: str, pattern: str) -> Iterator[Path]:
    """The files that a pattern names, and the folder that each wildcard starts from, before it is looked into."""
    from cross_modal.data.shards import braces

    names = list(islice(braces(pattern), MOST_SHARDS + 1))
    if len(names) > MOST_SHARDS:
        raise CrossModalError(f"{source}: expected at most {MOST_SHARDS} shards, found more")
    for name in names:
        found = _MAGIC.search(name)
        if found is None:
            yield Path(name)
            continue
        start = Path(name[: found.start()].rpartition("/")[0] or ("/" if name.startswith("/") else "."))
        yield start
        yield from start.glob(str(Path(name).relative_to(start)))


def _check_pictures(source: str, consent: bool, config: DataConfig) -> None:
    """A manifest or a folder inside the working folder may name pictures outside of it."""
    if consent or not (is_manifest(source) or os.path.isdir(source)):
        return
    from cross_modal.data.sources import read_unsplit

    items = read_unsplit(source, config)
    for path in dict.fromkeys(cell for cell in items.images.tolist() if isinstance(cell, str)):
        _check_path(Path(path), source, consent)


def _check_path(path: Path, source: str, consent: bool) -> None:
    here = Path.cwd().resolve()
    try:
        found = path.resolve()
    except (OSError, RuntimeError) as error:  # a link that leads to itself
        raise CrossModalError(f"{source}: expected a path, found {path}: {error}") from None
    if not consent and not found.is_relative_to(here):
        raise CrossModalError(
            f"{source}: expected data inside the working folder {here}, found {found} (load(consent=True) reads it)"
        )
