import sqlite3
from pathlib import Path

import pytest

from cross_modal_mlflow.doctor import Check
from cross_modal_mlflow.store import open_store
from cross_modal_mlflow.store_checks import schema_versions, store_check, store_checks, without_password


def only(uri: str) -> Check:
    """The check of a store that cannot be asked further."""
    check, answers = store_check(uri)
    assert not answers
    return check


def database(path: Path, *statements: str) -> str:
    connection = sqlite3.connect(path)
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()
    return f"sqlite:///{path}"


def test_a_store_in_use_answers(workplace: Path) -> None:
    open_store()
    found = {check.name: check for check in store_checks()}
    assert {name: check.status for name, check in found.items()} == {
        "tracking store": "ok",
        "experiment": "ok",
        "artifacts": "ok",
    }
    assert f"migrated to {schema_versions()[0]}" in found["tracking store"].found
    assert str(workplace / "mlruns" / "artifacts") in found["artifacts"].found


def test_nothing_is_made_by_looking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)
    (check,) = store_checks()
    assert check.status == "ok"
    assert "the first command makes it" in check.found
    assert list(tmp_path.iterdir()) == []


def test_a_database_without_tables_is_not_migrated(tmp_path: Path) -> None:
    uri = database(tmp_path / "empty.db", "CREATE TABLE gone (a)", "DROP TABLE gone")
    before = (tmp_path / "empty.db").read_bytes()
    assert "empty" in only(uri).found
    assert (tmp_path / "empty.db").read_bytes() == before


def test_a_database_of_an_older_mlflow_is_to_be_upgraded(workplace: Path) -> None:
    path = workplace / "mlruns" / "mlflow.db"
    old = "451aebb31d03"  # of MLflow 1.0
    assert old in schema_versions()[1]
    check = only(database(path, f"UPDATE alembic_version SET version_num = '{old}'"))
    assert check.status == "broken"
    assert f"is at version {old}" in check.found
    assert check.advice.startswith(f"mlflow db upgrade sqlite:///{path}")


def test_a_database_of_a_newer_mlflow_needs_that(workplace: Path) -> None:
    path = workplace / "mlruns" / "mlflow.db"
    check = only(database(path, "UPDATE alembic_version SET version_num = 'from2030'"))
    assert check.status == "broken"
    assert "a newer one made it" in check.found
    assert "upgrade mlflow" in check.advice


def test_a_database_of_optuna_cannot_be_shared(tmp_path: Path) -> None:
    check = only(
        database(tmp_path / "optuna.db", "CREATE TABLE studies (a)", "CREATE TABLE alembic_version (version_num)")
    )
    assert check.status == "broken"
    assert "Optuna" in check.found


def test_somebody_elses_database_is_left_alone(tmp_path: Path) -> None:
    check = only(database(tmp_path / "cats.db", "CREATE TABLE cats (name)"))
    assert check.status == "broken"
    assert "not MLflow's" in check.found


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "notes.db").write_text("dear diary, " * 100)
    check = only(f"sqlite:///{tmp_path / 'notes.db'}")
    assert check.status == "broken"
    assert "not a database" in check.found


@pytest.mark.parametrize("uri", ["file:///tmp/mlruns", "./mlruns", "mlruns"])
def test_file_stores_are_gone(uri: str) -> None:
    check = only(uri)
    assert check.status == "broken"
    assert "file store" in check.found
    assert "unset MLFLOW_TRACKING_URI" in check.advice


def test_a_server_that_is_down_is_broken() -> None:
    check = only("http://127.0.0.1:9")
    assert check.status == "broken"
    assert "does not answer" in check.found


def test_a_database_server_that_is_down_shows_no_password() -> None:
    check = only("postgresql://ann:secret@127.0.0.1:9/runs")
    assert check.status == "broken"
    assert "secret" not in check.found + check.advice
    assert without_password("mysql+pymysql://a:b:c@h/d") == "mysql+pymysql://a:***@h/d"
    assert without_password("http://localhost:5000") == "http://localhost:5000"


def test_a_deleted_experiment_is_broken(workplace: Path) -> None:
    store = open_store()
    store.client.delete_experiment(store.experiment_id)
    check = list(store_checks())[-1]
    assert (check.name, check.status) == ("experiment", "broken")
    assert check.advice.startswith(f"mlflow experiments restore -x {store.experiment_id}")


def test_artifacts_of_a_store_that_was_moved(workplace: Path) -> None:
    open_store()
    (workplace / "file").write_text("")
    path = workplace / "mlruns" / "mlflow.db"
    database(path, f"UPDATE experiments SET artifact_location = 'file://{workplace}/file/artifacts'")
    check = list(store_checks())[-1]
    assert (check.name, check.status) == ("artifacts", "broken")
    assert "MLFLOW_EXPERIMENT_NAME" in check.advice
