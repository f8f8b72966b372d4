"""Studies in PostgreSQL: the URL, the connection, and what may stand in the same schema.

MLflow and Optuna both keep the revision of their tables in a table ``alembic_version``: in one schema each takes the
other's for its own, and both break. A database that MLflow uses is refused before anything is written to it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from cross_modal.errors import CrossModalError
from cross_modal_mlflow.store import knock
from cross_modal_mlflow.sweep.storage_lock import wait_for_others

if TYPE_CHECKING:
    from optuna.storages import RDBStorage
    from sqlalchemy import Connection
    from sqlalchemy.engine import URL

WAY_OUT = "take another database, or another schema of it with ?options=-csearch_path%3Doptuna"
_SCHEMES = {"postgresql", "postgres", "postgresql+psycopg"}
_DRIVER = "postgresql+psycopg"  # psycopg 3
_PATIENCE = 5  # seconds
_SECRETS = {"password", "sslpassword"}  # that may stand in a URL's query
_SHAPE = "expected postgresql://USER@HOST/DATABASE"


def parse_url(storage: str) -> URL:
    """Reads a storage's URL.

    Raises:
        CrossModalError: If it is none of PostgreSQL; nothing of it is shown but its scheme.

    Example:
        >>> parse_url("postgres://me@host/optuna").drivername
        'postgresql+psycopg'
        >>> parse_url("mysql://me:secret@host/optuna")
        Traceback (most recent call last):
        cross_modal.errors.CrossModalError: --storage: expected a file or postgresql://…, found mysql://…
    """
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    scheme, _, rest = storage.partition("://")
    if scheme not in _SCHEMES:
        hint = "; for one machine a path does: --storage sweeps.journal" if scheme.startswith("sqlite") else ""
        raise CrossModalError(f"--storage: expected a file or postgresql://…, found {scheme}://…{hint}")
    try:
        url = make_url(f"{_DRIVER}://{rest}")
    except (ArgumentError, ValueError):
        raise CrossModalError(f"--storage: {_SHAPE}, found a URL that cannot be read") from None
    if not url.database:
        raise CrossModalError(f"--storage: {_SHAPE}, found a URL without a database")
    return url


def label(url: URL) -> str:
    """The URL for people: with stars for every password in it.

    >>> label(parse_url("postgresql://me:secret@host/optuna?sslpassword=too"))
    'postgresql://me:***@host/optuna?sslpassword=***'
    """
    hidden = dict.fromkeys(_SECRETS & set(url.query), "***")
    url = url.set(drivername="postgresql").update_query_dict(hidden)
    return url.render_as_string(hide_password=True).replace("%2A%2A%2A", "***")


def same_place(storage: URL, tracking_uri: str) -> bool:
    """Whether a tracking URI is the same host, port, database and schema.

    >>> same_place(parse_url("postgres://me@127.0.0.1/one"), "postgresql+psycopg2://mlflow:pw@localhost:5432/one")
    True
    """
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    if not tracking_uri.startswith(("postgresql:", "postgresql+", "postgres:", "postgres+")):
        return False
    try:
        return _place(make_url(tracking_uri)) == _place(storage)
    except (ArgumentError, ValueError):  # MLflow itself says what is wrong with it
        return False


def open_postgresql(storage: str) -> RDBStorage:
    """Opens the database; Optuna's tables are made where they are absent, by one process at a time.

    Returns:
        Optuna's storage, which has answered.

    Raises:
        CrossModalError: If the driver is missing, the server does not answer within seconds or refuses, or the schema
            does not exist or is MLflow's.
    """
    from optuna.storages import RDBStorage
    from sqlalchemy import NullPool, create_engine
    from sqlalchemy.exc import SQLAlchemyError

    url = parse_url(storage)
    patience = {"connect_timeout": _PATIENCE}
    try:
        engine = create_engine(url, poolclass=NullPool, connect_args=patience)
        knock(url.set(drivername="postgresql", password=None).render_as_string())
        with engine.connect() as connection:
            wait_for_others(connection)
            _check_schema(connection, url)
            return RDBStorage(
                url.render_as_string(hide_password=False),
                engine_kwargs={"connect_args": patience, "pool_pre_ping": True},
            )
    except ImportError as error:
        raise CrossModalError(
            f"storage {label(url)}: expected the driver psycopg, found none (pip install 'cross-modal[postgresql]')"
        ) from error
    except (OSError, SQLAlchemyError) as error:
        raise CrossModalError(f"storage {label(url)}: expected an answer, found: {_reason(error, url)}") from error
    except RuntimeError as error:  # Optuna's, about the version of its tables
        raise CrossModalError(
            f"storage {label(url)}: expected tables of this Optuna, found another version's "
            "(`optuna storage upgrade --storage URL`)"
        ) from error


def _check_schema(connection: Connection, url: URL) -> None:
    from sqlalchemy import text

    schema, experiments, models = connection.execute(
        text("SELECT current_schema(), to_regclass('experiments'), to_regclass('registered_models')")
    ).one()  # to_regclass looks along the search path, as Optuna's tables would be looked for
    if schema is None:
        raise CrossModalError(
            f"storage {label(url)}: expected the schema {_search_path(url)}, found none of that name "
            f"(CREATE SCHEMA {_search_path(url)})"
        )
    if experiments is not None and models is not None:
        raise CrossModalError(f"--storage {label(url)}: expected a place of its own, found MLflow's tables; {WAY_OUT}")


def _place(url: URL) -> tuple[str, int, str, str]:
    query = {name: str(value) for name, value in url.query.items()}
    host = url.host or query.get("host") or "localhost"
    host = "localhost" if host in {"127.0.0.1", "::1"} else host.lower()
    return host, int(url.port or query.get("port") or 5432), url.database or "", _search_path(url)


def _search_path(url: URL) -> str:
    """The schema that a URL's options name; PostgreSQL's own default is "public"."""
    found = re.search(r"search_path\s*=\s*([^\s-][^\s]*)", str(url.query.get("options", "")))
    return found[1].strip("\"'") if found else "public"


def _reason(error: Exception, url: URL) -> str:
    """What went wrong, in the server's words, without the password."""
    original = getattr(error, "orig", None) or error
    said = " ".join(str(getattr(original, "strerror", None) or original).split())
    said = said.rpartition("FATAL: ")[2].strip()
    if url.password:
        said = said.replace(str(url.password), "***")
    return said[:200] or type(error).__name__
