"""The explorer as its users have it: a server process, and a browser page that is watched.

An error on its console, an exception in its scripts, or a request to any other host is kept in words.
"""

import os
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import Page

# Under a deep link Streamlit looks for itself below the page's address first, and then at the root.
PROBE = re.compile(r"/[a-z]+/_stcore/(health|host-config)$")
TEAM = "explorer.example.org"  # a name that leads to this machine in the browser alone
SECONDS = 60_000  # of patience, in milliseconds: both cores may be at work


def serve(uri: str, folder: Path, *words: str) -> Iterator[str]:
    """An explorer of a tracking store, in a process of its own, until the generator goes on; it logs to `folder`."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = folder / f"explorer-{port}.log"
    with open(log, "wb") as file:
        server = subprocess.Popen(
            [sys.executable, "-m", "cross_modal_dashboards", "--port", str(port), *words],
            stdout=file,
            stderr=file,
            cwd=folder,
            env=os.environ | {"MLFLOW_TRACKING_URI": uri},
        )
    try:
        _wait(server, f"http://127.0.0.1:{port}/api/ready", log)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(30)


def _wait(server: "subprocess.Popen[bytes]", address: str, log: Path) -> None:
    until = time.monotonic() + 120
    while True:
        assert server.poll() is None, log.read_text()
        assert time.monotonic() < until, log.read_text()
        try:
            with urllib.request.urlopen(address, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)


class Watched:
    """A browser page and what went wrong on it.

    Attributes:
        page: Playwright's page.
        wrong: Console errors, script errors and requests to other hosts, in words.
    """

    def __init__(self, page: "Page", home: str) -> None:
        self.page, self.home, self.wrong = page, home, list[str]()
        page.set_default_timeout(SECONDS)
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.wrong.append(f"script: {error}"))
        page.on("request", lambda request: self._request(request.url))

    def _console(self, message: Any) -> None:
        if message.type == "error" and not PROBE.search(message.location.get("url", "")):
            self.wrong.append(f"console: {message.text} ({message.location.get('url', '')})")

    def _request(self, url: str) -> None:
        if not url.startswith((self.home, self.home.replace("http", "ws", 1), "data:", "blob:")):
            self.wrong.append(f"foreign request: {url}")

    def open(self, path: str) -> "Page":
        """Goes to a path of the explorer and waits for its title."""
        self.page.goto(f"{self.home}/{path}")
        self.page.wait_for_selector("h1")
        self.settle()
        return self.page

    def settle(self) -> None:
        """Waits until the script has run to its end."""
        self.page.wait_for_timeout(200)  # a rerun begins a moment after what causes it
        self.page.wait_for_selector("[data-testid=stApp][data-test-script-state=notRunning]", state="attached")
