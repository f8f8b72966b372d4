from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toys.reference_rows import names, rows, vectors

from cross_modal.errors import CrossModalError
from cross_modal.gallery.matrix import Matrix


@settings(deadline=None, max_examples=40)
@given(st.permutations(names(17)), st.lists(st.integers(0, 17), max_size=4))
def test_any_order_in_any_chunks_is_sorted_by_id(ids: list[str], cuts: list[int]) -> None:
    table = rows(ids)
    edges = sorted({0, 17, *cuts})
    chunked = pa.concat_tables([table.slice(a, b - a) for a, b in pairwise(edges)])
    matrix = Matrix.of(chunked, 3)
    assert matrix.ids.tolist() == sorted(ids)
    assert np.array_equal(matrix.vectors, vectors(17)[np.argsort(np.array(ids, object))])
    assert not matrix.vectors.flags.writeable
    assert matrix.version == 3


def test_sorted_rows_are_not_copied() -> None:
    table = rows(sorted(names(6)))
    stored = table["vector"].chunk(0).flatten().to_numpy()
    assert np.shares_memory(Matrix.of(table, 1).vectors, stored)


def test_rows_of_ids() -> None:
    matrix = Matrix.of(rows(["b", "a", "c"]), 1)
    assert matrix.rows_of(np.array([["c", None], ["nobody", "a"]], object)).tolist() == [[2, -1], [-1, 0]]


def test_a_column_has_none_where_there_is_no_value() -> None:
    matrix = Matrix.of(rows(["b", "a"], labels=["x", None], extra={"price": [2, None]}), 1)
    assert matrix.column("label").tolist() == [None, "x"]
    assert matrix.column("price").tolist() == [None, 2]


def test_what_is_not_there_is_one_line() -> None:
    matrix = Matrix.of(rows(["a"]), 1)
    with pytest.raises(CrossModalError, match="expected an id that it holds, found 'z'"):
        matrix.vector("z")
    with pytest.raises(CrossModalError, match="expected one of the columns id, kind, label"):
        matrix.column("colour")
