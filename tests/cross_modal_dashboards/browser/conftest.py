"""The explorer as its users have it: a server process, and Debian's Chromium driven by Playwright.

Every page is watched: an error on its console, an exception in its scripts, or a request to any other host fails the
test that opened it.
"""

import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
# Under a deep link Streamlit looks for itself below the page's address first, and then at the root.
PROBE = re.compile(r"/[a-z]+/_stcore/(health|host-config)$")
SECONDS = 60_000  # of patience, in milliseconds: both cores may be at work

Open = Callable[..., Any]


def missing(what: str) -> None:
    """Skips; fails where everything is required."""
    if os.environ.get("CROSS_MODAL_REQUIRE") == "all":
        pytest.fail(f"{what}: expected it, as CROSS_MODAL_REQUIRE=all")
    pytest.skip(f"needs {what}")


@pytest.fixture(scope="session")
def browser() -> Iterator["Browser"]:
    """Chromium, without a window."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        missing("Playwright")
    found = next((path for name in CHROMIUM if (path := shutil.which(name))), None)
    if found is None:
        missing("Chromium")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=found, args=["--no-sandbox", "--disable-gpu"])
        yield chromium
        chromium.close()


def serve(uri: str, folder: Path) -> Iterator[str]:
    """An explorer of a tracking store, in a process of its own, until the generator goes on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = folder / f"explorer-{port}.log"
    with open(log, "wb") as file:
        server = subprocess.Popen(
            [sys.executable, "-m", "cross_modal_dashboards", "--port", str(port)],
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


@pytest.fixture(scope="session")
def explorer(real_run: Any) -> Iterator[str]:
    """The address of an explorer of the small real run."""
    yield from serve(real_run.uri, real_run.folder)


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


@pytest.fixture(params=[(1280, "light")], ids=["1280-light"])
def watched(request: Any, browser: "Browser", explorer: str) -> Iterator[Watched]:
    """A fresh page, 1280 pixels wide and light unless a test says otherwise; it must end without a fault."""
    width, scheme = request.param
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    found = Watched(context.new_page(), explorer)
    yield found
    context.close()
    assert found.wrong == []
