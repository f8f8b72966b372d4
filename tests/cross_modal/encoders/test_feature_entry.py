import itertools
import os
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cross_modal.encoders import feature_entry
from cross_modal.encoders.feature_entry import FeatureEntry, StoreFull
from cross_modal.errors import CrossModalError

WRITER = """
import sys
from pathlib import Path
import numpy as np
from cross_modal.encoders.feature_store import FeatureStore
root, first, count = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
entry = FeatureStore(root).entry({"trunk": "test"})
print("open", flush=True)
for number in range(first, first + count):  # rows that can be told by their values: length, tokens, pooled
    numbers = np.arange(4 * number, 4 * number + 4)
    keys = np.zeros((4, 16), np.uint8)
    keys[:, :8] = numbers[:, None].view(np.uint8).reshape(4, 8)
    lengths = 1 + numbers % 5
    values = np.repeat(numbers % 1000, lengths)[:, None] * np.ones(16)
    entry.append(keys, values, lengths, (numbers % 1000)[:, None] * np.ones(2))
"""


def keys_of(numbers: np.ndarray) -> np.ndarray:
    keys = np.zeros((len(numbers), 16), np.uint8)
    keys[:, :8] = np.asarray(numbers, np.int64)[:, None].view(np.uint8).reshape(-1, 8)
    return keys


def open_entry(folder: Path) -> FeatureEntry:
    folder.mkdir(exist_ok=True)
    return FeatureEntry(folder, lambda needed: None)


def fill(entry: FeatureEntry, numbers: np.ndarray, width: int = 16) -> None:
    lengths = 1 + numbers % 5
    values = np.repeat(numbers % 1000, lengths)[:, None] * np.ones(width)
    entry.append(keys_of(numbers), values, lengths, (numbers % 1000)[:, None] * np.ones(2))


def check(entry: FeatureEntry, numbers: np.ndarray) -> None:
    """Every row is the one that `fill` and `WRITER` make."""
    found = entry.read(entry.find(keys_of(numbers)))
    assert (found.mask.sum(1) == 1 + numbers % 5).all()
    assert (found.values == ((numbers % 1000)[:, None] * found.mask)[:, :, None]).all()
    assert found.pooled is not None
    assert (found.pooled == (numbers % 1000)[:, None]).all()


def popen(root: Path, first: int, count: int) -> subprocess.Popen[str]:
    words = [sys.executable, "-c", WRITER, str(root), str(first), str(count)]
    return subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})


@settings(max_examples=30, deadline=None)
@given(
    lengths=st.lists(st.lists(st.integers(1, 6), min_size=1, max_size=5), min_size=1, max_size=4),
    asked=st.lists(st.integers(0, 10**6), max_size=12),
    pooled=st.booleans(),
)
def test_rows_come_back_as_they_were_in_any_order(lengths: list[list[int]], asked: list[int], pooled: bool) -> None:
    random = np.random.default_rng(1)
    rows = [random.standard_normal((length, 3)).astype(np.float16) for length in itertools.chain(*lengths)]
    owns = random.standard_normal((len(rows), 2)).astype(np.float16) if pooled else None
    keys = keys_of(np.arange(len(rows)))
    with tempfile.TemporaryDirectory() as folder, open_entry(Path(folder)) as entry:
        done = 0
        for batch in lengths:
            part = slice(done, done := done + len(batch))
            entry.append(keys[part], np.concatenate(rows[part]), batch, None if owns is None else owns[part])
        assert len(entry) == len(rows)
        wanted = np.array([place % len(rows) for place in asked], np.int64)
        found = entry.read(entry.find(keys[wanted]))
        assert found.values.dtype == np.float16
        assert found.values.shape[:2] == found.mask.shape
        for place, row in enumerate(wanted):
            assert found.mask[place].sum() == len(rows[row])
            assert found.mask[place, : len(rows[row])].all()
            assert (found.values[place, : len(rows[row])] == rows[row]).all()
            assert (found.values[place, len(rows[row]) :] == 0).all()
        if owns is None:
            assert found.pooled is None
        elif len(wanted):
            assert (found.pooled == owns[wanted]).all()


def test_rows_are_copies_that_may_be_written_to(tmp_path: Path) -> None:
    with open_entry(tmp_path) as entry:
        fill(entry, np.arange(10))
        entry.read(np.arange(10)).values[:] = 7
        check(entry, np.arange(10))


def test_keys_that_have_a_row_are_skipped(tmp_path: Path) -> None:
    with open_entry(tmp_path) as entry:
        fill(entry, np.array([3, 4, 3, 4, 5]))
        size = entry.size_bytes
        fill(entry, np.array([5, 4]))
        assert entry.size_bytes == size
        assert len(entry) == 3
        fill(entry, np.array([4, 6, 5, 7]))
        check(entry, np.array([3, 4, 5, 6, 7, 3]))
        assert len(entry) == 5


def test_a_second_reader_sees_rows_as_they_come(tmp_path: Path) -> None:
    with open_entry(tmp_path) as writer, open_entry(tmp_path) as reader:
        assert reader.find(keys_of(np.arange(3))).tolist() == [-1, -1, -1]
        for first in range(0, 60, 20):
            fill(writer, np.arange(first, first + 20))
            check(reader, np.arange(first + 20))


@pytest.mark.parametrize("name", ["values.f16", "pooled.f16", "index.bin"])
@pytest.mark.parametrize("torn", [b"\0" * 700, b"x" * 33, b"\xff"])
def test_a_torn_tail_is_dropped(tmp_path: Path, name: str, torn: bytes) -> None:
    with open_entry(tmp_path) as entry:
        fill(entry, np.arange(20))
    with open(tmp_path / name, "ab") as file:
        file.write(torn)
    with open_entry(tmp_path) as entry:
        assert len(entry) == 20
        check(entry, np.arange(20))
        fill(entry, np.arange(10, 30))
        check(entry, np.arange(30))
    with open_entry(tmp_path) as entry:
        assert len(entry) == 30
        check(entry, np.arange(30))


@pytest.mark.parametrize("name", ["values.f16", "pooled.f16", "index.bin"])
def test_rows_that_lost_their_end_are_made_again(tmp_path: Path, name: str) -> None:
    with open_entry(tmp_path) as entry:
        fill(entry, np.arange(20))
    os.truncate(tmp_path / name, (tmp_path / name).stat().st_size - 3)
    with open_entry(tmp_path) as entry:
        assert entry.find(keys_of(np.arange(20))).tolist() == [*range(19), -1]
        fill(entry, np.arange(25))
        check(entry, np.arange(25))


class Killed(BaseException):
    """Ends a process between two writes."""


@pytest.mark.parametrize("before", [None, "pooled.f16", "index.bin"])
def test_records_of_lost_rows_never_meet_the_values_of_new_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: str | None
) -> None:
    with open_entry(tmp_path) as entry:
        fill(entry, np.arange(20))
    os.truncate(tmp_path / "values.f16", 2 * 16 * 45)  # the values of 15 rows; the records of 20

    def write_until(path: Path, end: int, content: bytes) -> None:
        if content and path.name == before:
            raise Killed
        write_at(path, end, content)

    write_at = feature_entry._write_at
    monkeypatch.setattr(feature_entry, "_write_at", write_until)
    with open_entry(tmp_path) as entry, suppress(Killed):
        fill(entry, np.arange(100, 116 if before else 101))
    with open_entry(tmp_path) as entry:
        assert len(entry) == (15 if before else 16)
        check(entry, np.arange(15))
        assert (entry.find(keys_of(np.arange(15, 20))) == -1).all()
    monkeypatch.undo()
    with open_entry(tmp_path) as entry:
        fill(entry, np.arange(30))
        check(entry, np.arange(30))


def test_a_first_append_that_never_ended_leaves_an_empty_entry(tmp_path: Path) -> None:
    for name, content in {"values.f16": b"abc", "pooled.f16": b"", "index.bin": b"features\1\0"}.items():
        (tmp_path / name).write_bytes(content)
    with open_entry(tmp_path) as entry:
        assert len(entry) == 0
        fill(entry, np.arange(20))
        check(entry, np.arange(20))


def test_kill_9_loses_no_whole_row_and_leaves_no_half_one(tmp_path: Path) -> None:
    from cross_modal.encoders.feature_store import FeatureStore

    with FeatureStore(tmp_path).entry({"trunk": "test"}) as reader:
        for attempt in range(3):
            process, before = popen(tmp_path, 0, 10**6), len(reader)
            while len(reader) < before + 40:
                assert process.poll() is None
            process.send_signal(signal.SIGKILL)
            process.communicate()
            count = len(reader)
            check(reader, np.arange(count))
            fresh = FeatureStore(tmp_path).entry({"trunk": "test"})
            assert len(fresh) == count, f"attempt {attempt}"
        fill(reader, np.arange(count + 100))
        check(reader, np.arange(count + 100))


def test_processes_that_write_at_once_lose_nothing_and_write_nothing_twice(tmp_path: Path) -> None:
    from cross_modal.encoders.feature_store import FeatureStore

    writers = [popen(tmp_path, first, 60) for first in (0, 30, 45)]  # batches 0–104, many of them wanted by several
    assert [writer.wait(timeout=100) for writer in writers] == [0, 0, 0]
    with FeatureStore(tmp_path).entry({"trunk": "test"}) as entry:
        assert len(entry) == 4 * 105
        check(entry, np.arange(4 * 105))


FULL_DISK = """
import resource
import sys
from pathlib import Path
import numpy as np
sys.path.insert(0, sys.argv[2])
from test_feature_entry import check, fill, open_entry, StoreFull
entry = open_entry(Path(sys.argv[1]))
fill(entry, np.arange(20))
resource.setrlimit(resource.RLIMIT_FSIZE, (8000, resource.RLIM_INFINITY))
try:
    fill(entry, np.arange(20, 220))
except StoreFull as error:
    print(error)
check(entry, np.arange(20))
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
fill(entry, np.arange(20, 220))
check(entry, np.arange(220))
"""


def test_a_full_disk_keeps_what_was_whole(tmp_path: Path) -> None:
    words = [sys.executable, "-c", FULL_DISK, str(tmp_path), str(Path(__file__).parent)]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{tmp_path}: expected room for 19,200 bytes, found a full disk\n"


def test_a_write_that_fails_leaves_no_tail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_entry(tmp_path) as entry:
        fill(entry, np.arange(20))
        sizes = {path.name: path.stat().st_size for path in tmp_path.glob("*.*")}

        def fail(descriptor: int) -> None:
            raise OSError(5, "Input/output error")

        monkeypatch.setattr(os, "fsync", fail)
        with pytest.raises(CrossModalError, match="expected to write features, found: Input/output error"):
            fill(entry, np.arange(20, 40))
        monkeypatch.undo()
        assert sizes == {path.name: path.stat().st_size for path in tmp_path.glob("*.*")}
        assert len(entry) == 20


def test_room_is_asked_for_before_anything_is_written(tmp_path: Path) -> None:
    asked = []

    def refuse(needed: int) -> None:
        asked.append(needed)
        raise StoreFull("full")

    with FeatureEntry(tmp_path, refuse) as entry:
        with pytest.raises(StoreFull):
            fill(entry, np.arange(10))
        assert len(entry) == 0
        assert not list(tmp_path.glob("*.f16"))
    with open_entry(tmp_path) as entry:
        before = entry.size_bytes
        fill(entry, np.arange(10))
        assert asked == [entry.size_bytes - before]


@pytest.mark.parametrize(
    ("width", "pooled"), [(15, np.zeros((1, 2))), (16, np.zeros((1, 3))), (16, None)], ids=["width", "pooled", "none"]
)
def test_rows_of_other_widths_are_refused(tmp_path: Path, width: int, pooled: np.ndarray | None) -> None:
    with open_entry(tmp_path) as entry:
        fill(entry, np.arange(4))
        with pytest.raises(CrossModalError, match="expected rows of width 16 with pooled width 2"):
            entry.append(keys_of(np.array([9])), np.zeros((2, width)), np.array([2]), pooled)
        assert len(entry) == 4


@pytest.mark.parametrize("where", ["values", "pooled"])
def test_numbers_that_are_not_finite_are_refused_and_nothing_is_kept(tmp_path: Path, where: str) -> None:
    values, pooled = np.zeros((3, 16)), np.zeros((2, 2))
    (values if where == "values" else pooled)[-1, 0] = 1e5
    with open_entry(tmp_path) as entry:
        with pytest.raises(CrossModalError, match=r"features row 1 \(key .*found 100000.0 in column 0"):
            entry.append(keys_of(np.arange(2)), values, np.array([2, 1]), pooled)
        assert len(entry) == 0


@pytest.mark.parametrize("row", [-1, 4])
def test_rows_that_are_not_there_are_refused(tmp_path: Path, row: int) -> None:
    with open_entry(tmp_path) as entry:
        fill(entry, np.arange(4))
        with pytest.raises(CrossModalError, match=f"expected rows 0 to 3, found {row}"):
            entry.read(np.array([2, row]))


def test_nothing_in_nothing_out(tmp_path: Path) -> None:
    with open_entry(tmp_path) as entry:
        entry.append(np.zeros((0, 16), np.uint8), np.zeros((0, 3)), np.zeros(0, int), None)
        assert len(entry) == 0
        assert entry.read(entry.find(keys_of(np.arange(0)))).values.shape[0] == 0
        fill(entry, np.arange(4))
        assert entry.read(np.arange(0)).mask.shape[0] == 0
