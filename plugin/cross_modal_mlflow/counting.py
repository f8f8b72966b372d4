"""A progress bar for work that is counted: how much is done, the time left, and a word on what is being done.

Off a terminal (a log file, CI) it says nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

Count = Callable[[int, int, str], None]  # units done, units in all, what the last one was


@contextmanager
def counting(console: Console, what: str) -> Iterator[Count]:
    """Shows a bar while the block runs.

    Args:
        console: Where to.
        what: What is being done.

    Yields:
        What to call with the units done, the units in all, and a word on the last one.
    """
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn(what),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[facts]}"),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(what, total=None, facts="")

        def count(done: int, total: int, facts: str) -> None:
            bar.update(task, completed=done, total=total, facts=facts)

        yield count


def summed(count: Count, total: int) -> Callable[[int], None]:
    """For work that tells how many *more* units are done.

    >>> heard = []
    >>> more = summed(lambda done, total, facts: heard.append((done, total)), 5)
    >>> more(2), more(3), heard
    (None, None, [(2, 5), (5, 5)])
    """
    done = 0

    def add(more: int) -> None:
        nonlocal done
        done += more
        count(done, total, "")

    return add
