"""Arrays that are made once for all processes of a machine: kept in the feature store, mapped read-only by each.

Decoded pictures and rendered glyphs are such arrays. Each lies in an entry of its own, named by what determines its
content, so it is listed, counted and evicted with everything else in the store. The first process that needs it makes
it while the others wait; it is written aside and renamed, so it is there whole or not at all, and the system's page
cache holds it once however many processes map it.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock

from cross_modal.encoders.feature_store import GIGABYTE, FeatureEntry, FeatureStore
from cross_modal.errors import CrossModalError

ARRAY, CHECK, LOCK = "array.npy", "array.sha256", "array.lock"
_SAMPLE = 64  # cells along the first axis whose bytes vouch for the file: enough to know it from another of its shape


@dataclass(frozen=True)
class StoredArray:
    """An array, and what keeps it from being evicted.

    Attributes:
        values: The array; read-only where it is mapped.
        entry: The entry that it lies in, open as long as this lives; None where it is in memory only.
    """

    values: np.ndarray
    entry: FeatureEntry | None = None


def stored_array(
    store: FeatureStore | None, description: Mapping[str, Any], make: Callable[[], np.ndarray]
) -> StoredArray:
    """The array of a description: mapped where the store has it, else made and kept.

    Args:
        store: The store; None keeps nothing.
        description: All that determines the array, JSON-able.
        make: Makes it; called once on the machine, unless the store does not take the array. What it raises passes.

    Returns:
        The array. A file that is damaged, or is not the one that was written, is made anew. Where the store is full,
        read-only or gone, the array is in memory only.

    Example:
        >>> store = FeatureStore(Path(tempfile.mkdtemp()))
        >>> stored_array(store, {"layer": "squares"}, lambda: np.arange(4) ** 2).values.tolist()
        [0, 1, 4, 9]
        >>> stored_array(store, {"layer": "squares"}, lambda: np.zeros(0)).values.tolist()
        [0, 1, 4, 9]
    """
    entry = None if store is None else _open(store, description)
    if store is None or entry is None:
        return StoredArray(make())
    lock = FileLock(entry.folder / LOCK)
    try:
        lock.acquire()
    except OSError:  # evicted by force at this very moment
        return StoredArray(make())
    try:
        found = _mapped(entry.folder)
        if found is None:
            made = make()
            found = _kept(store, entry.folder, made)
            if found is None:
                return StoredArray(made)
        return StoredArray(found, entry)
    finally:
        lock.release()


def _open(store: FeatureStore, description: Mapping[str, Any]) -> FeatureEntry | None:
    """The entry; None where the folder cannot be written to, or was changed from outside."""
    try:
        return store.entry(description)
    except (OSError, CrossModalError):
        return None


def _mapped(folder: Path) -> np.ndarray | None:
    """The array of an entry; None where there is none, or not the one that was written."""
    try:
        values = np.load(folder / ARRAY, mmap_mode="r", allow_pickle=False)
        return values if (folder / CHECK).read_text() == _digest(values) else None
    except (OSError, ValueError, EOFError):
        return None


def _kept(store: FeatureStore, folder: Path, values: np.ndarray) -> np.ndarray | None:
    """Writes an array aside, renames it and maps it; None where there is no room for it."""
    if store.size_bytes + values.nbytes > store.limit_bytes:
        store.prune(max(store.limit_bytes - values.nbytes, 0) / GIGABYTE)
        if store.size_bytes + values.nbytes > store.limit_bytes:
            return None
    try:
        handle, aside = tempfile.mkstemp(prefix=".array-", dir=folder)
        try:
            with os.fdopen(handle, "wb") as file:
                np.save(file, values, allow_pickle=False)
                file.flush()
                os.fsync(file.fileno())
            Path(aside).chmod(0o644)
            (folder / CHECK).write_text(_digest(values))
            os.replace(aside, folder / ARRAY)
        finally:
            Path(aside).unlink(missing_ok=True)
    except OSError:
        return None
    return _mapped(folder)


def _digest(values: np.ndarray) -> str:
    """SHA-256 (hex) over type, shape and evenly spread cells: reading all of it would cost what mapping it saves."""
    total = hashlib.sha256(f"{values.dtype.str}|{values.shape}|".encode())
    for place in np.unique(np.linspace(0, max(len(values) - 1, 0), _SAMPLE).astype(np.int64))[: len(values)].tolist():
        total.update(np.ascontiguousarray(values[place]).tobytes())
    return total.hexdigest()
