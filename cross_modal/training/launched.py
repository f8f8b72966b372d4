"""Which of several processes this one is: what `torchrun` says in the environment.

Read without importing torch, so that a command knows at once whether it leads or follows.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from cross_modal.errors import CrossModalError

_SAYS, _SILENT = "this process says it", "another process says it"
_NEEDED = ("RANK", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


@dataclass(frozen=True)
class Launched:
    """The place of a process among those that train one twin together.

    Attributes:
        rank: Its number, from 0.
        size: How many there are.
        local_rank: Its number on its machine.
        local_size: How many there are on its machine.
        host: The machine where they meet.
        port: The port where they meet.
        keeps_store: This process opens the meeting point; false where `torchrun` itself did.
        attempt: Which start this is, where `torchrun` starts them anew after a failure.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    local_size: int = 1
    host: str = ""
    port: int = 0
    keeps_store: bool = False
    attempt: str = "0"

    @property
    def machines(self) -> int:
        """How many machines take part."""
        return self.size // self.local_size


def launched(environment: Mapping[str, str] | None = None) -> Launched:
    """Reads the place of this process.

    Args:
        environment: The environment; None takes the process's own.

    Returns:
        The place; one process of one where nothing says otherwise.

    Raises:
        CrossModalError: Where the environment says it in part, or in numbers that do not fit each other.

    >>> launched({}).size
    1
    >>> launched({"WORLD_SIZE": "2"})
    Traceback (most recent call last):
    cross_modal.errors.CrossModalError: WORLD_SIZE 2: expected RANK and all that torchrun sets, found none (unset it?)
    """
    given = os.environ if environment is None else environment
    if given.get("WORLD_SIZE", "") in ("", "1"):
        return Launched()
    for name in _NEEDED:
        if name not in given:
            raise CrossModalError(
                f"WORLD_SIZE {given['WORLD_SIZE']}: expected {name} and all that torchrun sets, found none (unset it?)"
            )
    numbers = [_number(given, name) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")]
    rank, size, local_rank, local_size = numbers
    if not (0 <= rank < size and 0 <= local_rank < local_size <= size and size % local_size == 0):
        raise CrossModalError(
            f"WORLD_SIZE {size}: expected as many processes on every machine and numbers below that, "
            f"found RANK {rank}, LOCAL_RANK {local_rank}, LOCAL_WORLD_SIZE {local_size}"
        )
    return Launched(
        *(rank, size, local_rank, local_size),
        host=given["MASTER_ADDR"],
        port=_number(given, "MASTER_PORT"),
        keeps_store=rank == 0 and given.get("TORCHELASTIC_USE_AGENT_STORE") != "True",
        attempt=given.get("TORCHELASTIC_RESTART_COUNT", "0"),
    )


def refuse_several(command: str) -> None:
    """Refuses a command that several processes would do several times, over each other's files.

    Raises:
        CrossModalError: Where there are several.
    """
    size = launched().size
    if size > 1:
        raise CrossModalError(
            f"{command}: expected one process, found {size} of torchrun; train and demo run in several"
        )


def spoken(error: BaseException, here: bool) -> None:
    """Notes on an error of several processes whether this one says it, so that it is said once.

    Args:
        error: What ends all of them.
        here: Whether this process says it.
    """
    error.add_note(_SAYS if here else _SILENT)


def says(error: BaseException) -> bool:
    """Whether this process is the one that says an error; of what befell all before they met, one on each machine.

    >>> says(CrossModalError("alone"))
    True
    """
    notes = getattr(error, "__notes__", [])
    if _SAYS in notes or _SILENT in notes:
        return _SILENT not in notes
    try:
        return launched().local_rank == 0
    except CrossModalError:
        return True


def _number(given: Mapping[str, str], name: str) -> int:
    try:
        return int(given[name])
    except ValueError:
        raise CrossModalError(f"{name}: expected a number, as torchrun sets it, found {given[name]!r}") from None
