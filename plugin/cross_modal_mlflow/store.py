"""Where runs go: the tracking store, found, made and checked before any work begins.

``MLFLOW_TRACKING_URI`` wins; else a SQLite file in ``./mlruns``. Three facts of MLflow make this more than a setter:
artifacts of a new experiment go to ``./mlruns`` of whoever created it unless the experiment says where; several
processes that open a fresh SQLite file at once die in its migrations; and a server that cannot be reached is retried
for minutes, at the first call that happens to come.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from cross_modal.errors import CrossModalError

if TYPE_CHECKING:
    from mlflow import MlflowClient

FOLDER = Path("mlruns")
DATABASE = "mlflow.db"
EXPERIMENT = "cross-modal"
KIND = {"mlflow.experimentKind": "custom_model_development"}  # MLflow's pages open on training runs, not on prompts
_SQLITE = "sqlite:///"
_PORTS = {"postgresql": 5432, "mysql": 3306, "mssql": 1433}
_PATIENCE = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "5", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1"}  # seconds, and retries


@dataclass(frozen=True)
class Store:
    """A tracking store that has answered.

    Attributes:
        uri: The tracking URI.
        experiment_id: The experiment that runs go to.
        client: A client of the store.
    """

    uri: str
    experiment_id: str
    client: MlflowClient

    @property
    def show(self) -> list[str]:
        """The shell lines that show the store in a browser."""
        lines = [f"export MLFLOW_TRACKING_URI={self.uri}"]
        if not self.uri.startswith(("http:", "https:", "databricks")):
            lines.append(
                f"mlflow server --backend-store-uri {self.uri} --port 5000   # then open http://localhost:5000"
            )
        return lines


def tracking_uri() -> str:
    """The tracking URI: ``MLFLOW_TRACKING_URI`` where it is set, else the SQLite file in ``./mlruns``."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"{_SQLITE}{(FOLDER / DATABASE).absolute().as_posix()}"


def open_store() -> Store:
    """Opens the tracking store and its experiment, both made where absent.

    Returns:
        The store, which has answered.

    Raises:
        CrossModalError: If it cannot be reached or opened, naming its URI; within seconds.
    """
    uri = tracking_uri()
    quiet()
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    try:
        with one_at_a_time(uri), impatient():
            knock(uri)
            client = MlflowClient(tracking_uri=uri)
            return Store(uri, _experiment(client, uri), client)
    except CrossModalError:
        raise
    except ModuleNotFoundError as error:  # a database's driver
        raise CrossModalError(
            f"tracking store {uri}: expected its driver {error.name}, found it not installed"
        ) from error
    except (MlflowException, OSError) as error:
        raise CrossModalError(_unreachable(uri, error)) from error
    except Exception as error:  # SQLAlchemy's and the drivers' own
        if type(error).__module__.partition(".")[0] in {"sqlalchemy", "sqlite3", "alembic", "requests", "urllib3"}:
            raise CrossModalError(_unreachable(uri, error)) from error
        raise


def _experiment(client: MlflowClient, uri: str) -> str:
    """The id of the experiment: ``MLFLOW_EXPERIMENT_ID``, ``MLFLOW_EXPERIMENT_NAME``, or our own."""
    given = os.environ.get("MLFLOW_EXPERIMENT_ID")
    if given:
        return client.get_experiment(given).experiment_id
    name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or EXPERIMENT
    found = client.get_experiment_by_name(name)
    if found is not None:
        if found.lifecycle_stage != "active":
            raise CrossModalError(
                f"experiment {name!r}: expected an active one, found it deleted (MLFLOW_EXPERIMENT_NAME takes another)"
            )
        return found.experiment_id
    from mlflow.exceptions import MlflowException

    try:
        return client.create_experiment(name, artifact_location=_artifact_location(uri), tags=KIND)
    except MlflowException:  # another process made it meanwhile
        found = client.get_experiment_by_name(name)
        if found is None:
            raise
        return found.experiment_id


def _artifact_location(uri: str) -> str | None:
    """Beside a SQLite file; a server decides for itself."""
    path = sqlite_file(uri)
    return None if path is None else (path.parent / "artifacts").absolute().as_uri()


def sqlite_file(uri: str) -> Path | None:
    """The file of a SQLite URI; None for any other URI.

    >>> sqlite_file("sqlite:////tmp/mlflow.db"), sqlite_file("http://localhost:5000")
    (PosixPath('/tmp/mlflow.db'), None)
    """
    return Path(uri.removeprefix(_SQLITE)) if uri.startswith(_SQLITE) and len(uri) > len(_SQLITE) else None


@contextmanager
def one_at_a_time(uri: str) -> Iterator[None]:
    """Lets one process at a time open a SQLite store: concurrent first starts die in its migrations."""
    path = sqlite_file(uri)
    if path is None:
        yield
        return
    from filelock import FileLock, Timeout

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_name(f".{path.name}.lock"), timeout=120):
            yield
    except Timeout:
        raise CrossModalError(f"{uri}: expected to open it within 120 s, found it locked by another process") from None


def knock(uri: str) -> None:
    """Fails at once where a database's host does not answer: MLflow would try again for two minutes."""
    address = urlsplit(uri)
    port = address.port or _PORTS.get(address.scheme.partition("+")[0])
    if address.hostname and address.scheme.partition("+")[0] in _PORTS and port:
        socket.create_connection((address.hostname, port), timeout=5).close()


@contextmanager
def impatient() -> Iterator[None]:
    """Short timeouts and few retries, for a first question and for last words; what the user set stays."""
    ours = [name for name in _PATIENCE if name not in os.environ]
    os.environ.update({name: _PATIENCE[name] for name in ours})
    try:
        yield
    finally:
        for name in ours:
            os.environ.pop(name, None)


def quiet() -> None:
    """Keeps what MLflow says of its migrations and links off the terminal; a level that the user set stays."""
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
    level = os.environ["MLFLOW_LOGGING_LEVEL"].upper()
    logging.getLogger("mlflow").setLevel(level)  # MLflow may have been imported already
    logging.getLogger("alembic").setLevel(level)


def _unreachable(uri: str, error: Exception) -> str:
    reason = " ".join(str(error).split())
    cause = next((word for word in ("refused", "timed out", "resolve", "unreachable") if word in reason.lower()), None)
    said = {"refused": "connection refused", "resolve": "the host name does not resolve"}.get(
        cause or "", cause or reason[:200]
    )
    return f"tracking store {uri}: expected an answer, found: {said} (MLFLOW_TRACKING_URI says where runs go)"
