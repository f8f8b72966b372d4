"""Several processes that read one source together: each looks at its own part, and all hear what every one found.

Readers know no more of the others than this; `cross_modal.training.processes.Processes` is such a company, and one
process alone is the default. What is exchanged are tensors and primitives: cells that hold strings go as bytes.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from cross_modal.errors import CrossModalError

if TYPE_CHECKING:
    from torch import Tensor


class Together(Protocol):
    """This process and the others that read the same source at the same time."""

    @property
    def rank(self) -> int:
        """Number of this process."""

    @property
    def size(self) -> int:
        """Number of processes."""

    def collected(self, content: Mapping[str, Any]) -> list[dict[str, Any]]:
        """What every process says, in their order; all must ask.

        Args:
            content: What this one says: tensors and primitives.
        """


@dataclass(frozen=True)
class Alone:
    """One process.

    >>> Alone().collected({"found": 3})
    [{'found': 3}]
    """

    rank: int = 0
    size: int = 1

    def collected(self, content: Mapping[str, Any]) -> list[dict[str, Any]]:
        """What this process says."""
        return [dict(content)]


ALONE = Alone()


def name_mark(names: Iterable[str]) -> int:
    """A number that differs where two processes see other files, or in another order.

    Only the last two parts of a path count: machines may keep the data in different places.

    >>> name_mark(["/data/cat/1.png"]) == name_mark(["/scratch/cat/1.png"]) != name_mark(["/data/dog/1.png"])
    True
    """
    mark = 0
    for name in names:
        mark = zlib.crc32("/".join(name.rsplit("/", 2)[-2:]).encode("utf-8", "surrogatepass") + b"\0", mark)
    return mark


def refuse_others(said: Sequence[Mapping[str, Any]], what: str) -> None:
    """Refuses to go on where a process sees other things than process 0: parts of different wholes make no whole.

    Args:
        said: What the processes said: how many ("count") and which ("mark", see `name_mark`).
        what: What they are, for the message.

    Raises:
        CrossModalError: Naming the first process that differs, in all processes.
    """
    first = said[0]
    for rank, other in enumerate(said):
        if (other["count"], other["mark"]) != (first["count"], first["mark"]):
            found = other["count"] if other["count"] != first["count"] else "as many, of other names"
            raise CrossModalError(
                f"process {rank} of {len(said)}: expected the {first['count']} {what} of process 0, found {found}"
            )


def packed_strings(cells: Sequence[object] | np.ndarray) -> dict[str, Tensor]:
    r"""Strings, some of them None, as tensors: their bytes one after the other, and how many are whose.

    Lone surrogates (a file name that is no UTF-8, a JSON escape) travel as they are.

    >>> unpacked_strings(packed_strings(["a", None, "", "\udcff"])) == ["a", None, "", "\udcff"]
    True
    """
    import torch

    encoded = [None if cell is None else str(cell).encode("utf-8", "surrogatepass") for cell in cells]
    lengths = np.fromiter((-1 if cell is None else len(cell) for cell in encoded), np.int64, len(encoded))
    content = bytearray().join(cell for cell in encoded if cell is not None)
    return {
        "content": torch.from_numpy(np.frombuffer(content, np.uint8).copy()),
        "lengths": torch.from_numpy(lengths),
    }


def unpacked_strings(packed: Mapping[str, Tensor]) -> list[str | None]:
    """The inverse of `packed_strings`."""
    content, lengths = packed["content"].numpy().tobytes(), packed["lengths"].numpy()
    ends = np.cumsum(np.maximum(lengths, 0)).tolist()
    return [
        None if length < 0 else content[end - length : end].decode("utf-8", "surrogatepass")
        for length, end in zip(lengths.tolist(), ends, strict=True)
    ]
