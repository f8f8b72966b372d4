import json
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from cross_modal.errors import CrossModalError
from cross_modal_mlflow.sweep.leases import GRACE, RENEW
from cross_modal_mlflow.sweep.storage import (
    open_storage,
    refuse_mlflow_database,
    storage_argument,
    storage_label,
)


def failure(storage: str) -> str:
    with pytest.raises(CrossModalError) as caught:
        open_storage(storage)
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


def test_a_study_is_found_again(place: str) -> None:
    optuna.create_study(study_name="birds", storage=open_storage(place))
    assert optuna.get_all_study_names(open_storage(place)) == ["birds"]


def test_whoever_come_at_once_to_a_storage_that_is_not_there_yet_all_open_it(place: str) -> None:
    together = threading.Barrier(6)

    def come(number: int) -> str:
        together.wait()
        return optuna.create_study(study_name=f"study-{number}", storage=open_storage(place)).study_name

    with ThreadPoolExecutor(6) as pool:
        names = list(pool.map(come, range(6)))
    assert sorted(optuna.get_all_study_names(open_storage(place))) == names


def test_optuna_reads_a_journal_without_us(tmp_path: Path) -> None:
    optuna.create_study(study_name="birds", storage=open_storage(str(tmp_path / "sweeps.journal")))
    theirs = JournalStorage(JournalFileBackend(str(tmp_path / "sweeps.journal")))
    assert optuna.load_study(study_name="birds", storage=theirs).trials == []


def test_without_a_name_the_journal_lies_beside_the_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    optuna.create_study(storage=open_storage(None))
    assert (tmp_path / "mlruns" / "sweeps.journal").is_file()
    assert storage_argument(None) == storage_label(None) == str(tmp_path / "mlruns" / "sweeps.journal")


def test_folders_on_the_way_are_made(tmp_path: Path) -> None:
    open_storage(str(tmp_path / "a" / "b" / "sweeps.journal"))
    assert (tmp_path / "a" / "b" / "sweeps.journal").is_file()


def test_a_relative_path_is_an_argument_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    storage = open_storage("sweeps.journal")
    argument = storage_argument("sweeps.journal")
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path / "below")
    optuna.create_study(study_name="birds", storage=storage)  # the file stays where it was opened
    assert optuna.get_all_study_names(open_storage(argument)) == ["birds"]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"SQLite format 3\x00...", "found SQLite's file"),
        (b"image,text,label\n", "found another kind of file"),
        (b'{"image": "a.png"}\n', "found another kind of file"),
        (b"[1]\n", "found another kind of file"),
        (b"\x80\x04\x95\n", "found another kind of file"),
    ],
)
def test_another_kind_of_file_is_refused_and_left_as_it_is(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    assert f"storage {path}: expected Optuna's journal, {says}" in failure(str(path))
    assert path.read_bytes() == content


def test_a_journal_with_a_broken_line_is_said_to_be_damaged(tmp_path: Path) -> None:
    path = tmp_path / "sweeps.journal"
    optuna.create_study(study_name="birds", storage=open_storage(str(path)))
    first = path.read_text().splitlines()[0]
    for broken in ("{cut off", json.dumps({"no": "op_code"})):
        path.write_text(f"{first}\n{broken}\n{first}\n")
        assert "expected Optuna's journal, found a damaged one" in failure(str(path))


def test_places_where_no_journal_can_be(tmp_path: Path) -> None:
    assert "expected a journal file, found a folder" in failure(str(tmp_path))
    (tmp_path / "file").write_text("")
    assert "expected to read and write it" in failure(str(tmp_path / "file" / "below"))
    os.mkfifo(tmp_path / "pipe")
    assert "found something that is no file" in failure(str(tmp_path / "pipe"))


def test_a_journal_that_may_only_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK)  # root may write everywhere
    assert "expected to write it, found it read-only" in failure(str(tmp_path / "sweeps.journal"))


def test_the_lock_of_a_worker_that_was_killed_while_writing_is_taken_well_before_leases_run_out(tmp_path: Path) -> None:
    path = tmp_path / "sweeps.journal"
    storage = open_storage(str(path))
    grace = storage._backend._lock.grace_period  # type: ignore[attr-defined]
    assert grace + 1 + 2 * RENEW < GRACE
    storage._backend._lock.grace_period = 0.3  # type: ignore[attr-defined]  # else the test takes as long
    path.with_name("sweeps.journal.lock").symlink_to(path)
    began = time.monotonic()
    optuna.create_study(study_name="birds", storage=storage)
    assert 0.3 < time.monotonic() - began < 5


@pytest.mark.parametrize(
    ("storage", "says"),
    [
        ("sqlite:///x.db", "found sqlite://…; for one machine a path does"),
        ("mysql://me:secret@host/x", "expected a file or postgresql://…, found mysql://…"),
        ("redis://:secret@host", "expected a file or postgresql://…, found redis://…"),
    ],
)
def test_other_databases_are_refused_without_their_passwords(storage: str, says: str) -> None:
    with pytest.raises(CrossModalError) as caught:
        storage_label(storage)
    for said in (failure(storage), str(caught.value)):
        assert says in said
        assert "secret" not in said


def test_mlflows_own_file_is_refused_by_whatever_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    tracking = f"sqlite:///{tmp_path}/mlflow.db"
    (tmp_path / "mlflow.db").touch()
    (tmp_path / "link").symlink_to("mlflow.db")
    for name in (str(tmp_path / "mlflow.db"), "mlflow.db", "./below/../mlflow.db", "link"):
        with pytest.raises(CrossModalError, match="take another file") as caught:
            refuse_mlflow_database(name, tracking)
        assert tracking in str(caught.value)
    refuse_mlflow_database(str(tmp_path / "sweeps.journal"), tracking)
    refuse_mlflow_database(None, tracking)
    refuse_mlflow_database("sweeps.journal", "http://localhost:5000")


def test_mlflows_own_database_is_refused_naming_both_and_the_way_out() -> None:
    tracking = "postgresql+psycopg2://other:hidden@127.0.0.1/lab"
    with pytest.raises(CrossModalError, match="search_path") as caught:
        refuse_mlflow_database("postgresql://me:secret@localhost:5432/lab", tracking)
    assert "postgresql://me:***@localhost:5432/lab" in str(caught.value)
    assert "postgresql+psycopg2://other:***@127.0.0.1/lab" in str(caught.value)
    refuse_mlflow_database("postgresql://me@localhost/lab?options=-csearch_path%3Doptuna", tracking)
    refuse_mlflow_database("postgresql://me@localhost/lab2", tracking)
    refuse_mlflow_database("postgresql://me@localhost/lab", "sqlite:///lab")


def test_reading_the_names_of_storages_imports_neither_optuna_nor_a_database() -> None:
    code = "import sys, cross_modal_mlflow.sweep.storage; print({'optuna', 'sqlalchemy', 'torch'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "set()\n"
