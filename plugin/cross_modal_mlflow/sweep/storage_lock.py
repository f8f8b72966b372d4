"""One worker at a time: the lock under which trials are taken and successors given.

Optuna makes each of its writes whole, but "count the trials, then ask for one more" is two of them, and two workers
that do it at once take one trial too many. The lock lives where the storage lives: beside a journal file as a lock of
the operating system, in PostgreSQL as an advisory lock of a transaction. Both end with the process that holds them, so
that a killed worker blocks nobody.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cross_modal.errors import CrossModalError

if TYPE_CHECKING:
    from optuna.storages import BaseStorage
    from sqlalchemy import Connection

PATIENCE = 120  # seconds; what is done under the lock takes a second at most, with a Gaussian process
_KEY = 6_174_552_381  # any number that other programs of the database are unlikely to lock
_IN_MEMORY = threading.Lock()


@contextmanager
def one_at_a_time(storage: BaseStorage) -> Iterator[None]:
    """Waits until no other worker of the storage is inside, and keeps the others out. Not to be nested.

    Args:
        storage: A journal file, PostgreSQL, or Optuna's storage in memory, whose workers are threads.

    Raises:
        CrossModalError: If another worker stays inside for minutes.

    Example:
        >>> import optuna
        >>> with one_at_a_time(optuna.storages.InMemoryStorage()):
        ...     pass  # count, then ask
    """
    from optuna.storages import InMemoryStorage, JournalStorage

    inner: Any = getattr(storage, "_backend", storage)  # a study wraps PostgreSQL's storage in a cache
    engine = getattr(inner, "engine", None)
    if engine is not None:
        with engine.connect() as connection:
            wait_for_others(connection)
            yield  # the lock ends with the transaction
    elif isinstance(storage, JournalStorage):
        with _file_lock(Path(inner._file_path)):
            yield
    elif isinstance(inner, InMemoryStorage):
        with _IN_MEMORY:
            yield
    else:
        raise CrossModalError(f"storage: expected a journal file or PostgreSQL, found {type(inner).__name__}")


def wait_for_others(connection: Connection) -> None:
    """Takes PostgreSQL's advisory lock for the rest of a connection's transaction.

    Raises:
        CrossModalError: If another worker holds it for minutes.
    """
    from sqlalchemy import text
    from sqlalchemy.exc import OperationalError

    try:
        connection.execute(text(f"SET LOCAL lock_timeout = '{PATIENCE}s'"))
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _KEY})
    except OperationalError as error:
        if "lock timeout" not in str(error):
            raise
        raise CrossModalError(_held(connection.engine.url.render_as_string(hide_password=True))) from None


@contextmanager
def _file_lock(path: Path) -> Iterator[None]:
    from filelock import FileLock, Timeout

    lock = FileLock(path.with_name(f".{path.name}.taking.lock"), timeout=PATIENCE)
    try:
        lock.acquire()
    except Timeout:
        raise CrossModalError(_held(str(path))) from None
    try:
        yield
    finally:
        lock.release()


def _held(storage: str) -> str:
    return f"storage {storage}: expected to take a trial within {PATIENCE} s, found another worker's lock"
