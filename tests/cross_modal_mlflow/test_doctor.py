import os
import shutil
from collections import namedtuple
from collections.abc import Iterator
from pathlib import Path

import pytest

from cross_modal_mlflow import doctor
from cross_modal_mlflow.doctor import Check, folder_checks, guarded, writable


def test_a_check_that_fails_is_a_finding() -> None:
    def checks() -> Iterator[Check]:
        yield Check("first", "ok", "fine")
        raise ImportError("torch is\nbroken")

    first, second = guarded("second", checks)
    assert first.status == "ok"
    assert (second.name, second.status, second.found) == ("second", "broken", "ImportError: torch is broken")


def test_a_folder_to_be_made_is_fine_where_it_can_be_made(tmp_path: Path) -> None:
    check = writable("data", tmp_path / "deep" / "deeper", "mend it")
    assert check.status == "ok"
    assert "(to be made)" in check.found
    assert list(tmp_path.iterdir()) == []  # nothing is left behind


def test_a_folder_that_cannot_be_written_to_is_broken(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    check = writable("data", tmp_path / "file", "mend it")
    assert check.status == "broken"
    assert check.advice == "mend it"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_is_broken(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    assert writable("data", tmp_path, "mend it").status == "broken"


def test_little_space_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10, 10, 12_000_000))
    check = writable("data", tmp_path, "mend it")
    assert check.status == "warning"
    assert "12.0 MB are free" in check.found


def test_the_feature_store_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def feature_store(value: str) -> Check:
        monkeypatch.setenv("CROSS_MODAL_CACHE", value)
        return {check.name: check for check in folder_checks()}["feature store"]

    assert "switched off" in feature_store("off").found
    assert "to be made" in feature_store(str(tmp_path / "new")).found
    (tmp_path / "old").mkdir()
    assert "holds 0 B" in feature_store(str(tmp_path / "old")).found
    (tmp_path / "file").write_text("")
    assert feature_store(str(tmp_path / "file")).status == "broken"


def test_a_server_needs_no_working_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://localhost:1")
    assert "working folder" not in [check.name for check in folder_checks()]
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert "working folder" in [check.name for check in folder_checks()]


def test_examine_survives_whatever_breaks(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from cross_modal_mlflow import installation_checks, store_checks

    def fail() -> Iterator[Check]:
        raise RuntimeError("gone")

    monkeypatch.setattr(installation_checks, "installation_checks", fail)
    monkeypatch.setattr(store_checks, "store_checks", fail)
    found = {check.name: check.status for check in doctor.examine()}
    assert found["installation"] == found["tracking store"] == "broken"
    assert found["temporary files"] == "ok"
