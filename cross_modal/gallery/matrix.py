"""All embeddings of a gallery in memory, read-only, with the facts of their rows: what exact search works on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from cross_modal.errors import CrossModalError
from cross_modal.gallery.schema import VECTOR, to_matrix


@dataclass(frozen=True)
class Matrix:
    """The rows of one version of a gallery, by ascending id.

    Attributes:
        vectors: (N, dim) float32, read-only.
        facts: N rows of scalar columns (no vectors, no thumbnails).
        version: The gallery's version that they are.
    """

    vectors: np.ndarray
    facts: pa.Table
    version: int

    @classmethod
    def of(cls, rows: pa.Table, version: int) -> Matrix:
        """Sorts rows by id.

        Args:
            rows: Columns of a gallery with the vectors, in any order.
            version: The gallery's version.
        """
        order = pc.sort_indices(rows["id"])
        facts = rows.drop_columns([VECTOR]).take(order).combine_chunks()
        return cls(_placed(rows[VECTOR], order.to_numpy()), facts, version)

    @cached_property
    def ids(self) -> np.ndarray:
        """(N,) objects (str), ascending."""
        return self.facts["id"].to_numpy()

    @cached_property
    def halves(self) -> np.ndarray:
        """(N,) float32: half of each embedding's squared length, which Euclidean searches need every time."""
        from cross_modal.gallery.exact_scores import halved_squares

        return halved_squares(self.vectors)

    @cached_property
    def _places(self) -> dict[str, int]:
        return {name: row for row, name in enumerate(self.ids)}

    def rows_of(self, ids: np.ndarray) -> np.ndarray:
        """The rows of ids.

        Args:
            ids: Ids (str, or None) of any shape.

        Returns:
            int64 of the same shape; −1 where there is no such row.
        """
        places = self._places
        rows = np.fromiter((places.get(name, -1) for name in ids.reshape(-1)), np.int64, ids.size)
        return rows.reshape(ids.shape)

    def vector(self, name: str) -> np.ndarray:
        """(dim,) float32: the embedding of one row.

        Raises:
            CrossModalError: No such id.
        """
        row = self._places.get(name)
        if row is None:
            raise CrossModalError(f"gallery: expected an id that it holds, found {name!r}")
        return self.vectors[row]

    def column(self, name: str) -> np.ndarray:
        """(N,) objects: one scalar column, None where a row has no value.

        Raises:
            CrossModalError: No such column.
        """
        if name not in self.facts.column_names:
            raise CrossModalError(
                f"gallery: expected one of the columns {', '.join(self.facts.column_names)}, found {name!r}"
            )
        return np.array([*self.facts[name].to_pylist(), None], object)[:-1]

    def __len__(self) -> int:
        return len(self.vectors)


def _placed(column: pa.ChunkedArray, order: np.ndarray) -> np.ndarray:
    """Vectors in another order; chunks are views, so that the whole is copied once, or not at all."""
    if column.num_chunks == 1 and (order == np.arange(len(order))).all():
        vectors = to_matrix(column)
        vectors.flags.writeable = False
        return vectors
    vectors = np.empty((len(order), column.type.list_size), np.float32)
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    at = 0
    for chunk in column.chunks:
        vectors[place[at : at + len(chunk)]] = to_matrix(chunk)
        at += len(chunk)
    vectors.flags.writeable = False
    return vectors
