"""Requests of every kind become the same rows; what is wrong names its row and column."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from toys.requests import in_base64, picture

from cross_modal.errors import CrossModalError
from cross_modal_mlflow.request_files import FileAccess
from cross_modal_mlflow.request_rows import RequestRows, read_rows

A, B = picture(1), picture(2)
RECORDS = [
    {"image": A, "text": None, "role": "support", "label": "a"},
    {"image": B, "text": "b", "role": " Query ", "label": None},
]


def read(request: Any) -> RequestRows:
    return read_rows(request, FileAccess())


@pytest.mark.parametrize(
    "request_",
    [
        pd.DataFrame(RECORDS),
        pd.DataFrame(RECORDS, index=[7, 7]).assign(extra=1),
        RECORDS,
        pd.DataFrame(RECORDS).to_dict("list"),
        {name: np.array(cells, object) for name, cells in pd.DataFrame(RECORDS).to_dict("list").items()},
        pd.DataFrame(RECORDS).assign(image=[in_base64(A), in_base64(B)]),
    ],
    ids=["frame", "frame with other index and column", "records", "columns", "columns of arrays", "base64"],
)
def test_tables_of_every_kind_are_the_same_rows(request_: Any) -> None:
    rows = read(request_)
    assert rows.images == [A, B]
    assert rows.texts == [None, "b"]
    assert rows.roles == ["support", "query"]
    assert rows.labels == ["a", None]
    assert rows.pairs == [None, None]
    assert (rows.support, rows.queries, len(rows)) == ([0], [1], 2)


@pytest.mark.parametrize(
    "request_",
    ["a", ["a"], ("a",), np.array(["a"]), pd.Series(["a"]), pd.Series(["a"], name="text"), {"text": "a"}],
)
def test_texts_need_no_table(request_: Any) -> None:
    assert read(request_).texts == ["a"]


@pytest.mark.parametrize("request_", [A, [A], Image.new("L", (4, 4)), [np.zeros((4, 4), np.uint8)], {"image": A}])
def test_pictures_need_no_table(request_: Any) -> None:
    assert len(read(request_)) == 1
    assert read(request_).images[0] is not None


@pytest.mark.parametrize("shape", [(2, 4, 4), (2, 4, 4, 3)])
def test_an_array_of_pictures_is_a_row_each(shape: tuple[int, ...]) -> None:
    assert len(read(np.zeros(shape, np.uint8))) == 2


def test_a_series_of_base64_takes_its_name() -> None:
    assert read(pd.Series([in_base64(A)], name="image")).images == [A]


def test_rows_without_a_role_are_queries() -> None:
    assert read([{"text": "a", "role": "support"}, {"text": "b"}, {"text": "c", "role": ""}]).queries == [1, 2]


@pytest.mark.parametrize(
    ("request_", "sentence"),
    [
        ([{"text": "a"}, {"role": "query"}], r"^row 1: expected an image, a text or both, found neither$"),
        ([{"text": "a"}, {"text": "b", "role": "referee"}], r'^row 1: role: expected "support" or "query", found'),
        ([{"text": "a"}, {"text": ["b"]}], r"^row 1: text: expected text, found list$"),
        ([{"image": A}, {"image": "cat.png"}], r"^row 1: image: expected an encoded picture, as bytes or base64, "),
        ([{"text": "a", "label": {"x": 1}}], r"^row 0: label: expected text, found dict$"),
        ([{"text": "a", "pair": [1]}], r"^row 0: pair: expected text, found list$"),
        (pd.DataFrame({"imgae": ["a"]}), r"expected a column image or text .*, found imgae$"),
        (pd.DataFrame({"label": ["a"]}), r"expected a column image or text"),
        (pd.DataFrame(), r"expected a column image or text .*, found none of them$"),
        (pd.DataFrame({"text": []}), r"expected at least one row, found none"),
        (pd.DataFrame([["a", "b"]], columns=["text", "text"]), r"expected each column once, found text twice"),
        ({"text": ["a", "b"], "role": ["query"]}, r"expected columns of one length, found text 2, role 1"),
        ({"text": {"0": "a"}, "role": ["query"]}, r"column text: expected a list of cells, found dict"),
        (np.zeros((2, 3)), r"expected a table with columns .*, found ndarray"),
        (object(), r"expected a table with columns .*, found object"),
        ([], r"expected at least one row, found none"),
        (5, r"found int"),
    ],
)
def test_what_is_wrong_is_named(request_: Any, sentence: str) -> None:
    with pytest.raises(CrossModalError, match=sentence):
        read(request_)
