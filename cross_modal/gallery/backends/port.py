"""What a store of rows must do for a gallery. Backends keep rows; the gallery checks, searches and explains."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from cross_modal.errors import CrossModalError
from cross_modal.gallery.binding import Binding
from cross_modal.gallery.filter import Filter

FORMAT = 1  # of what is stored; goes up when an older version of this package could not read it


@dataclass(frozen=True)
class VersionFacts:
    """One version of a gallery.

    Attributes:
        version: Its number.
        rows: How many rows it has.
        created: When, ISO 8601 in UTC; "" where the backend does not keep it.
        tags: Its names.
    """

    version: int
    rows: int
    created: str = ""
    tags: tuple[str, ...] = ()


@dataclass(frozen=True)
class IndexFacts:
    """An approximate index, and how good it was measured to be.

    Attributes:
        kind: "ivf_pq".
        recall: Share of the true best ten that it found, over queries from the gallery itself.
        queries: How many queries measured it.
        probes: How many partitions a query looks into.
        rows: How many rows it was built over.
        seconds: How long building took.
        exact_milliseconds: Median time of an exact search of one query.
        milliseconds: Median time of one query through the index.
    """

    kind: str
    recall: float
    queries: int
    probes: int
    rows: int
    seconds: float
    exact_milliseconds: float
    milliseconds: float


@dataclass(frozen=True)
class Nearest:
    """What a backend that searches by itself found.

    Attributes:
        ids: (Q, k) objects (str; None where fewer were found), best first, equal scores by id.
        scores: (Q, k) float32: cosine or minus the Euclidean distance; −inf where none.
        exact: Whether it looked at every row.
    """

    ids: np.ndarray
    scores: np.ndarray
    exact: bool


class Backend(Protocol):
    """Where rows live. Rows come checked (`schema.check_table`); reads see one version until `refresh`."""

    location: str
    binding: Binding
    read_only: bool

    @property
    def version(self) -> int:
        """Of the rows that reads see; higher after each write."""

    @property
    def schema(self) -> pa.Schema:
        """All columns."""

    def count(self) -> int:
        """How many rows."""

    def refresh(self) -> bool:
        """Sees what others wrote; whether that is anything."""

    def upsert(self, rows: pa.Table, known: bool = True) -> None:
        """Writes rows, replacing those of the same id: all of them or none, for good when it returns.

        Args:
            rows: Checked rows.
            known: Whether known ids may be replaced; else they are refused and nothing is written.
        """

    def delete(self, ids: Sequence[str]) -> int:
        """Takes rows away; unknown ids are passed over. Returns how many it took."""

    def table(
        self, columns: Sequence[str] | None = None, ids: Sequence[str] | None = None, where: Filter | None = None
    ) -> pa.Table:
        """Rows in any order; without vectors and thumbnails unless they are named."""

    def nearest(self, queries: np.ndarray, k: int, where: Filter | None) -> Nearest | None:
        """Searches in the store; None: search in memory."""

    @property
    def indexed(self) -> bool:
        """Whether the version that reads see has an approximate index."""

    def build_index(self, probes: int) -> None:
        """Builds an approximate index (IVF_PQ) for unfiltered searches, which look into so many partitions."""

    def drop_index(self) -> None:
        """Goes back to exact search."""

    def versions(self) -> list[VersionFacts]:
        """The versions that can be opened, the oldest first."""

    def tag(self, name: str) -> None:
        """Names the version that reads see; it can be opened by that name as long as the gallery lives."""

    def optimise(self) -> None:
        """Tidies the store after many small writes; loses nothing."""

    def attach(self, name: str, content: bytes) -> None:
        """Keeps bytes beside the rows, replacing those of the same name at once or not at all."""

    def attachment(self, name: str) -> bytes | None:
        """What was attached under a name."""

    def close(self) -> None:
        """Lets go of files and connections."""


def check_format(found: Any, where: str) -> None:
    """Refuses what a later version of this package wrote.

    Raises:
        CrossModalError: Another format than this version reads.
    """
    if not isinstance(found, int) or isinstance(found, bool) or found < 1:
        raise CrossModalError(f"{where}: expected a gallery of format {FORMAT}, found {found!r}")
    if found > FORMAT:
        raise CrossModalError(
            f"{where}: expected a gallery of format {FORMAT}, found {found}, of a later version of this package"
        )


def columns_to_read(schema: pa.Schema, columns: Sequence[str] | None) -> list[str]:
    """The columns that a read means.

    Raises:
        CrossModalError: A column that is not there.
    """
    from cross_modal.gallery.schema import HEAVY

    if columns is None:
        return [name for name in schema.names if name not in HEAVY]
    for name in columns:
        if name not in schema.names:
            raise CrossModalError(f"gallery: expected one of the columns {', '.join(schema.names)}, found {name!r}")
    return list(columns)


def no_index(location: str) -> CrossModalError:
    """What to say where a backend builds no index."""
    return CrossModalError(
        f"gallery {location}: expected a folder (LanceDB) for an approximate index, found another backend"
    )
