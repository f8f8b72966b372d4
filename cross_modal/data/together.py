"""Several processes that read one source: each looks at a part, all end with the whole.

What a process found is told to the others as tensors and primitives. The several processes of a training are one
(`cross_modal.training.processes.Processes`); reading knows no more of them than this.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol


class Together(Protocol):
    """The processes that read a source, seen from one of them."""

    rank: int
    """Its number, from 0."""
    size: int
    """How many there are."""

    def collected(self, content: Mapping[str, Any]) -> list[dict[str, Any]]:
        """What every process says, in their order; each says something, and waits for the others."""


class Alone:
    """One process that reads by itself.

    >>> Alone().collected({"found": 3})
    [{'found': 3}]
    """

    rank, size = 0, 1

    def collected(self, content: Mapping[str, Any]) -> list[dict[str, Any]]:
        """What it says itself."""
        return [dict(content)]
