"""Threads that stand for processes: what is written for several runs in a moment, without `torchrun`."""

import threading
from collections.abc import Callable, Mapping
from typing import Any

from cross_modal.training.processes import _from_bytes, _to_bytes


class Rank:
    """One of several threads; what it tells travels as it does between processes."""

    def __init__(self, rank: int, size: int, told: list[Any], meeting: threading.Barrier) -> None:
        self.rank, self.size = rank, size
        self._told, self._meeting = told, meeting

    def collected(self, content: Mapping[str, Any]) -> list[dict[str, Any]]:
        self._told[self.rank] = _to_bytes(content)
        self._meeting.wait(20)
        found = [_from_bytes(each) for each in self._told]
        self._meeting.wait(20)
        return found


def together(size: int, work: Callable[[Rank], Any]) -> list[Any]:
    """What each of several threads gives, or the error that it raised."""
    told: list[Any] = [None] * size
    meeting, results = threading.Barrier(size), [None] * size

    def run(rank: int) -> None:
        try:
            results[rank] = work(Rank(rank, size, told, meeting))
        except Exception as error:
            results[rank] = error

    threads = [threading.Thread(target=run, args=(rank,)) for rank in range(size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return results
