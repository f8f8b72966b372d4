"""Which entries of the feature store are in use: each user holds a lock on a file of its own in the entry's folder.

The system releases the lock of a process that dies, however it dies, so what is in use is never a matter of belief.
"""

from __future__ import annotations

import os
import uuid
from contextlib import suppress
from pathlib import Path

from filelock import FileLock

from cross_modal.encoders.feature_index import size_of

DESCRIPTION = "entry.json"  # its time of change says when the entry was last used
USERS = "users"


def folder_size(folder: Path) -> int:
    """The size of a folder's files in bytes; what vanishes meanwhile counts nothing."""
    return sum(size_of(path) for path in folder.glob("*") if path.is_file())


def in_use(folder: Path) -> bool:
    """Whether a live process has the entry open: a lock file whose lock cannot be had. Those of the dead are removed.

    Only for callers that keep others from opening the entry at the same time.
    """
    used = False
    for path in (folder / USERS).glob("*"):
        lock = FileLock(path, blocking=False, thread_local=False)
        try:
            with lock:
                path.unlink(missing_ok=True)
        except TimeoutError:
            used = True
    return used


def sign_in(folder: Path) -> FileLock:
    """Marks an entry as used by this process until `sign_out`, or until the process is no more."""
    (folder / USERS).mkdir(exist_ok=True)
    lock = FileLock(folder / USERS / f"{os.getpid()}-{uuid.uuid4().hex[:12]}", thread_local=False)
    lock.acquire()
    return lock


def sign_out(folder: Path, lock: FileLock, process: int) -> None:
    """Ends the use of an entry, and notes when it ended; does nothing in a fork of the process that signed in."""
    if os.getpid() != process:
        return
    with suppress(OSError):  # the entry may have been pruned by force
        os.utime(folder / DESCRIPTION)
        Path(lock.lock_file).unlink(missing_ok=True)
    lock.release()
