from pathlib import Path

import numpy as np
import pytest

from cross_modal.encoders import feature_index
from cross_modal.encoders.feature_index import INDEX, POOLED, RECORD, VALUES, FeatureIndex, header, records
from cross_modal.errors import CrossModalError

WIDTH, POOLED_WIDTH, LENGTHS = 3, 2, np.array([2, 1, 4])
KEYS = np.random.default_rng(0).integers(0, 256, (3, 16), dtype=np.uint8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three whole rows of 7 tokens."""
    (tmp_path / VALUES).write_bytes(bytes(2 * WIDTH * 7))
    (tmp_path / POOLED).write_bytes(bytes(2 * POOLED_WIDTH * 3))
    (tmp_path / INDEX).write_bytes(header(WIDTH, POOLED_WIDTH) + records(KEYS, LENGTHS, 0))
    return tmp_path


def rows_of(folder: Path) -> int:
    index = FeatureIndex(folder)
    index.refresh()
    return index.rows


def shorten(path: Path, by: int) -> None:
    path.write_bytes(path.read_bytes()[:-by])


def test_says_which_row_is_where(folder: Path) -> None:
    index = FeatureIndex(folder)
    assert (index.rows, index.tokens, index.width, index.end) == (0, 0, None, 0)
    index.refresh()
    assert (index.rows, index.tokens, index.width, index.pooled_width, index.end) == (3, 7, WIDTH, POOLED_WIDTH, 128)
    assert index.find(KEYS[[2, 0, 1]]).tolist() == [2, 0, 1]
    starts, lengths = index.spans(np.array([2, 0]))
    assert starts.tolist() == [3, 0]
    assert lengths.tolist() == [4, 2]


@pytest.mark.parametrize("byte", range(RECORD.itemsize))
def test_one_wrong_bit_ends_the_whole_rows(folder: Path, byte: int) -> None:
    content = bytearray((folder / INDEX).read_bytes())
    content[2 * RECORD.itemsize + byte] ^= 1  # the second row's record
    (folder / INDEX).write_bytes(content)
    assert rows_of(folder) == 1


@pytest.mark.parametrize("torn", [1, 16, 31])
def test_half_a_record_is_no_row(folder: Path, torn: int) -> None:
    shorten(folder / INDEX, torn)
    assert rows_of(folder) == 2


@pytest.mark.parametrize("name", [VALUES, POOLED])
def test_a_row_without_its_numbers_is_not_whole(folder: Path, name: str) -> None:
    shorten(folder / name, 1)
    assert rows_of(folder) == 2


def test_zeros_are_no_records(folder: Path) -> None:
    with open(folder / INDEX, "ab") as file:
        file.write(bytes(5 * RECORD.itemsize))
    assert rows_of(folder) == 3
    for start in (header(WIDTH, POOLED_WIDTH), b""):
        (folder / INDEX).write_bytes(start + bytes(160))
        assert rows_of(folder) == 0


def test_refresh_reads_on_from_where_it_was(folder: Path) -> None:
    whole = (folder / INDEX).read_bytes()
    (folder / INDEX).write_bytes(whole[: 2 * RECORD.itemsize])
    index = FeatureIndex(folder)
    index.refresh()
    assert index.find(KEYS).tolist() == [0, -1, -1]
    assert index.length == 2
    (folder / INDEX).write_bytes(whole[:80])
    index.refresh()
    assert index.find(KEYS).tolist() == [0, -1, -1]
    (folder / INDEX).write_bytes(whole)
    index.refresh()
    assert index.find(KEYS).tolist() == [0, 1, 2]
    assert index.length is None


def test_knows_whether_all_rows_are_of_one_length(folder: Path) -> None:
    (folder / VALUES).write_bytes(bytes(2 * WIDTH * 9))
    alike = records(KEYS[:1], np.array([3]), 0), records(KEYS[1:], np.array([3, 3]), 3)
    (folder / INDEX).write_bytes(header(WIDTH, POOLED_WIDTH) + alike[0])
    index = FeatureIndex(folder)
    index.refresh()
    with open(folder / INDEX, "ab") as file:
        file.write(alike[1])
    index.refresh()
    assert (index.rows, index.length) == (3, 3)


def test_another_format_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feature_index, "_FORMAT", 2)
    later = header(WIDTH, POOLED_WIDTH) + records(KEYS, LENGTHS, 0)
    monkeypatch.undo()
    (folder / INDEX).write_bytes(later)
    with pytest.raises(CrossModalError, match=r"index.bin: expected a feature index of format 1, found 2"):
        rows_of(folder)


def test_another_file_under_the_same_name_is_refused(folder: Path) -> None:
    index = FeatureIndex(folder)
    index.refresh()
    (folder / INDEX).rename(folder / "old")
    index.refresh()
    assert index.rows == 3, "what was read stays"
    (folder / INDEX).write_bytes((folder / "old").read_bytes())
    with pytest.raises(CrossModalError, match="found another"):
        index.refresh()
