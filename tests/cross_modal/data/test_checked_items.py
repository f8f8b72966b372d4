"""Reading by the column gives what reading row by row gives: the same items, the same faults in the same words."""

import csv
import os
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cross_modal.configuration import DataConfig
from cross_modal.data import present_files, separated_values
from cross_modal.data.manifest import read_manifest
from cross_modal.data.manifest_cells import item_of
from cross_modal.errors import CrossModalError

NAMES = ("image", "text", "label", "split", "genuine")
CELLS = {
    "image": ["", "a.png", "./a.png", "sub/a.png", "sub//a.png", "sub/", "gone.png", "sub/../a.png", " ", "\u3000"],
    "text": ["", "  ", "x", "a, b", 'say "no"', "two\nlines", "\u2003", "é", "NA", "0"],
    "label": ["cat", "", "001", "None", "\x1c", "1.0"],
    "split": ["train", "Val", " test ", "tset", ""],
    "genuine": ["1", "0", "TRUE", "2", " no "],
}
ROWS = st.lists(st.fixed_dictionaries({name: st.sampled_from(cells) for name, cells in CELLS.items()}), max_size=12)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("manifests")
    (folder / "sub").mkdir()
    for name in ("a.png", "sub/a.png"):
        (folder / name).write_bytes(b"1")
    return folder


def row_by_row(rows: list[dict[str, str]], folder: Path, file: str) -> tuple[list[dict[str, object]], list[str]]:
    """The rule, row by row."""
    items, faults = [], []
    for number, row in enumerate(rows, 1):
        try:
            items.append(item_of(row, list(NAMES), folder))
        except ValueError as error:
            faults.append(f"{file} row {number}: {error}")
    return items, faults


@pytest.mark.parametrize("form", ["csv", "tsv", "parquet"])
@given(rows=ROWS)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_same_items_and_faults_as_row_by_row(folder, form, rows):
    file = folder / f"items.{form}"
    if form == "parquet":
        columns = {name: pyarrow.array([row[name] for row in rows], pyarrow.string()) for name in NAMES}
        pyarrow.parquet.write_table(pyarrow.table(columns), file)
    else:
        with file.open("w", newline="", encoding="utf-8") as out:
            writer = csv.DictWriter(out, NAMES, delimiter="," if form == "csv" else "\t")
            writer.writeheader()
            writer.writerows(rows)
    expected, faults = row_by_row(rows, folder, file.name)
    items = read_manifest(str(file), DataConfig(on_bad_item="skip"))
    assert [str(bad) for bad in items.skipped] == faults
    for name, cells in (("image", items.images), ("text", items.texts), ("label", items.labels),
                        ("split", items.splits), ("genuine", items.genuine)):  # fmt: skip
        assert cells.tolist() == [item[name] for item in expected]
    if faults:
        with pytest.raises(CrossModalError) as error:
            read_manifest(str(file), DataConfig())
        assert str(error.value) == faults[0]


def test_chunks_join_without_a_seam(folder, monkeypatch):
    monkeypatch.setattr(separated_values, "BLOCK", 256)
    file = folder / "long.csv"
    file.write_text("image,text,label\n" + "".join(f'a.png,"number ""{n}"", here",c{n % 7}\n' for n in range(500)))
    items = read_manifest(str(file), DataConfig())
    assert items.texts.tolist() == [f'number "{n}", here' for n in range(500)]
    assert items.rows.tolist() == list(range(1, 501))
    assert len({id(label) for label in items.labels}) == 7  # equal labels are one string in memory
    file.write_text(file.read_text() + "a.png,x\n")
    with pytest.raises(CrossModalError, match=r"long\.csv row 501: expected 3 cells, found 2"):
        read_manifest(str(file), DataConfig())


@pytest.mark.parametrize(
    ("content", "plain"),
    [
        (b"a,b\n1,2\r\n", True),
        (b'a,b\n"x ""y"" z","1\n2"\n', True),
        (b'a,b\nx "y" z,1\n', False),  # a quote inside an unquoted cell
        (b'a,b\n"x" ,1\n', False),
        (b'a,b\n"x,1\n', False),  # never closed
        (b"a,b\r1,2\r", False),
        (b"\n\na,b\n1,2\n", False),
    ],
)
def test_only_what_no_two_readers_read_differently_is_read_quickly(tmp_path, monkeypatch, content, plain):
    file = tmp_path / "x.csv"
    file.write_bytes(content)
    for block in (1, 2, 3, 1 << 20):  # wherever a block ends
        monkeypatch.setattr(separated_values, "BLOCK", block)
        assert separated_values.is_plain(file, ",") is plain


@given(st.text(alphabet='a",\n\r b', max_size=30))
@settings(max_examples=300, deadline=None)
def test_whatever_the_quotes_the_cells_are_those_of_the_strict_reader(tmp_path_factory, body):
    file = tmp_path_factory.getbasetemp() / "quotes.csv"
    file.write_bytes(b"text,label\n" + body.encode())
    with file.open(newline="") as lines:
        try:
            expected = [row for row in csv.reader(lines, strict=True) if row][1:]
        except csv.Error:
            expected = None
    names, chunks = separated_values.read_separated(file, ",")
    if expected is None or any(len(row) != 2 for row in expected):
        with pytest.raises(CrossModalError):
            list(chunks)
    else:
        cells = [list(row) for chunk in chunks for row in zip(*(column.tolist() for column in chunk), strict=True)]
        assert (names, cells) == (["text", "label"], expected)


def test_folders_of_many_files_are_listed_and_others_are_not(tmp_path, monkeypatch):
    for name in ("many", "few"):
        (tmp_path / name).mkdir()
        for number in range(100):
            (tmp_path / name / f"{number}.png").touch()
    (tmp_path / "many" / "folder.png").mkdir()
    looked_up = []
    is_file = os.path.isfile
    monkeypatch.setattr(present_files.os.path, "isfile", lambda path: looked_up.append(path) or is_file(path))
    written = [f"many/{n}.png" for n in range(100)] + ["few/1.png", "few/x.png", "many/folder.png", None]
    found = present_files.PresentFiles(tmp_path).find(np.array(written, object))
    assert found.tolist() == [f"{tmp_path}/{name}" for name in written[:101]] + [None, None, None]
    assert len(looked_up) == 3
