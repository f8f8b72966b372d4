"""What a manifest's rows say besides: ids, and columns of one type each."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cross_modal.configuration import DataConfig
from cross_modal.data.further_columns import FurtherColumns, further_columns
from cross_modal.data.items import Items
from cross_modal.data.sources import read_items
from cross_modal.errors import CrossModalError


def read(path: Path, content: str) -> FurtherColumns:
    path.write_text(content)
    return further_columns(read_items(str(path), DataConfig(), further=True))


def test_columns_of_csv_get_the_type_of_all_their_cells(tmp_path: Path) -> None:
    found = read(
        tmp_path / "items.csv",
        "text,split,price,count,code,sold,colour\na,test,1.5,3,007,true,red\nb,train,2,,8,FALSE,\nc,test,,-4,9,,blue\n",
    )
    assert found.ids is None
    assert found.columns == {
        "price": [1.5, 2.0, None],
        "count": [3, None, -4],
        "code": ["007", "8", "9"],
        "sold": [True, False, None],
        "colour": ["red", None, "blue"],
    }


def test_what_a_column_is_does_not_depend_on_the_split(tmp_path: Path) -> None:
    (tmp_path / "i.csv").write_text("text,split,size\na,test,1\nb,train,large\n")
    items = read_items(str(tmp_path / "i.csv"), DataConfig(), further=True)
    assert further_columns(items.split("test")).columns == {"size": ["1"]}


def test_cells_stay_with_their_rows_where_some_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "i.csv").write_text("text,label,id,n\na,x,one,1\n,x,two,2\nc,x,three,3\n")
    items = read_items(str(tmp_path / "i.csv"), DataConfig(on_bad_item="skip"), further=True)
    found = further_columns(items)
    assert (found.ids, found.columns) == (["one", "three"], {"n": [1, 3]})
    assert found.take(np.array([1])) == FurtherColumns(["three"], {"n": [3]}, [])


def test_parquet_keeps_its_types_and_leaves_lists_out(tmp_path: Path) -> None:
    table = {"text": ["a", "b"], "n": [1, 2], "x": [0.5, None], "tags": [["p"], []], "who": ["Ann", None]}
    pq.write_table(pa.table(table), tmp_path / "i.parquet")
    found = further_columns(read_items(str(tmp_path / "i.parquet"), DataConfig(), further=True))
    assert found.columns == {"n": [1, 2], "x": [0.5, None], "who": ["Ann", None]}
    assert found.left_out == ["tags"]


def test_other_sources_have_none() -> None:
    assert further_columns(Items.of(texts=["a"], source="glyphs")) == FurtherColumns(None, {}, [])


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("x,a\ny,b\nx,c\n", r"i\.csv row 3: expected an id of its own, found 'x' as in row 1"),
        ("x,a\n,b\n", r"i\.csv row 2: expected an id, found none"),
    ],
)
def test_ids_that_name_nothing_or_two_are_one_line(tmp_path: Path, rows: str, said: str) -> None:
    with pytest.raises(CrossModalError, match=said):
        read(tmp_path / "i.csv", "id,text\n" + rows)


def test_a_misspelt_column_is_still_refused_and_a_strange_one_only_where_none_are_expected(tmp_path: Path) -> None:
    with pytest.raises(CrossModalError, match=r"unknown column 'lable'.*did you mean 'label'"):
        read(tmp_path / "i.csv", "text,lable\na,x\n")
    with pytest.raises(CrossModalError, match="column 'price' stands twice"):
        read(tmp_path / "i.csv", "text,price,price\na,1,2\n")
    (tmp_path / "i.csv").write_text("text,price\na,1\n")
    with pytest.raises(CrossModalError, match="unknown column 'price'"):
        read_items(str(tmp_path / "i.csv"))
