import json
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import lancedb
import numpy as np
import pyarrow as pa
import pytest
import toys.gallery_writer
from filelock import FileLock
from toys.gallery_writer import KEPT, NEW
from toys.reference_rows import DIM, binding, names, rows, vectors

from cross_modal.errors import CrossModalError
from cross_modal.gallery.backends import lance, writer_lock
from cross_modal.gallery.filter import Filter
from cross_modal.gallery.gallery import Gallery

TRIALS = 20


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "refs.gallery"


@pytest.fixture
def gallery(folder: Path) -> Iterator[Gallery]:
    with Gallery.create(folder, binding()) as made:
        yield made


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path), "OMP_NUM_THREADS": "1"}


def run(program: str, *words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", program, *map(str, words)]
    return subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=120, check=False)


class TestFolder:
    def test_one_that_is_not_there(self, folder: Path) -> None:
        with pytest.raises(CrossModalError, match=r"refs.gallery: expected a gallery's folder .*found no such folder"):
            Gallery.open(folder)
        assert not folder.exists()

    def test_one_that_is_no_gallery(self, folder: Path) -> None:
        folder.mkdir()
        (folder / "notes.txt").write_text("mine")
        with pytest.raises(CrossModalError, match=r"expected a gallery's folder \(with gallery.json\), found none"):
            Gallery.open(folder)
        with pytest.raises(CrossModalError, match=r"expected an empty folder or a gallery, found notes.txt in it"):
            Gallery.create(folder, binding())
        assert (folder / "notes.txt").read_text() == "mine"

    def test_a_file_in_its_place(self, folder: Path) -> None:
        folder.write_text("mine")
        with pytest.raises(CrossModalError, match="found a file"):
            Gallery.open(folder)
        with pytest.raises(CrossModalError, match="expected a folder, found a file"):
            Gallery.create(folder, binding())

    def test_one_of_a_later_format(self, gallery: Gallery, folder: Path) -> None:
        card = json.loads((folder / "gallery.json").read_text())
        (folder / "gallery.json").write_text(json.dumps({**card, "format": 2}))
        with pytest.raises(CrossModalError, match="expected a gallery of format 1, found 2, of a later version"):
            Gallery.open(folder)

    @pytest.mark.parametrize(
        ("card", "message"),
        [
            ("{", "gallery.json: expected JSON"),
            ("[]", "gallery.json: expected a JSON object, found list"),
            ("{}", "expected a gallery of format 1, found None"),
            ('{"format": 1}', r"expected digest \(str\), found None"),
            ('{"format": 1, "binding": {"digest": "1", "metric": "dot"}}', r"expected dim \(int\), found None"),
        ],
    )
    def test_a_damaged_card(self, gallery: Gallery, folder: Path, card: str, message: str) -> None:
        (folder / "gallery.json").write_text(card)
        with pytest.raises(CrossModalError, match=message):
            Gallery.open(folder)

    def test_a_lost_table_is_one_line(self, gallery: Gallery, folder: Path) -> None:
        (folder / "references.lance").rename(folder.parent / "elsewhere")
        with pytest.raises(CrossModalError, match="Table 'references' was not found") as caught:
            Gallery.open(folder)
        assert "\n" not in str(caught.value)

    def test_a_creation_that_was_killed_is_made_anew(self, folder: Path) -> None:
        Gallery.create(folder, binding()).close()
        (folder / "gallery.json").unlink()
        with Gallery.create(folder, binding()) as again:
            again.upsert(rows(["a"]))
            assert len(again) == 1

    def test_rows_without_their_card_are_not_thrown_away(self, gallery: Gallery, folder: Path) -> None:
        gallery.upsert(rows(["a"]))
        (folder / "gallery.json").unlink()
        with pytest.raises(CrossModalError, match=r"expected gallery.json beside its 1 rows, found none"):
            Gallery.create(folder, binding())

    def test_one_that_cannot_be_written_to_is_read(
        self, gallery: Gallery, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        gallery.upsert(rows(["a"]))

        def refuse(*_: object, **__: object) -> None:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(FileLock, "acquire", refuse)
        with Gallery.open(folder) as reader:
            assert reader.search(vectors(1), 1).ids.tolist() == [["a"]]
            with pytest.raises(CrossModalError, match="expected a folder to write to, found Permission denied"):
                reader.upsert(rows(["b"]))

    def test_closed_galleries_say_so(self, gallery: Gallery) -> None:
        gallery.close()
        with pytest.raises(CrossModalError, match="expected it open, found it closed"):
            len(gallery)


class TestVersions:
    def test_every_write_is_one(self, gallery: Gallery) -> None:
        gallery.upsert(rows(names(3)))
        first = gallery.version
        gallery.upsert(rows(names(5)))
        counts = {facts.version: facts.rows for facts in gallery.versions()}
        assert counts[first] == 3
        assert counts[gallery.version] == 5

    def test_old_ones_can_be_read_but_not_written(self, gallery: Gallery, folder: Path) -> None:
        gallery.upsert(rows(names(3)))
        first = gallery.version
        gallery.delete(["r1"])
        with Gallery.open(folder, first) as old:
            assert old.rows()["id"].to_pylist() == ["r0", "r1", "r2"]
            assert old.search(vectors(2)[1], 1).ids.tolist() == [["r1"]]
            assert not old.refresh()
            for write in (lambda: old.upsert(rows(["x"])), lambda: old.delete(["r0"]), old.optimise):
                with pytest.raises(
                    CrossModalError, match=f"expected its last version to write to, found version {first}"
                ):
                    write()

    def test_a_tag_outlives_optimising(self, gallery: Gallery, folder: Path) -> None:
        gallery.upsert(rows(names(3)))
        gallery.tag("run-7")
        for part in range(5):
            gallery.upsert(rows(names(4, f"p{part}-")))
        gallery.optimise()
        gallery.optimise()
        with Gallery.open(folder, "run-7") as old:
            assert len(old) == 3
        assert [facts.rows for facts in gallery.versions() if "run-7" in facts.tags] == [3]
        assert len(gallery) == 23

    def test_a_tag_outlives_a_column_that_changes_its_type(self, gallery: Gallery, folder: Path) -> None:
        gallery.upsert(rows(["a"], extra={"price": [2]}))
        gallery.tag("whole")
        gallery.upsert(rows(["b"], extra={"price": [2.5]}))
        with Gallery.open(folder, "whole") as old:
            assert old.rows(columns=["price"]).to_pylist() == [{"price": 2}]

    def test_a_tag_names_one_version_for_good(self, gallery: Gallery) -> None:
        gallery.upsert(rows(["a"]))
        gallery.tag("v1")
        gallery.tag("v1")
        gallery.upsert(rows(["b"]))
        with pytest.raises(CrossModalError, match="expected a new tag, found 'v1' of version"):
            gallery.tag("v1")
        with pytest.raises(CrossModalError, match="expected a tag of letters"):
            gallery.tag("../v1")

    @pytest.mark.parametrize("version", [99, "nobody"])
    def test_one_that_is_not_there(self, gallery: Gallery, folder: Path, version: int | str) -> None:
        gallery.tag("run-7")
        with pytest.raises(CrossModalError, match=rf"one of the tags run-7, found {version!r}"):
            Gallery.open(folder, version)


class Writers:
    """Starts and kills processes that write to a gallery for ever."""

    def __init__(self, folder: Path) -> None:
        command = [sys.executable, toys.gallery_writer.__file__, str(folder)]
        self.process = subprocess.Popen(
            command, env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.writer = 0
        self.acknowledged = -1

    def __enter__(self) -> "Writers":
        return self

    def __exit__(self, *_: object) -> None:
        if self.writer:
            self.kill()
        self.process.kill()
        self.process.wait()

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def start(self, trial: int) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{trial}\n")
        self.process.stdin.flush()
        self.acknowledged, self.writer = -1, int(self.line())

    def wait_for_batch(self) -> None:
        self.acknowledged = int(self.line())

    def kill(self) -> int:
        """Kills the writer; the last batch it acknowledged, −1 if none."""
        os.kill(self.writer, signal.SIGKILL)
        self.writer = 0
        while (line := self.line()) != "dead":
            self.acknowledged = int(line)
        return self.acknowledged


class TestWriters:
    def test_a_second_one_waits(self, gallery: Gallery, folder: Path) -> None:
        with Writers(folder) as writers:
            with writer_lock.writing(folder):
                writers.start(0)
                time.sleep(0.5)
                gallery.refresh()
                assert len(gallery) == 0
            writers.wait_for_batch()
            assert writers.acknowledged == 0

    def test_one_that_waits_too_long_says_for_whom(self, folder: Path, gallery: Gallery) -> None:
        with (
            writer_lock.writing(folder),
            pytest.raises(CrossModalError, match=rf"expected to write, found that process {os.getpid()} on .* writes"),
            writer_lock.writing(folder, patience=0.05),
        ):
            raise AssertionError("two writers at once")

    @pytest.mark.slow
    def test_none_that_is_killed_loses_what_it_acknowledged(self, gallery: Gallery, folder: Path) -> None:
        """Twenty writers of one gallery, each killed (SIGKILL) at a time drawn by chance while it writes."""
        chance = random.Random(0)
        with Writers(folder) as writers:
            for trial in range(TRIALS):
                writers.start(trial)
                for _ in range(chance.randrange(1, 5)):
                    writers.wait_for_batch()
                time.sleep(chance.uniform(0, 0.05))
                self.check(folder, trial, writers.kill())

    @staticmethod
    def check(folder: Path, trial: int, acknowledged: int) -> None:
        """Batches are whole or not there at all; those acknowledged are there."""
        with Gallery.open(folder) as survivor:
            mine = [
                row for row in survivor.rows(columns=["id", "batch"]).to_pylist() if row["id"].startswith(f"{trial}-")
            ]
            new = Counter(row["batch"] for row in mine if "kept" not in row["id"])
            kept = {row["batch"] for row in mine if "kept" in row["id"]}
            assert sum("kept" in row["id"] for row in mine) == KEPT
            last = max(new)
            assert last in (acknowledged, acknowledged + 1)
            assert kept <= {last, *range(last)}
            older = set(range(last)) - set(new)
            assert not older, f"lost the acknowledged batches {older}"
            assert all(count == NEW for batch, count in new.items())
            assert kept == {last}
            assert len(survivor.matrix()) == len(survivor)


class TestReaders:
    def test_see_whole_batches_while_another_process_writes(self, folder: Path) -> None:
        with Gallery.create(folder, binding()) as reader, Writers(folder) as writers:
            writers.start(0)
            seen = 0
            end = time.monotonic() + 60
            while seen < 5 and time.monotonic() < end:
                if not reader.refresh():
                    continue
                matrix = reader.matrix()
                count = len(matrix)
                assert count == 0 or (count - KEPT) % NEW == 0
                if count:
                    batches = matrix.column("batch")[["kept" in name for name in matrix.ids]]
                    assert set(batches) == {(count - KEPT) // NEW - 1}
                    seen += 1
            assert seen == 5

    def test_a_matrix_stays_what_it_was_until_refresh(self, gallery: Gallery, folder: Path) -> None:
        gallery.upsert(rows(names(5)))
        with Gallery.open(folder) as reader:
            before = reader.matrix()
            gallery.delete(["r1"])
            assert reader.matrix() is before
            assert reader.row(["r1"], ["id"]).num_rows == 1
            reader.refresh()
            assert len(reader.matrix()) == 4


class TestIndex:
    ROWS = 5000

    @pytest.fixture
    def large(self, folder: Path) -> Iterator[Gallery]:
        with Gallery.create(folder, binding(dim=32)) as made:
            made.upsert(self.table(names(self.ROWS)))
            yield made

    @staticmethod
    def table(ids: list[str], seed: int = 0, spread: float = 0.5) -> pa.Table:
        """Forty clouds, or a haze where they spread far."""
        centres = np.random.default_rng(0).normal(size=(40, 32))
        chance = np.random.default_rng(seed)
        stored = centres[chance.integers(40, size=len(ids))] + spread * chance.normal(size=(len(ids), 32))
        stored /= np.linalg.norm(stored, axis=1, keepdims=True)
        columns = {
            "id": ids,
            "kind": ["image"] * len(ids),
            "content": ids,
            "label": [f"l{place % 7}" for place in range(len(ids))],
            "vector": pa.FixedSizeListArray.from_arrays(pa.array(stored.astype(np.float32).reshape(-1)), 32),
        }
        return pa.table(columns)

    def test_its_recall_is_measured_and_shown(self, large: Gallery) -> None:
        facts = large.build_index(probes=70)
        queries = large.matrix().vectors[:40] + large.matrix().vectors[40:80]
        approximate, exact = large.search(queries, 10), large.search(queries, 10, exact=True)
        assert not approximate.exact
        assert approximate.recall == facts.recall
        assert (exact.exact, exact.recall) == (True, None)
        found = np.mean([len(set(a) & set(b)) / 10 for a, b in zip(approximate.ids, exact.ids, strict=True)])
        assert found == pytest.approx(facts.recall, abs=0.05)
        assert facts.recall > 0.9
        assert large.index() == facts

    def test_fewer_probes_find_less_and_say_so(self, folder: Path) -> None:
        with Gallery.create(folder, binding(dim=32)) as scattered:  # a cloud may lie in one partition: none here
            scattered.upsert(self.table(names(self.ROWS), spread=9))
            assert scattered.build_index(probes=1).recall < 0.9 < scattered.build_index(probes=70).recall

    def test_scores_are_those_of_exact_search(self, large: Gallery) -> None:
        large.build_index(probes=70)
        query = large.matrix().vectors[3]
        assert np.allclose(large.search(query, 5).scores, large.search(query, 5, exact=True).scores, atol=1e-5)

    def test_filtered_search_stays_exact(self, large: Gallery) -> None:
        large.build_index(probes=1)
        query, where = large.matrix().vectors[0], Filter.parse("label=l3")
        hits = large.search(query, 20, where)
        assert hits.exact
        kept = large.matrix().column("label") == "l3"
        scores = np.where(kept, large.matrix().vectors @ query, -np.inf)
        assert set(hits.ids[0]) == set(large.matrix().ids[np.argsort(-scores)[:20]])

    def test_rows_of_later_are_found_and_deleted_ones_are_not(self, large: Gallery) -> None:
        large.build_index(probes=70)
        later = self.table(["later"], seed=77)
        large.upsert(later)
        query = np.array(later["vector"][0].as_py(), np.float32)
        assert large.search(query, 1).ids.tolist() == [["later"]]
        large.delete(["later"])
        assert large.search(query, 1).ids.tolist() != [["later"]]
        large.upsert(later)
        large.optimise()
        assert large.search(query, 1).ids.tolist() == [["later"]]

    def test_can_be_dropped(self, large: Gallery) -> None:
        large.build_index(probes=5)
        large.drop_index()
        large.drop_index()
        assert large.search(large.matrix().vectors[0], 1).exact
        assert large.index() is None

    def test_few_rows_want_none(self, gallery: Gallery) -> None:
        gallery.upsert(rows(names(10)))
        with pytest.raises(CrossModalError, match="expected at least 4096 rows for an approximate index, found 10"):
            gallery.build_index()

    def test_bad_settings(self, large: Gallery) -> None:
        with pytest.raises(CrossModalError, match="found 'hnsw' with 50"):
            large.build_index("hnsw")
        with pytest.raises(CrossModalError, match="at least 1 probe"):
            large.build_index(probes=0)

    def test_memory_has_none(self) -> None:
        with pytest.raises(CrossModalError, match=r"expected a folder \(LanceDB\)"):
            Gallery.create("memory", binding()).build_index()


class TestProcess:
    def test_nothing_is_printed_and_the_interpreter_ends(self, folder: Path) -> None:
        program = (
            "import sys, numpy as np\n"
            "from toys.reference_rows import *\n"
            "from cross_modal.gallery.gallery import Gallery\n"
            "gallery = Gallery.create(sys.argv[1], binding())\n"
            "gallery.upsert(rows(names(50)))\n"
            "gallery.tag('x'); gallery.delete(['r1']); gallery.optimise()\n"
            "assert gallery.search(vectors(1), 3).ids[0][0] == 'r0'\n"
        )  # not closed: what runs in the background must not keep the interpreter
        begin = time.monotonic()
        done = run(program, folder)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        assert time.monotonic() - begin < 60

    def test_nothing_reaches_the_network(self, folder: Path) -> None:
        program = (
            "import socket, sys\n"
            "def refuse(*_): raise AssertionError('network')\n"
            "socket.getaddrinfo = socket.create_connection = refuse\n"
            "from toys.reference_rows import *\n"
            "from cross_modal.gallery.gallery import Gallery\n"
            "gallery = Gallery.create(sys.argv[1], binding())\n"
            "gallery.upsert(rows(names(50)))\n"
            "import os\n"
            "from pathlib import Path\n"
            "held = {os.path.realpath(each).rpartition(':')[2][1:-1] for each in Path('/proc/self/fd').iterdir()}\n"
            "for name in ('tcp', 'tcp6', 'udp', 'udp6'):\n"
            "    for line in Path('/proc/self/net', name).read_text().splitlines()[1:]:\n"
            "        assert line.split()[9] not in held, line\n"
        )
        done = run(program, folder)
        assert (done.returncode, done.stderr) == (0, "")

    def test_a_fork_is_refused_what_was_opened_before(self, gallery: Gallery, folder: Path) -> None:
        answers = multiprocessing.get_context("fork").SimpleQueue()
        gallery.upsert(rows(names(3)))

        def ask() -> None:
            for question in (lambda: len(gallery), lambda: Gallery.open(folder)):
                try:
                    question()
                except CrossModalError as error:
                    answers.put(str(error))

        child = multiprocessing.get_context("fork").Process(target=ask)
        child.start()
        child.join(30)
        assert child.exitcode == 0
        assert "found a fork of it" in answers.get()
        assert "found a fork of one that used LanceDB" in answers.get()

    def test_errors_of_lancedb_are_one_line(self) -> None:
        def fail() -> None:
            raise RuntimeError("first\nsecond")

        with pytest.raises(
            CrossModalError, match=r"^gallery refs: expected LanceDB to read and write it, found first$"
        ):
            lance._asked("refs", fail)

    def test_it_is_lancedb_that_keeps_the_rows(self, gallery: Gallery, folder: Path) -> None:
        gallery.upsert(rows(names(4)))
        assert lancedb.connect(str(folder)).open_table("references").count_rows() == 4
        assert gallery.binding.dim == DIM
