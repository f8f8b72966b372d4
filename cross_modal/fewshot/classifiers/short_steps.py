"""How many threads a piece of work is worth.

Threads that share work wait for one another at its end, and while one of them waits for its turn on a busy machine
the others spin. Work of a few milliseconds is faster alone, often many times.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import torch

Result = TypeVar("Result")
LEAST_WORK = 2e9  # multiplications and additions that are worth waiting for: some 20 ms of one core


@contextmanager
def threads_for(work: float) -> Iterator[None]:
    """Runs torch in one thread where the work is short, and in as many as it had where it is long.

    Args:
        work: Multiplications and additions between two waits, of one training step for example.

    >>> with threads_for(1e6):
    ...     torch.get_num_threads()
    1
    """
    before = torch.get_num_threads()
    if work < LEAST_WORK:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def side_by_side(work: Sequence[Callable[[], Result]]) -> list[Result]:
    """Does several pieces of work at once, each in one thread: what is too short to be shared can still be dealt out.

    Args:
        work: The pieces; torch lets go of the interpreter's lock while it computes.

    Returns:
        Their results, in order.

    >>> side_by_side([lambda: 1, lambda: 2, lambda: 3])
    [1, 2, 3]
    """
    threads = torch.get_num_threads()
    if threads == 1 or len(work) < 2:
        return [each() for each in work]
    torch.set_num_threads(1)
    try:
        with ThreadPoolExecutor(min(threads, len(work))) as pool:
            return list(pool.map(lambda each: each(), work))
    finally:
        torch.set_num_threads(threads)
