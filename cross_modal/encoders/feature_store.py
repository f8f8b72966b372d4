"""What frozen trunks gave, computed once and found by content: a folder of entries under a limit of size.

An entry's name is the SHA-256 of what determines its numbers (weights, preprocessing, tokenizer, layer, precision,
versions), a row's key the hash of the item's bytes and the number of its view. So nothing has to be invalidated:
whatever changes has another name, and what was computed once serves training, sweeps, evaluation and dashboard alike.

Any number of processes may read and write. The store's own lock is held where entries are opened or removed, an entry's
lock where rows are appended; who holds both took the entry's first.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from filelock import FileLock

from cross_modal.encoders.entry_use import DESCRIPTION, folder_size, in_use
from cross_modal.encoders.feature_entry import FeatureEntry, StoredTokens, StoreFull
from cross_modal.encoders.feature_index import FeatureIndex
from cross_modal.errors import CrossModalError

__all__ = ["EntryFacts", "FeatureEntry", "FeatureStore", "StoreFull", "StoredTokens", "default_root"]

VARIABLE, OFF = "CROSS_MODAL_CACHE", "off"
GIGABYTE, DAY = 10**9, timedelta(days=1)
_LOCK, _ASIDE = "store.lock", ".aside-"


@dataclass(frozen=True)
class EntryFacts:
    """What a listing says of an entry.

    Attributes:
        name: The folder's name, the SHA-256 of the description.
        description: What the features come from; empty where it cannot be read.
        rows: How many rows are whole.
        bytes: The size of its files.
        used: When it was last opened or closed, in UTC.
        in_use: Whether a live process has it open.
    """

    name: str
    description: dict[str, Any]
    rows: int
    bytes: int
    used: datetime
    in_use: bool


class FeatureStore:
    """Entries of features under one folder.

    Args:
        root: The folder, made where it is missing; None takes `default_root`.
        limit_gigabytes: The size in 10⁹ bytes above which entries go, the least recently used first.

    Raises:
        CrossModalError: If the folder cannot be made or written to, the store is switched off, or the limit is
            negative.

    Example:
        >>> import numpy as np
        >>> store = FeatureStore(Path(tempfile.mkdtemp()))
        >>> with store.entry({"trunk": "conv4", "weights": "5ab1"}) as entry:
        ...     keys = np.arange(32, dtype=np.uint8).reshape(2, 16)
        ...     entry.append(keys, np.arange(6.0).reshape(3, 2), [2, 1])
        ...     tokens = entry.read(entry.find(keys))
        >>> tokens.values[:, :, 1].tolist(), tokens.mask.tolist()
        ([[1.0, 3.0], [5.0, 0.0]], [[True, True], [True, False]])
        >>> [(facts.description["trunk"], facts.rows) for facts in store.entries()]
        [('conv4', 2)]
    """

    def __init__(self, root: Path | None = None, limit_gigabytes: float = 20.0) -> None:
        if not limit_gigabytes >= 0:
            raise CrossModalError(f"feature store: expected a limit of at least 0 GB, found {limit_gigabytes}")
        found = default_root() if root is None else Path(root)
        if found is None:
            raise CrossModalError(f"feature store: expected a folder in {VARIABLE}, found {OFF!r} (it is switched off)")
        self.root = found
        self.limit_bytes = limit_gigabytes * GIGABYTE
        try:
            self.root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CrossModalError(f"feature store {found}: expected a folder to write to, found: {error}") from None
        if not os.access(found, os.W_OK | os.X_OK):
            raise CrossModalError(f"feature store {found}: expected a folder to write to, found one that is read-only")
        self._lock = FileLock(self.root / _LOCK)

    @classmethod
    def open(cls, limit_gigabytes: float = 20.0) -> FeatureStore | None:
        """The user's store; None where it is switched off, or nobody named a folder and the default is read-only.

        Raises:
            CrossModalError: If the folder that `CROSS_MODAL_CACHE` names cannot be made or written to.
        """
        root = default_root()
        if root is None:
            return None
        try:
            return cls(root, limit_gigabytes)
        except CrossModalError:
            if os.environ.get(VARIABLE):
                raise
            return None  # a read-only home is no reason not to train

    @property
    def size_bytes(self) -> int:
        """The size of all entries in bytes."""
        return sum(folder_size(folder) for folder in self._folders())

    def entry(self, description: Mapping[str, Any]) -> FeatureEntry:
        """Opens the entry of a description, a new one where there is none; over the limit, others go.

        Args:
            description: All that determines the numbers, JSON-able: digest of the weights, preprocessing, tokenizer,
                layer, precision, versions of libraries. The view is part of the rows' keys.

        Returns:
            The entry. It counts as in use until it is closed.

        Raises:
            CrossModalError: If the description is no JSON, or the entry that is there holds another one.
        """
        asked = _canonical(description)
        folder = self.root / hashlib.sha256(asked.encode()).hexdigest()
        with self._lock:
            if not folder.exists():
                aside = Path(tempfile.mkdtemp(prefix=_ASIDE, dir=self.root))
                (aside / DESCRIPTION).write_text(asked + "\n", encoding="utf-8")
                aside.chmod(0o755)
                aside.rename(folder)
            _refuse_mismatch(folder, json.loads(asked))
            os.utime(folder / DESCRIPTION)
            entry = FeatureEntry(folder, self._make_room)
            if self.size_bytes > self.limit_bytes:
                self.prune()
        return entry

    def entries(self) -> list[EntryFacts]:
        """What is in the store, the most recently used first."""
        with self._lock:
            return sorted(map(_facts, self._folders()), key=lambda facts: facts.used, reverse=True)

    def prune(
        self,
        limit_gigabytes: float | None = None,
        older_than_days: float | None = None,
        keep_in_use: bool = True,
    ) -> list[EntryFacts]:
        """Removes entries, the least recently used first.

        Args:
            limit_gigabytes: Removes until the store is no larger; None takes the store's own limit, unless
                `older_than_days` is given.
            older_than_days: Removes what was not used for longer.
            keep_in_use: Whether entries that a live process has open stay. Removed all the same, they stay readable
                for that process, but it cannot append to them.

        Returns:
            What was removed.

        Raises:
            CrossModalError: If a number is negative.
        """
        for name, number in (("limit", limit_gigabytes), ("days", older_than_days)):
            if number is not None and not number >= 0:
                raise CrossModalError(f"feature store: expected {name} of at least 0, found {number}")
        limit = None if limit_gigabytes is None else limit_gigabytes * GIGABYTE
        limit = self.limit_bytes if limit is None and older_than_days is None else limit
        now = datetime.now(UTC)
        with self._lock:
            for left in self.root.glob(f"{_ASIDE}*"):  # of a process that died while it made or removed an entry
                shutil.rmtree(left, ignore_errors=True)
            total, removed = self.size_bytes, []
            for facts in reversed(self.entries()):
                expired = older_than_days is not None and (now - facts.used) / DAY > older_than_days
                if (facts.in_use and keep_in_use) or not (expired or (limit is not None and total > limit)):
                    continue
                self._remove(facts.name)
                removed.append(facts)
                total -= facts.bytes
        return removed

    def _make_room(self, needed: int) -> None:
        """Evicts until `needed` bytes fit; where they cannot fit whatever goes, nothing goes.

        Raises:
            StoreFull: If entries in use leave no room for them.
        """
        if self.size_bytes + needed <= self.limit_bytes:
            return
        with self._lock:
            held = sum(facts.bytes for facts in self.entries() if facts.in_use)
            if held + needed > self.limit_bytes:
                raise StoreFull(
                    f"feature store {self.root}: expected room for {needed / GIGABYTE:.3g} GB under the limit of "
                    f"{self.limit_bytes / GIGABYTE:g} GB, found {held / GIGABYTE:.3g} GB in entries in use"
                )
            self.prune((self.limit_bytes - needed) / GIGABYTE)

    def _remove(self, name: str) -> None:
        """Renames first: half an entry is never found under its name."""
        aside = Path(tempfile.mkdtemp(prefix=_ASIDE, dir=self.root))
        shutil.move(self.root / name, aside / name)
        shutil.rmtree(aside, ignore_errors=True)

    def _folders(self) -> list[Path]:
        return [path for path in self.root.iterdir() if path.is_dir() and not path.name.startswith(".")]


def default_root() -> Path | None:
    """Where the store lies: `CROSS_MODAL_CACHE`, else ~/.cache/cross-modal/features; None where that says "off"."""
    said = os.environ.get(VARIABLE, "")
    if said.lower() == OFF:
        return None
    return Path(said).expanduser() if said else Path.home() / ".cache" / "cross-modal" / "features"


def _canonical(description: Mapping[str, Any]) -> str:
    """The one spelling of a description."""
    try:
        return json.dumps(dict(description), sort_keys=True, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise CrossModalError(f"description of features: expected what JSON can say, found {error}") from None


def _refuse_mismatch(folder: Path, asked: dict[str, Any]) -> None:
    """Features of anything else must never be taken for those that were asked for."""
    held = _description(folder)
    if held == asked:
        return
    parts = [name for name in sorted({*held, *asked}) if held.get(name) != asked.get(name)]
    differs = f"{parts[0]} {held.get(parts[0])!r}" if held else "none that can be read"
    raise CrossModalError(
        f"{folder / DESCRIPTION}: expected {parts[0]} {asked.get(parts[0])!r}, found {differs} "
        "(the entry was changed from outside; `cross-modal cache --all` removes it)"
    )


def _description(folder: Path) -> dict[str, Any]:
    try:
        found = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _facts(folder: Path) -> EntryFacts:
    index = FeatureIndex(folder)
    try:
        index.refresh()
        used = (folder / DESCRIPTION).stat().st_mtime
    except (CrossModalError, OSError):  # damaged entries are listed too, or nobody would remove them
        used = folder.stat().st_mtime
    return EntryFacts(
        folder.name,
        _description(folder),
        index.rows,
        folder_size(folder),
        datetime.fromtimestamp(used, UTC),
        in_use(folder),
    )
