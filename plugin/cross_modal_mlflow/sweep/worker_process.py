"""Who a worker is, in a word that survives process numbers being given again and machines being named alike.

The word is ``host/machine:pid:start``. The host is for people. The machine is the boot and the process namespace, since
two machines may both be called localhost and two containers on one machine have process numbers of their own. The start
is counted from the boot: the wall clock may be set while a worker runs.
"""

from __future__ import annotations

import os
import socket
from functools import cache
from hashlib import sha256
from pathlib import Path

_BOOT = Path("/proc/sys/kernel/random/boot_id")
_NAMESPACE = "/proc/self/ns/pid"
_STARTED = 19  # field 22 of /proc/PID/stat, counted after the name, which may hold spaces


def worker_name() -> str:
    """This process.

    >>> is_gone(worker_name())
    False
    """
    return f"{_here()}:{os.getpid()}:{_started(os.getpid())}"


def is_gone(worker: str) -> bool | None:
    """Whether a worker's process has ended.

    Args:
        worker: What `worker_name` gave there.

    Returns:
        True or False where it runs, or ran, on this machine; None where only another machine can know.
    """
    here, _, process = worker.partition(":")
    number, _, started = process.partition(":")
    if here != _here() or not number.isdecimal():
        return None
    found = _started(int(number))
    return found is None or found != started


@cache
def _here() -> str:
    host = socket.gethostname().replace(":", "-")
    try:
        machine = f"{_BOOT.read_text()} {os.stat(_NAMESPACE).st_ino}"
    except OSError:  # no Linux: the network card's number, or one of this process's own where there is none
        import uuid

        machine = str(uuid.getnode())
    return f"{host}/{sha256(machine.encode()).hexdigest()[:12]}"


def _started(number: int) -> str | None:
    """When a process started; None where there is none, or one that is dead and not yet buried."""
    if not _BOOT.exists():
        return _started_elsewhere(number)
    try:
        fields = Path(f"/proc/{number}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else fields[_STARTED]


def _started_elsewhere(number: int) -> str | None:
    import psutil

    try:
        process = psutil.Process(number)
        return None if process.status() == psutil.STATUS_ZOMBIE else f"{process.create_time():.0f}"
    except psutil.NoSuchProcess:
        return None
    except psutil.Error:  # alive, and another user's
        return "unknown"
