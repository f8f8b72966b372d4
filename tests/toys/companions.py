"""Threads that stand for processes: what is read together is read without `torchrun`."""

import threading
from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from cross_modal.training.processes import _from_bytes, _to_bytes

PATIENCE = 30.0  # seconds for all to speak


class Table:
    """Where they meet: what each said at each of its turns."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.said: dict[tuple[int, int], Tensor] = {}
        self.gone = False
        self.changed = threading.Condition()


class Companion:
    """One of several readers; what they say goes through bytes, as between processes."""

    def __init__(self, rank: int, table: Table) -> None:
        self.rank, self.size = rank, table.size
        self._table, self._turn = table, 0

    def collected(self, content: Mapping[str, Any]) -> list[dict[str, Any]]:
        """What all say at this turn; fails where one has gone without a word."""
        table, places = self._table, [(rank, self._turn) for rank in range(self.size)]
        self._turn += 1
        with table.changed:
            table.said[places[self.rank]] = _to_bytes(content)
            table.changed.notify_all()
            table.changed.wait_for(lambda: table.gone or all(place in table.said for place in places), PATIENCE)
            heard = [table.said[place] for place in places]
        return [_from_bytes(each) for each in heard]


def in_company(size: int, work: Callable[[Companion], Any]) -> list[Any]:
    """What the work of each gives, or how it fails; who fails leaves the others without an answer, not waiting."""
    table, found = Table(size), [None] * size

    def run(rank: int) -> None:
        try:
            found[rank] = work(Companion(rank, table))
        except Exception as error:
            found[rank] = error
            with table.changed:
                table.gone = True
                table.changed.notify_all()

    threads = [threading.Thread(target=run, args=(rank,), name=f"rank {rank}") for rank in range(size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found
