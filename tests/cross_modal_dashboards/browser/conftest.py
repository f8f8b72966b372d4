"""Debian's Chromium, driven by Playwright, on an explorer of the small real run."""

import os
import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from toys.explorer_browser import TEAM, Watched, serve

if TYPE_CHECKING:
    from playwright.sync_api import Browser

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")


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
        chromium = playwright.chromium.launch(
            executable_path=found, args=["--no-sandbox", "--disable-gpu", f"--host-resolver-rules=MAP {TEAM} 127.0.0.1"]
        )
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def explorer(real_run: Any) -> Iterator[str]:
    """The address of an explorer of the small real run."""
    yield from serve(real_run.uri, real_run.folder)


@pytest.fixture(params=[(1280, "light")], ids=["1280-light"])
def watched(request: Any, browser: "Browser", explorer: str) -> Iterator[Watched]:
    """A fresh page, 1280 pixels wide and light unless a test says otherwise; it must end without a fault."""
    width, scheme = request.param
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    found = Watched(context.new_page(), explorer)
    yield found
    context.close()
    assert found.wrong == []
