"""Does the tracking store answer, is its database at the version that this MLflow needs, can artifacts be written?

Nothing is made or migrated here. Opening a store by MLflow's client would make its tables, so a database is first
looked at from outside.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

from cross_modal_mlflow.doctor import Check, writable
from cross_modal_mlflow.store import EXPERIMENT, impatient, knock, quiet, sqlite_file, tracking_uri

_DATABASES = ("sqlite", "postgresql", "mysql", "mssql")
_NAME = "tracking store"


def store_checks() -> Iterator[Check]:
    """The store that commands log to, and where its artifacts go."""
    quiet()
    uri = tracking_uri()
    check, answers = store_check(uri)
    yield check
    if answers:
        yield from experiment_checks(uri)


def store_check(uri: str) -> tuple[Check, bool]:
    """Whether a store can be used.

    Args:
        uri: Its tracking URI.

    Returns:
        The check, and whether there is a store yet to ask for experiments.
    """
    shown = without_password(uri)
    scheme = urlsplit(uri).scheme.partition("+")[0]
    if scheme in {"", "file"}:
        advice = "unset MLFLOW_TRACKING_URI   # or set it to sqlite:///FOLDER/mlflow.db"
        return Check(_NAME, "broken", f"{shown} is a file store, which MLflow no longer has", advice), False
    path = sqlite_file(uri)
    if path is not None and not path.exists():
        return Check(_NAME, "ok", f"{shown}: not there yet, the first command makes it"), False
    try:
        with impatient():
            knock(uri)
            if scheme in _DATABASES:
                return _database(uri, shown)
            from mlflow import MlflowClient

            MlflowClient(tracking_uri=uri).search_experiments(max_results=1)
    except ModuleNotFoundError as error:
        return Check(_NAME, "broken", f"{shown}: its driver {error.name} is not installed", _install(error.name)), False
    except Exception as error:  # SQLAlchemy's, the drivers', MLflow's, the network's
        said = without_password(" ".join(str(error).split()))[:200]
        advice = "check MLFLOW_TRACKING_URI, and that the server runs: runs go there"
        return Check(_NAME, "broken", f"{shown} does not answer: {said}", advice), False
    return Check(_NAME, "ok", f"{shown} answers"), True


def _database(uri: str, shown: str) -> tuple[Check, bool]:
    """Looks into a database: whose tables, at which version?"""
    import sqlalchemy

    engine = sqlalchemy.create_engine(uri)
    try:
        with engine.connect() as connection:
            tables = set(sqlalchemy.inspect(connection).get_table_names())
            at = ""
            if "alembic_version" in tables:
                at = str(connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar() or "")
    finally:
        engine.dispose()
    if not tables:
        return Check(_NAME, "ok", f"{shown}: empty, the first command makes its tables"), False
    if "studies" in tables:
        said = f"{shown} holds an Optuna study: MLflow and Optuna cannot share one database"
        return Check(_NAME, "broken", said, "give each its own file, database or schema"), False
    if "experiments" not in tables:
        said = f"{shown} is not MLflow's: it has {len(tables)} tables, none of them experiments"
        return Check(_NAME, "broken", said, "set MLFLOW_TRACKING_URI to another database"), False
    wanted, known = schema_versions()
    if at == wanted:
        return Check(_NAME, "ok", f"{shown} answers, migrated to {at}"), True
    if at in known:
        upgrade = f"mlflow db upgrade {shown}   # after a copy of the database"
        return Check(_NAME, "broken", f"{shown} is at version {at}, this MLflow needs {wanted}", upgrade), False
    said = f"{shown} is at version {at or 'none'}, which this MLflow does not know: a newer one made it"
    return Check(_NAME, "broken", said, "python -m pip install --upgrade mlflow"), False


def schema_versions() -> tuple[str, set[str]]:
    """The version that this MLflow's databases need, and all that it knows.

    Returns:
        The newest one, and every one.
    """
    import mlflow
    from alembic.script import ScriptDirectory

    scripts = ScriptDirectory(str(Path(mlflow.__file__).parent / "store" / "db_migrations"))
    return str(scripts.get_current_head()), {script.revision for script in scripts.walk_revisions()}


def experiment_checks(uri: str) -> Iterator[Check]:
    """The experiment that runs go to, and its artifacts: a store that was moved keeps the old place's absolute path.

    Args:
        uri: The tracking URI of a store that answers.
    """
    from mlflow import MlflowClient

    given, name = os.environ.get("MLFLOW_EXPERIMENT_ID"), os.environ.get("MLFLOW_EXPERIMENT_NAME") or EXPERIMENT
    with impatient():
        client = MlflowClient(tracking_uri=uri)
        found = client.get_experiment(given) if given else client.get_experiment_by_name(name)
    if found is None:
        yield Check("experiment", "ok", f"{name!r}: not there yet, the first command makes it")
        return
    if found.lifecycle_stage != "active":
        advice = f"mlflow experiments restore -x {found.experiment_id}   # or export MLFLOW_EXPERIMENT_NAME=ANOTHER"
        yield Check("experiment", "broken", f"{found.name!r} is deleted", advice)
        return
    yield Check("experiment", "ok", f"{found.name!r}, id {found.experiment_id}")
    location = str(found.artifact_location)
    parts = urlsplit(location)
    if parts.scheme not in {"", "file"}:
        yield Check("artifacts", "ok", f"{location}: not written to by this check")
        return
    advice = "export MLFLOW_EXPERIMENT_NAME=ANOTHER   # a new experiment's artifacts go beside the database"
    folder = Path(unquote(parts.path) if parts.scheme else location)
    yield writable("artifacts", folder, advice)


def without_password(text: str) -> str:
    """A text whose URIs show no password: findings are pasted into bug reports.

    >>> without_password("postgresql://ann:secret@host/runs")
    'postgresql://ann:***@host/runs'
    """
    return re.sub(r"(://[^/:@\s]*):[^/@\s]*@", r"\1:***@", text)


def _install(module: str | None) -> str:
    """The line that installs a database's driver."""
    package = {"psycopg2": "psycopg2-binary", "MySQLdb": "mysqlclient"}.get(module or "", module or "DRIVER")
    return f"python -m pip install {package}"
