"""Runs as the explorer sees them: read, never written."""

from pathlib import Path

import pytest

from cross_modal.errors import CrossModalError
from cross_modal_dashboards.catalogue import GALLERY, Catalogue
from cross_modal_mlflow.store import open_store
from cross_modal_mlflow.tracking import tracked_run


@pytest.fixture
def uri(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    found = f"sqlite:///{tmp_path / 'mlflow.db'}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", found)
    return found


def test_a_store_that_nobody_made_has_no_runs_and_is_not_made_by_looking(uri: str, tmp_path: Path) -> None:
    assert Catalogue().runs() == []
    assert list(tmp_path.iterdir()) == []


def test_runs_come_newest_first_with_what_they_are_about(uri: str) -> None:
    store = open_store()
    for name in ("first", "second"):
        with tracked_run("train", store, name=name, tags={"cross_modal.data": "glyphs", GALLERY: "/there"}) as run:
            run.metrics({"retrieval/image_to_text/mrr": 0.5})
    with tracked_run("evaluate", store, name="third"):
        pass
    found = Catalogue().runs()
    assert [each.name for each in found] == ["second", "first"]
    assert found[0].metrics == {"retrieval/image_to_text/mrr": 0.5}
    assert (found[0].command, found[0].data, found[0].gallery) == ("train", "glyphs", "/there")
    assert found[0].status == "FINISHED"
    assert not found[0].has_model


def test_a_run_that_is_not_there_is_named(uri: str) -> None:
    open_store()
    with pytest.raises(CrossModalError, match="run 0123: expected a run in sqlite"):
        Catalogue().run("0123")


def test_a_file_that_is_no_database_is_one_line(uri: str, tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_text("this is no database, but long enough to be looked at" * 40)
    with pytest.raises(CrossModalError, match="expected an answer") as caught:
        Catalogue().runs()
    assert "\n" not in str(caught.value)


def test_a_server_that_is_not_there_is_said_within_seconds() -> None:
    with pytest.raises(CrossModalError, match=r"tracking store http://127\.0\.0\.1:9"):
        Catalogue("http://127.0.0.1:9").runs()


def test_an_artifact_that_was_never_written_is_none(uri: str) -> None:
    with tracked_run("train", open_store(), name="one") as run:
        run.text("hello", "there.txt")
    known = Catalogue()
    there = known.artifact(run.run_id, "there.txt")
    assert there is not None
    assert there.read_text() == "hello"
    assert known.artifact(run.run_id, "explorer/map.parquet") is None


def test_children_are_found_and_an_id_cannot_leave_its_quotes(uri: str) -> None:
    store = open_store()
    with tracked_run("sweep", store, name="study") as parent:
        pass
    with tracked_run("trial", store, name="trial 0", tags={"mlflow.parentRunId": parent.run_id}):
        pass
    known = Catalogue()
    assert [each.name for each in known.children(parent.run_id)] == ["trial 0"]
    with pytest.raises(CrossModalError, match="expected an id of letters and digits"):
        known.children("x' OR '1'='1")
