"""Linear algebra on one thread while our own threads share the work, however many searches run at once.

BLAS threads wait for each other: where other work has one of the cores, a query of 0.2 ms takes 8 ms. Our own threads
take small pieces as they get to them, so that one that is held up holds up little, and choosing the best is shared too.

The number of BLAS threads belongs to the process. Two searches that overlap (a server's threads) must not put back what
they found on entry, else the first one's limit would stay for ever: the first in sets it, the last out takes it back.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

from threadpoolctl import ThreadpoolController

Work = TypeVar("Work")
Result = TypeVar("Result")


class BlasThreads:
    """How many threads NumPy's linear algebra may use. There is one for the process, `BLAS`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._libraries: Any = None
        self._found: list[int] = []

    @contextmanager
    def single(self) -> Iterator[int]:
        """Holds the BLAS at one thread.

        Yields:
            How many threads it had before: as many of our own may run in its place.
        """
        with self._lock:
            if self._libraries is None:  # looking for them costs milliseconds: once
                self._libraries = ThreadpoolController().select(user_api="blas").lib_controllers
            if self._inside == 0:
                self._found = [library.num_threads for library in self._libraries]
                self._set([1] * len(self._libraries))
            self._inside += 1
            threads = max(self._found, default=cores())
        try:
            yield threads
        finally:
            with self._lock:
                self._inside -= 1
                if self._inside == 0:
                    self._set(self._found)

    def _set(self, threads: list[int]) -> None:
        for library, count in zip(self._libraries, threads, strict=True):
            if library.num_threads != count:
                library.set_num_threads(count)


BLAS = BlasThreads()


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def shared_out(function: Callable[[Work], Result], work: Iterable[Work], threads: int) -> Iterator[Result]:
    """A function of each piece of work, on several threads; results in the order of the work.

    Args:
        function: Spends its time in NumPy, which lets other threads run.
        work: The pieces.
        threads: How many run at once.

    Yields:
        The results. When the caller stops early, pieces that have not begun are not begun.
    """
    pieces = list(work)
    if threads <= 1 or len(pieces) <= 1:
        yield from map(function, pieces)
        return
    pool = ThreadPoolExecutor(min(threads, len(pieces)), thread_name_prefix="gallery")
    try:
        yield from pool.map(function, pieces)
    finally:
        pool.shutdown(cancel_futures=True)
