"""The server as a browser and a probe meet it."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from cross_modal_dashboards.server import HEADERS, settings


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """`cross-modal explore` on an empty store."""
    folder, port = tmp_path_factory.mktemp("explorer"), free_port()
    words = [sys.executable, "-m", "cross_modal_mlflow", "explore", "--port", str(port)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(words, cwd=folder, stdout=log, stderr=log, env=environment)
    found = f"http://127.0.0.1:{port}"
    for _ in range(600):
        try:
            urllib.request.urlopen(f"{found}/api/ready", timeout=5).read()
            break
        except OSError:
            time.sleep(0.1)
    yield found
    process.send_signal(signal.SIGTERM)
    process.wait(timeout=30)
    assert not (folder / "mlruns").exists(), "looking made a store"


def answer(url: str, host: str | None = None) -> tuple[int, dict[str, str], bytes]:
    request = urllib.request.Request(url, headers={} if host is None else {"Host": host})
    try:
        with urllib.request.urlopen(request, timeout=20) as found:
            return found.status, {name.lower(): value for name, value in found.headers.items()}, found.read()
    except urllib.error.HTTPError as error:
        return error.code, {}, b""


def test_a_probe_is_answered_by_its_body(address: str) -> None:
    assert answer(f"{address}/api/ready")[2] == b'{"status":"ok"}'


@pytest.mark.parametrize("path", ["/", "/api/ready", "/_stcore/health"])
def test_every_answer_carries_the_security_headers(address: str, path: str) -> None:
    headers = answer(address + path)[1]
    assert {name: headers.get(name.lower()) for name in HEADERS} == HEADERS


def test_another_host_name_is_refused(address: str) -> None:
    assert answer(address, "explorer.example.org")[0] == 400
    assert answer(address, "localhost")[0] == 200


def test_it_listens_on_this_machine_only(address: str) -> None:
    port = int(address.rpartition(":")[2])
    with pytest.raises(OSError), socket.create_connection(("127.0.0.2", port), timeout=2):  # on Linux, this machine too
        pass


def test_no_statistics_are_sent_and_uploads_are_small() -> None:
    found = settings("127.0.0.1", 8501, ["localhost"])
    assert found["browser.gatherUsageStats"] is False
    assert found["server.maxUploadSize"] == 10
    assert found["client.showErrorDetails"] == "none"
    assert found["client.showErrorLinks"] is False


def test_the_package_needs_no_file_of_the_repository() -> None:
    import cross_modal_dashboards

    assert (Path(cross_modal_dashboards.__file__).parent / "app.py").is_file()
