"""One writer at a time: a file lock that says who holds it, and that a killed writer leaves open."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from cross_modal.errors import CrossModalError

LOCK, HOLDER = ".writer.lock", ".writer.json"
PATIENCE = 60.0  # seconds that a writer waits for another; one write takes less than one


@contextmanager
def writing(folder: Path, patience: float = PATIENCE) -> Iterator[None]:
    """Holds a gallery for writing; the operating system lets go of it when the process dies.

    Args:
        folder: The gallery's folder.
        patience: Seconds to wait for another writer.

    Raises:
        CrossModalError: Another held it all the while (named), or the folder cannot be written to.
    """
    lock = FileLock(folder / LOCK)
    try:
        lock.acquire(timeout=patience, poll_interval=0.02)
    except Timeout:
        raise CrossModalError(
            f"gallery {folder}: expected to write, found that {_holder(folder)} writes (waited {patience:.0f} s)"
        ) from None
    except OSError as error:
        raise CrossModalError(f"gallery {folder}: expected a folder to write to, found {error.strerror}") from None
    try:
        since = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime())
        who = {"process": os.getpid(), "host": socket.gethostname(), "since": since}
        (folder / HOLDER).write_text(json.dumps(who), encoding="utf-8")
        yield
    finally:
        lock.release()


def _holder(folder: Path) -> str:
    """Who wrote last, which is who holds it."""
    try:
        who = json.loads((folder / HOLDER).read_text(encoding="utf-8"))
        return f"process {who['process']} on {who['host']} (since {who['since']} UTC)"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"
