import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cross_modal_mlflow.sweep import worker_process
from cross_modal_mlflow.sweep.worker_process import is_gone, worker_name

NAMES_ITSELF = (
    "import time; from cross_modal_mlflow.sweep.worker_process import worker_name; "
    "print(worker_name(), flush=True); time.sleep(600)"
)


def test_a_name_is_for_people_too() -> None:
    assert worker_name().startswith(f"{socket.gethostname()}/")
    assert f":{os.getpid()}:" in worker_name()


def test_a_process_is_there_until_it_is_killed_and_not_after_even_unburied() -> None:
    process = subprocess.Popen([sys.executable, "-c", NAMES_ITSELF], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        name = process.stdout.readline().strip()
        assert is_gone(name) is False
        process.kill()
        until = time.monotonic() + 10
        while is_gone(name) is False:  # a zombie from here on: this process has not waited for it
            assert time.monotonic() < until
        assert process.returncode is None
        process.wait()
        assert is_gone(name) is True
    finally:
        process.kill()
        process.wait()


def test_a_number_that_was_given_again_is_another_process() -> None:
    assert is_gone(worker_name().rpartition(":")[0] + ":1") is True


def test_a_machine_of_the_same_name_is_another_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = worker_name()
    (tmp_path / "boot_id").write_text("another boot")
    monkeypatch.setattr(worker_process, "_BOOT", tmp_path / "boot_id")
    worker_process._here.cache_clear()
    try:
        assert worker_name().partition("/")[0] == mine.partition("/")[0]
        assert is_gone(mine) is None
        assert is_gone(worker_name()) is False
    finally:
        worker_process._here.cache_clear()


def test_without_proc_psutil_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_process, "_BOOT", tmp_path / "none")
    worker_process._here.cache_clear()
    try:
        name = worker_name()
        assert is_gone(name) is False
        assert is_gone(name.rpartition(":")[0] + ":1") is True
        assert is_gone(name.partition(":")[0] + ":999999999:1") is True
    finally:
        worker_process._here.cache_clear()


@pytest.mark.parametrize("name", ["", "nobody", "host:1", "host/abc:1:2", "a:b:c:d"])
def test_of_others_nothing_is_known(name: str) -> None:
    assert is_gone(name) is None
