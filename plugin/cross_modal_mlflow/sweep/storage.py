"""Where studies live: a journal file on one host, PostgreSQL for many machines; never MLflow's own database.

Optuna's journal survives concurrent first starts and takes a few milliseconds a write. PostgreSQL serves workers on any
machine.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from cross_modal.errors import CrossModalError
from cross_modal_mlflow.store import FOLDER, sqlite_file
from cross_modal_mlflow.sweep.storage_lock import one_at_a_time

if TYPE_CHECKING:
    from optuna.storages import BaseStorage, JournalStorage

__all__ = ["one_at_a_time", "open_storage", "refuse_mlflow_database", "storage_argument", "storage_label"]

JOURNAL = "sweeps.journal"
# Seconds until the journal's lock is taken from a worker that was killed while it wrote. All writes wait so long, lease
# renewals among them, so that it must be well below the grace of a lease.
_LOCK_GRACE = 8


def open_storage(storage: str | None) -> BaseStorage:
    """Opens a storage, made where it is absent.

    Args:
        storage: A file, or postgresql://…; None takes `mlruns/sweeps.journal`.

    Returns:
        Optuna's storage, which has answered.

    Raises:
        CrossModalError: If it cannot be opened; a password is never shown.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    if not _is_url(storage):
        return _open_journal(_path(storage))
    from cross_modal_mlflow.sweep.postgresql import open_postgresql

    return open_postgresql(str(storage))


def storage_argument(storage: str | None) -> str:
    """The storage as ``--storage`` takes it from any folder: an absolute path or the URL, password included.

    >>> storage_argument("/data/sweeps.journal")
    '/data/sweeps.journal'
    """
    return str(storage) if _is_url(storage) else str(_path(storage).absolute())


def storage_label(storage: str | None) -> str:
    """The storage for people: without a password.

    Raises:
        CrossModalError: If it is a URL, but not one of PostgreSQL.

    Example:
        >>> storage_label("postgresql://me:secret@host/optuna")
        'postgresql://me:***@host/optuna'
    """
    if not _is_url(storage):
        return storage_argument(storage)
    from cross_modal_mlflow.sweep.postgresql import label, parse_url

    return label(parse_url(str(storage)))


def refuse_mlflow_database(storage: str | None, tracking_uri: str) -> None:
    """Refuses a storage that is the database of a tracking URI.

    One that MLflow uses behind a server is found out by its tables, in `open_storage`.

    Raises:
        CrossModalError: Naming both, with the way out.
    """
    if not _is_url(storage):
        own = sqlite_file(tracking_uri)
        if own is not None and own.resolve() == _path(storage).resolve():
            raise CrossModalError(_same(storage_label(storage), tracking_uri, "take another file"))
        return
    from sqlalchemy.engine import make_url

    from cross_modal_mlflow.sweep.postgresql import WAY_OUT, parse_url, same_place

    if same_place(parse_url(str(storage)), tracking_uri):
        raise CrossModalError(
            _same(storage_label(storage), make_url(tracking_uri).render_as_string(hide_password=True), WAY_OUT)
        )


def _is_url(storage: str | None) -> bool:
    return storage is not None and "://" in storage


def _path(storage: str | None) -> Path:
    return FOLDER / JOURNAL if storage is None else Path(storage)


def _open_journal(path: Path) -> JournalStorage:
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend, JournalFileSymlinkLock

    path = path.absolute()  # whoever changes the working directory keeps the file
    if path.is_dir():
        raise CrossModalError(f"storage {path}: expected a journal file, found a folder")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _check_journal(path)
        return JournalStorage(JournalFileBackend(str(path), JournalFileSymlinkLock(str(path), _LOCK_GRACE)))
    except OSError as error:
        raise CrossModalError(f"storage {path}: expected to read and write it, found: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AssertionError) as error:
        if isinstance(error, CrossModalError):
            raise
        raise CrossModalError(f"storage {path}: expected Optuna's journal, found a damaged one ({error})") from error


def _check_journal(path: Path) -> None:
    """Refuses another kind of file before Optuna appends to it, and one that is not to be written to."""
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise CrossModalError(f"storage {path}: expected to write it, found it read-only")
    if not path.exists():
        return
    if not path.is_file():
        raise CrossModalError(f"storage {path}: expected a journal file, found something that is no file")
    with path.open("rb") as file:
        first = file.readline(65_536)
    if not first:
        return
    kind = "SQLite's" if first.startswith(b"SQLite format 3") else "another kind of"
    try:
        journal = "op_code" in json.loads(first)
    except (ValueError, TypeError):
        journal = False
    if not journal:
        raise CrossModalError(f"storage {path}: expected Optuna's journal, found {kind} file")


def _same(storage: str, tracking_uri: str, way_out: str) -> str:
    return (
        f"--storage {storage}: expected a place of its own, found the database of MLflow's tracking store "
        f"{tracking_uri}; {way_out}"
    )
