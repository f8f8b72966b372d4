"""How soon the explorer's first page is seen once its server is up: paint, title, pictures. Needs Chromium.

The clock starts when the browser asks for the page, after `/api/ready` has answered. "First paint" is the browser's own
first-contentful-paint: Streamlit's frame, before the page's script has answered. The first visitor's twin and gallery
are read from disk; the second's are in memory.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from toys.explorer_browser import serve
from toys.shapes_on_disk import write_shapes

GOAL = 2.0


def main() -> None:
    """Measures both visitors."""
    from playwright.sync_api import sync_playwright

    from cross_modal_mlflow.command_line import main as command

    found = next(path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name)))
    with tempfile.TemporaryDirectory() as place, sync_playwright() as playwright:
        folder = Path(place)
        uri = os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{folder / 'mlflow.db'}"
        assert command(["train", "--config", str(write_shapes(folder / "data"))]) == 0
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox", "--disable-gpu"])
        for address in serve(uri, folder):
            for visitor in ("first", "second"):
                page = browser.new_context().new_page()
                began = time.perf_counter()
                page.goto(f"{address}/matches?text=a+red+square")
                page.wait_for_selector("h1")
                title = time.perf_counter() - began
                page.wait_for_selector(".grid button img")
                pictures = time.perf_counter() - began
                paint = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime") / 1000
                verdict = "reached" if paint < GOAL else "MISSED"
                print(f"{visitor} visitor: first paint after {paint:.2f} s (goal {GOAL:g} s: {verdict}), title after "
                      f"{title:.2f} s, pictures after {pictures:.2f} s")  # fmt: skip
        browser.close()


if __name__ == "__main__":
    main()
