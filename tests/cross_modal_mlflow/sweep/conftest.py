"""A PostgreSQL server of the tests' own, where its programs are; storages of both kinds."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest

PASSWORD = "pass:word"
ATTEMPTS = 3  # between looking for a free port and taking it another process may come


def _missing(reason: str) -> NoReturn:
    if os.environ.get("CROSS_MODAL_REQUIRE") == "all":
        pytest.fail(f"{reason}, as CROSS_MODAL_REQUIRE=all")
    pytest.skip(reason)


def _program(name: str) -> str:
    versions = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: float(path.parts[-3]))
    found = shutil.which(name) or (str(versions[-1]) if versions else None)
    return found or _missing(f"PostgreSQL's {name}: expected it on PATH or in /usr/lib/postgresql, found none")


def _somebody() -> dict[str, Any]:
    """Whom the server runs as: it refuses root."""
    if os.getuid() != 0:
        return {}
    names = {user.pw_name for user in pwd.getpwall()}
    user = pwd.getpwnam("postgres" if "postgres" in names else "nobody")
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """``postgresql://sweeper:…@127.0.0.1:PORT``, without a database: each test makes its own."""
    initdb, control = _program("initdb"), _program("pg_ctl")
    somebody = _somebody()
    folder = Path(tempfile.mkdtemp(prefix="pg-"))  # pytest's own folders are closed to other users
    try:
        if somebody:
            os.chown(folder, somebody["user"], somebody["group"])
        data, secret, log = folder / "data", folder / "secret", folder / "log"
        secret.write_text(PASSWORD)
        words = [initdb, "-D", str(data), "-A", "scram-sha-256", "-U", "sweeper", f"--pwfile={secret}", "--no-sync"]
        subprocess.run(words, check=True, cwd=folder, stdout=subprocess.DEVNULL, **somebody)
        base = [control, "-D", str(data), "-w"]
        for attempt in range(ATTEMPTS):
            port = _free_port()
            options = f"-p {port} -k {folder} -c fsync=off -c listen_addresses=127.0.0.1"
            started = subprocess.run(
                [*base, "-o", options, "-l", str(log), "start"], cwd=folder, stdout=subprocess.DEVNULL, **somebody
            )
            if started.returncode == 0:
                break
            assert attempt + 1 < ATTEMPTS, log.read_text()
        try:
            yield f"postgresql://sweeper:{PASSWORD.replace(':', '%3A')}@127.0.0.1:{port}"
        finally:
            words = [*base, "-m", "immediate", "stop"]
            subprocess.run(words, cwd=folder, stdout=subprocess.DEVNULL, **somebody)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def database(postgresql: str) -> str:
    """The URL of an empty database."""
    name = _unique_name()
    _execute(postgresql, f"CREATE DATABASE {name}")
    return f"{postgresql}/{name}"


@pytest.fixture(params=["journal", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A storage of either kind, not there yet, as ``--storage`` takes it."""
    if request.param == "journal":
        return str(tmp_path / "sweeps.journal")
    server, name = request.getfixturevalue("postgresql"), _unique_name()
    _execute(server, f"CREATE SCHEMA {name}")  # many times quicker to make and to delete than a database
    return f"{server}/postgres?options=-csearch_path%3D{name}"


def _unique_name() -> str:
    return f"optuna_{uuid.uuid4().hex[:8]}"


def _execute(server: str, command: str) -> None:
    import psycopg

    with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
        connection.execute(command)
