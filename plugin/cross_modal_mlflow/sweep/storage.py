"""Where studies live: a journal file on one host, PostgreSQL for many machines; never MLflow's own database.

Optuna's journal survives concurrent first starts and takes a few milliseconds a write. PostgreSQL serves workers on any
machine. MLflow and Optuna both keep a table ``alembic_version``: in one schema each takes the other's for its own, and
both break; that is refused here, before anything is written.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from cross_modal.errors import CrossModalError
from cross_modal_mlflow.store import FOLDER, knock, sqlite_file

if TYPE_CHECKING:
    from optuna.storages import BaseStorage
    from sqlalchemy.engine import URL

JOURNAL = "sweeps.journal"
_DRIVER = "postgresql+psycopg"
_TABLES = {"experiments", "registered_models"}  # MLflow's, where they are together
_PATIENCE = 5  # seconds


def open_storage(storage: str | None) -> BaseStorage:
    """Opens a storage, made where it is absent.

    Args:
        storage: A file, or postgresql://…; None takes `mlruns/sweeps.journal`.

    Returns:
        Optuna's storage, which has answered.

    Raises:
        CrossModalError: If it cannot be opened; a password is never shown.
    """
    if storage is not None and "://" in storage:
        return _open_postgresql(storage)
    return _open_journal(FOLDER / JOURNAL if storage is None else Path(storage))


def storage_argument(storage: str | None) -> str:
    """The storage as ``--storage`` takes it from any folder: an absolute path or the URL, password included."""
    if storage is not None and "://" in storage:
        return storage
    return str((FOLDER / JOURNAL if storage is None else Path(storage)).absolute())


def storage_label(storage: str | None) -> str:
    """The storage for people: without a password.

    >>> storage_label("postgresql://me:secret@host/optuna")
    'postgresql://me:***@host/optuna'
    """
    if storage is None or "://" not in storage:
        return storage_argument(storage)
    return _url(storage).set(drivername="postgresql").render_as_string(hide_password=True)


def refuse_mlflow_database(storage: str | None, tracking_uri: str) -> None:
    """Refuses a storage that is MLflow's own database.

    Raises:
        CrossModalError: With the way out.
    """
    if storage is None:
        return
    if "://" not in storage:
        own = sqlite_file(tracking_uri)
        if own is not None and own.absolute() == Path(storage).absolute():
            raise CrossModalError(_same(storage, "another file"))
        return
    if tracking_uri.startswith(("postgres:", "postgresql:", "postgresql+", "postgres+")) and _place(
        _url(storage)
    ) == _place(_url(tracking_uri)):
        raise CrossModalError(_same(storage_label(storage), "another database, or ?options=-csearch_path%3Doptuna"))
    from sqlalchemy import create_engine, inspect
    from sqlalchemy.exc import SQLAlchemyError

    try:
        engine = create_engine(_url(storage), connect_args={"connect_timeout": _PATIENCE})
        found = set(inspect(engine).get_table_names())
        engine.dispose()
    except (SQLAlchemyError, ImportError):
        return  # `open_storage` says why it does not answer
    if found >= _TABLES:
        raise CrossModalError(_same(storage_label(storage), "another database, or ?options=-csearch_path%3Doptuna"))


@contextmanager
def one_at_a_time(storage: BaseStorage) -> Iterator[None]:
    """Lets one worker at a time take a trial: a file lock beside a journal, an advisory lock in PostgreSQL."""
    from optuna.storages import RDBStorage

    inner = getattr(storage, "_backend", storage)  # Optuna wraps an RDBStorage in a cache
    if isinstance(inner, RDBStorage):
        from sqlalchemy import text

        with inner.engine.connect() as connection:
            connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('cross-modal sweep'))"))
            yield  # the lock ends with the transaction, also when this process dies
        return
    from filelock import FileLock, Timeout

    path = Path(str(getattr(storage, "cross_modal_path")))  # noqa: B009
    try:
        with FileLock(path.with_name(f".{path.name}.taking.lock"), timeout=120):
            yield
    except Timeout:
        raise CrossModalError(
            f"storage {path}: expected to take a trial within 120 s, found another worker's lock"
        ) from None


def _open_journal(path: Path) -> BaseStorage:
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    if path.is_dir():
        raise CrossModalError(f"storage {path}: expected a journal file, found a folder")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():
            with path.open("rb") as file:
                begins = file.read(1)
            if begins not in {b"", b"{"}:
                raise CrossModalError(f"storage {path}: expected Optuna's journal, found another kind of file")
        storage = JournalStorage(JournalFileBackend(str(path)))
    except OSError as error:
        raise CrossModalError(f"storage {path}: expected to read and write it, found: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise CrossModalError(
            f"storage {path}: expected Optuna's journal, found a file that is none ({error})"
        ) from error
    storage.cross_modal_path = path.absolute()  # type: ignore[attr-defined]  # for the lock beside it
    return storage


def _open_postgresql(storage: str) -> BaseStorage:
    import optuna
    from optuna.storages import RDBStorage
    from sqlalchemy.exc import SQLAlchemyError

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    url, label = _url(storage), storage_label(storage)
    try:
        knock(url.set(drivername="postgresql").render_as_string(hide_password=True))
        return RDBStorage(
            url.render_as_string(hide_password=False),
            engine_kwargs={"connect_args": {"connect_timeout": _PATIENCE}, "pool_pre_ping": True},
        )
    except ModuleNotFoundError as error:
        raise CrossModalError(
            f"storage {label}: expected the driver psycopg, found it not installed "
            "(pip install 'cross-modal[postgresql]')"
        ) from error
    except (OSError, SQLAlchemyError) as error:
        raise CrossModalError(f"storage {label}: expected an answer, found: {_reason(error, url)}") from error


def _url(storage: str) -> URL:
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    scheme = storage.partition("://")[0]
    if scheme not in {"postgresql", "postgres", _DRIVER}:
        hint = "; for one machine a path is quicker and safer" if scheme.startswith("sqlite") else ""
        raise CrossModalError(f"storage: expected a file or postgresql://…, found {scheme}://…{hint}")
    try:
        url = make_url(_DRIVER + storage[len(scheme) :])
    except (ArgumentError, ValueError):
        raise CrossModalError("storage: expected postgresql://USER@HOST/DATABASE, found a URL that is none") from None
    if not url.database:
        raise CrossModalError("storage: expected postgresql://USER@HOST/DATABASE, found a URL without a database")
    return url


def _place(url: URL) -> tuple[str, int, str, str]:
    """Where a database is: host, port, name and schema."""
    host = {"127.0.0.1": "localhost", "::1": "localhost"}.get(url.host or "localhost", url.host or "localhost")
    return host, url.port or 5432, url.database or "", str(url.query.get("options", ""))


def _same(storage: str, way_out: str) -> str:
    return (
        f"--storage {storage}: expected a place of its own, found MLflow's database; both would claim the table "
        f"alembic_version, so take {way_out}"
    )


def _reason(error: Exception, url: URL) -> str:
    said = " ".join(str(getattr(error, "orig", None) or error).split())
    said = said.replace(str(url.password), "***") if url.password else said
    return said.rpartition("FATAL: ")[2][:200].strip() or type(error).__name__
