import socket
import sys
import time
from collections.abc import Iterator

import optuna
import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cross_modal.errors import CrossModalError
from cross_modal_mlflow.sweep import postgresql as postgresql_module
from cross_modal_mlflow.sweep.postgresql import label, open_postgresql, parse_url, same_place

OPTUNA = "?options=-csearch_path%3Doptuna"


def failure(storage: str) -> str:
    began = time.monotonic()
    with pytest.raises(CrossModalError) as caught:
        open_postgresql(storage)
    assert time.monotonic() - began < 8
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


def execute(database: str, *commands: str) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        for command in commands:
            connection.execute(command)


@pytest.fixture
def silent() -> Iterator[int]:
    """A port that takes calls and never answers."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield server.getsockname()[1]


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg"])
def test_three_spellings_are_one_driver(database: str, scheme: str) -> None:
    url = database.replace("postgresql", scheme, 1)
    optuna.create_study(study_name="birds", storage=open_postgresql(url))
    assert optuna.get_all_study_names(open_postgresql(database)) == ["birds"]


def test_a_wrong_password_is_said_without_it(database: str) -> None:
    said = failure(database.replace("pass%3Aword", "wrong%3Aword"))
    assert "password authentication failed" in said
    assert "***" in said
    assert "wrong" not in said


def test_a_missing_password_a_missing_user_and_a_missing_database(database: str) -> None:
    assert "no password supplied" in failure(database.replace(":pass%3Aword", ""))
    assert "authentication failed" in failure(database.replace("sweeper", "nobody"))
    assert 'database "nowhere" does not exist' in failure(database.rpartition("/")[0] + "/nowhere")


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("postgresql://me:secret@localhost", "found a URL without a database"),
        ("postgresql://me:secret@localhost:1/x", "found: Connection refused"),
        ("postgresql://me:secret@localhost:port/x", "found a URL that cannot be read"),
        ("postgresql://me:secret@no-such-host.invalid/x", "expected an answer, found: "),
    ],
)
def test_what_does_not_answer_is_one_line_without_the_password(url: str, says: str) -> None:
    said = failure(url)
    assert says in said
    assert "secret" not in said


def test_a_server_that_says_nothing_is_given_up_within_seconds(silent: int, monkeypatch: pytest.MonkeyPatch) -> None:
    assert postgresql_module._PATIENCE <= 5
    monkeypatch.setattr(postgresql_module, "_PATIENCE", 2)  # else the test takes as long
    assert "timeout" in failure(f"postgresql://me:secret@127.0.0.1:{silent}/x")


def test_without_the_driver_the_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    assert "pip install 'cross-modal[postgresql]'" in failure("postgresql://me:secret@localhost/x")


def test_a_database_with_mlflows_tables_is_refused_before_anything_is_written(database: str) -> None:
    execute(database, "CREATE TABLE experiments (id int)", "CREATE TABLE registered_models (id int)")
    said = failure(database)
    assert "found MLflow's tables; take another database, or another schema" in said
    assert OPTUNA in said
    with psycopg.connect(database) as connection:
        tables = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
    assert sorted(tables) == [("experiments",), ("registered_models",)]
    assert "found MLflow's tables" in failure(f"{database}?options=-csearch_path%3Doptuna,public")


def test_the_way_out_works(database: str) -> None:
    execute(database, "CREATE TABLE experiments (id int)", "CREATE TABLE registered_models (id int)")
    assert "expected the schema optuna, found none of that name (CREATE SCHEMA optuna)" in failure(database + OPTUNA)
    execute(database, "CREATE SCHEMA optuna")
    optuna.create_study(study_name="birds", storage=open_postgresql(database + OPTUNA))
    with psycopg.connect(database) as connection:
        row = connection.execute("SELECT study_name FROM optuna.studies").fetchone()
    assert row == ("birds",)


def test_tables_of_another_version_of_optuna_are_refused(database: str) -> None:
    open_postgresql(database)
    execute(database, "UPDATE alembic_version SET version_num = 'v0.9.0.a'")
    assert "found another version's (`optuna storage upgrade" in failure(database)


@given(st.text(min_size=4), st.text(min_size=4))
def test_no_password_ever_stands_in_a_label(password: str, second: str) -> None:
    from urllib.parse import quote

    secrets = [quote(word, safe="") for word in (password, second)]
    said = label(parse_url(f"postgres://q:{secrets[0]}@h/d?sslpassword={secrets[1]}&sslmode=require"))
    assert said.startswith("postgresql://q:***@h/d?")
    assert "sslpassword=***" in said
    assert "sslmode=require" in said
    assert said == label(parse_url("postgresql://q:other@h/d?sslpassword=another&sslmode=require"))


@pytest.mark.parametrize(
    ("tracking", "same"),
    [
        ("postgresql://x:y@db.example.org/lab", True),
        ("postgresql+psycopg2://x:y@DB.example.org:5432/lab", True),
        ("postgresql://x@/lab?host=db.example.org", True),
        ("postgresql://x@db.example.org/lab?options=-csearch_path%3Dpublic", True),
        ("postgresql://x@db.example.org/lab?options=-c%20search_path=mlflow", False),
        ("postgresql://x@db.example.org:5433/lab", False),
        ("postgresql://x@db.example.org/mlflow", False),
        ("mysql://x@db.example.org/lab", False),
        ("http://db.example.org/lab", False),
        ("postgresql://x@db.example.org:port/lab", False),
    ],
)
def test_the_same_place_by_other_words(tracking: str, same: bool) -> None:
    assert same_place(parse_url("postgresql://me@db.example.org/lab"), tracking) is same
