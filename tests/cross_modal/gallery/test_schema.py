from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from toys.reference_rows import DIM, binding, names, rows, vectors

from cross_modal.errors import CrossModalError
from cross_modal.gallery.schema import aligned, check_table, gallery_schema, reference_table, to_matrix


def table(values: np.ndarray, metric: str = "cosine", **columns: Any) -> pa.Table:
    given: dict[str, Any] = {"kinds": "image", "contents": names(len(values)), "binding": binding(metric)}
    return reference_table(names(len(values)), values, **(given | columns))


class TestReferenceTable:
    def test_has_all_columns_and_then_the_manifests(self) -> None:
        made = table(vectors(2), extra={"price": [1, 2]})
        assert made.column_names == [*gallery_schema(DIM).names[:-1], "price", "vector"]
        assert made["genuine"].to_pylist() == [True, True]

    def test_vectors_are_those_given(self) -> None:
        assert np.array_equal(to_matrix(table(vectors(5))["vector"]), vectors(5))

    def test_euclidean_takes_any_length(self) -> None:
        assert table(vectors(3, metric="euclidean"), "euclidean").num_rows == 3

    def test_double_precision_is_brought_down(self) -> None:
        assert table(vectors(2).astype(float))["vector"].type == pa.list_(pa.float32(), DIM)

    def test_missing_numbers_are_empty(self) -> None:
        assert table(vectors(2), extra={"price": [float("nan"), 1.5]})["price"].to_pylist() == [None, 1.5]

    @pytest.mark.parametrize(
        ("values", "message"),
        [
            (np.ones((2, DIM + 1)), rf"expected vectors \(2, {DIM}\), found \(2, {DIM + 1}\)"),
            (np.full((2, DIM), np.inf), r"expected finite vectors, found 2 that are not \('r0' is one\)"),
            (np.full((2, DIM), 1e30), "expected finite vectors"),
            (2 * vectors(2), r"expected vectors of length 1 \(cosine\), found 2 others \('r0': 2\)"),
            (np.zeros((2, DIM)), "expected vectors of length 1"),
        ],
    )
    def test_unsound_vectors_are_one_line(self, values: np.ndarray, message: str) -> None:
        with pytest.raises(CrossModalError, match=message):
            table(values)

    @pytest.mark.parametrize(
        ("columns", "message"),
        [
            ({"labels": ["a"]}, "expected 2 values in column 'label', found 1"),
            ({"labels": ["a", 3]}, "expected values of one type in column 'label'"),
            ({"kinds": "sound"}, 'expected the kind "image" or "text", found \'sound\''),
            ({"contents": ["a", None]}, "expected a content hash in every row, found 1 without"),
            ({"extra": {"label": ["a", "b"]}}, "expected further columns beside its own, found another 'label'"),
            ({"extra": {"a`b": [1, 2]}}, "expected column names of letters"),
            ({"extra": {"_distance": [1, 2]}}, "expected column names of letters"),
            ({"extra": {"tags": [["a"], ["b"]]}}, "expected strings, numbers or booleans in column 'tags'"),
        ],
    )
    def test_unsound_columns_are_one_line(self, columns: dict[str, Any], message: str) -> None:
        with pytest.raises(CrossModalError, match=message) as caught:
            table(vectors(2), **columns)
        assert "\n" not in str(caught.value)

    def test_an_id_twice_is_named(self) -> None:
        with pytest.raises(CrossModalError, match="expected unique ids, found 'b' 3 times"):
            rows(["a", "b", "b", "b"])

    def test_an_id_too_long(self) -> None:
        with pytest.raises(CrossModalError, match="expected ids of 1 to 1024 bytes, found 1 to 1025"):
            rows(["a", "b" * 1025])


class TestCheckTable:
    def test_no_copy_of_itself(self) -> None:
        made = rows(names(4))
        assert check_table(made, binding()).equals(made)

    def test_pandas_categories_are_strings(self) -> None:
        made = rows(["a", "b"], extra={})
        made = made.append_column("colour", pa.array(["red", None]).dictionary_encode())
        assert check_table(made, binding())["colour"].type == pa.string()

    def test_vectors_of_another_model(self) -> None:
        with pytest.raises(
            CrossModalError, match=f"expected vectors of 9 numbers, found fixed_size_list<.*>\\[{DIM}\\]"
        ):
            check_table(rows(["a"]), binding(dim=9))

    def test_a_slice_brings_its_own_vectors(self) -> None:
        assert np.array_equal(to_matrix(check_table(rows(names(9)).slice(3, 4), binding())["vector"]), vectors(9)[3:7])


class TestAligned:
    def test_columns_that_one_side_lacks_are_empty_there(self) -> None:
        stored = rows(["a"], extra={"price": [1]}).schema
        new, schema = aligned(rows(["b"], extra={"size": [2]}), stored)
        assert new["price"].to_pylist() == [None]
        assert schema.names == [*stored.names, "size"]

    def test_whole_numbers_go_where_fractions_are(self) -> None:
        stored = rows(["a"], extra={"price": [1.5]}).schema
        new, schema = aligned(rows(["b"], extra={"price": [2]}), stored)
        assert schema == stored
        assert new["price"].to_pylist() == [2.0]

    def test_an_empty_column_goes_anywhere(self) -> None:
        stored = rows(["a"], extra={"price": [1.5]}).schema
        assert aligned(rows(["b"], extra={"price": [None]}), stored)[1] == stored
