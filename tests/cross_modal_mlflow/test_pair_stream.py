"""Rows of pair files, one after the other."""

from pathlib import Path

import pandas as pd
import pytest

from cross_modal.errors import CrossModalError
from cross_modal_mlflow.pair_stream import stream_rows

ROWS = [{"text_a": "a", "text_b": "b"}, {"text_a": "c, d", "text_b": 'e "f"'}]


@pytest.mark.parametrize("suffix", ["csv", "tsv", "jsonl", "parquet"])
def test_every_kind_of_file_gives_the_same_rows(tmp_path: Path, suffix: str) -> None:
    path, table = tmp_path / f"pairs.{suffix}", pd.DataFrame(ROWS)
    if suffix == "parquet":
        table.to_parquet(path)
    elif suffix == "jsonl":
        table.to_json(path, orient="records", lines=True)
    else:
        table.to_csv(path, sep="," if suffix == "csv" else "\t", index=False)
    columns, rows = stream_rows(path)
    assert columns == ["text_a", "text_b"]
    assert list(rows) == ROWS


def test_rows_are_read_as_they_are_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "pairs.csv"
    path.write_text("text_a,text_b\n" + "a,b\n" * 3 + "broken\n")
    _, rows = stream_rows(path)
    assert [next(rows) for _ in range(3)] == [ROWS[0]] * 3
    with pytest.raises(CrossModalError, match=r"^pairs\.csv row 4: expected 2 cells, found 1$"):
        next(rows)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("pairs.csv", "", r"pairs\.csv: expected a header and rows, found an empty file"),
        ("pairs.csv", 'text_a\n"open', r"pairs\.csv: expected well-formed CSV"),
        ("pairs.csv", "text_a\n\udcff", r"pairs\.csv: expected UTF-8, found byte 0xff"),
        ("pairs.jsonl", "", r"pairs\.jsonl: expected rows, found an empty file"),
        ("pairs.jsonl", "{", r"pairs\.jsonl row 1: expected a JSON object, found broken JSON"),
        ("pairs.jsonl", '{"a": 1}\n[1]', r"pairs\.jsonl row 2: expected a JSON object, found list"),
        ("pairs.jsonl", '{"a": 1}\n{"b": 1}', r"pairs\.jsonl row 2: expected the columns of row 1 \(a\), found b"),
        ("pairs.parquet", "x", r"pairs\.parquet: expected a Parquet file"),
        ("pairs.xlsx", "x", r"expected a \.csv, \.tsv, \.parquet or \.jsonl file of pairs"),
    ],
)
def test_a_bad_file_is_one_line(tmp_path: Path, name: str, content: str, said: str) -> None:
    path = tmp_path / name
    path.write_bytes(content.encode(errors="surrogateescape"))
    with pytest.raises(CrossModalError, match=said):
        list(stream_rows(path)[1])


def test_a_missing_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(CrossModalError, match="expected a file of pairs, found no such file"):
        stream_rows(tmp_path / "pairs.csv")
