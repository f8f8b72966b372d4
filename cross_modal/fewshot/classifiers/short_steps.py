"""How many threads a piece of work is worth.

Threads that share work wait for one another at its end, and while one of them waits for its turn on a busy machine
the others spin. Work of a few milliseconds is faster alone, often many times.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

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
