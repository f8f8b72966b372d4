"""How soon the Matches page answers with a gallery of 100,000 references: the whole script of the page, each time.

The page's script is run by Streamlit's own test runner, as the server runs it: the query is embedded, the gallery
searched, the pictures of the hits read from disk and packed for the browser. What the browser adds, and the way there,
is not in it. The search alone, side by side, says how much of the time is the page. Vectors are random, of unit length
and of the twin's size; thumbnails are sixteen distinct pictures, repeated.
"""

from __future__ import annotations

import io
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
import numpy as np
from toys.shapes_on_disk import write_shapes

ROWS, REPEATS, GOAL = 100_000, 5, 0.5


def thumbnails() -> list[bytes]:
    """Sixteen small pictures."""
    from PIL import Image

    found = []
    for seed in range(16):
        file = io.BytesIO()
        pixels = np.random.default_rng(seed).integers(0, 255, (64, 64, 3), np.uint8)
        Image.fromarray(pixels).save(file, "WEBP")
        found.append(file.getvalue())
    return found


def fill(folder: Path, run_id: str, uri: str) -> str:
    """A gallery of 100,000 references of the run's twin; returns where it lies."""
    import pyarrow as pa

    from cross_modal.gallery.binding import Binding
    from cross_modal.gallery.gallery import Gallery
    from cross_modal_dashboards import resources

    twin = resources.model(uri, run_id).twin
    place = folder / "large.gallery"
    pictures, draw = thumbnails(), np.random.default_rng(0)
    with Gallery.open(str(resources.catalogue(uri).run(run_id).gallery)) as own:
        schema = own.rows(columns=own.columns).schema
    with Gallery.create(place, Binding.of(twin, "large")) as gallery:
        for start in range(0, ROWS, 20_000):
            vectors = draw.normal(size=(20_000, twin.dim)).astype(np.float32)
            vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
            rows = [
                {
                    "id": f"item {start + row:06d}", "kind": "image", "label": f"class {(start + row) % 2000}",
                    "text": f"a thing of class {(start + row) % 2000}", "split": "test",
                    "vector": vectors[row].tolist(), "content": f"{start + row:064d}", "thumbnail": pictures[row % 16],
                }
                for row in range(20_000)
            ]  # fmt: skip
            gallery.upsert(pa.Table.from_pylist(rows, schema=schema))
    return str(place)


def main() -> None:
    """Measures the interactions."""
    from streamlit.testing.v1 import AppTest

    from cross_modal_dashboards import known_galleries, resources
    from cross_modal_dashboards.catalogue import Catalogue
    from cross_modal_mlflow.command_line import main as command

    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        uri = os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{folder / 'mlflow.db'}"
        os.chdir(folder)
        assert command(["train", "--config", str(write_shapes(folder / "data"))]) == 0
        (run,) = Catalogue(uri).runs()
        known_galleries.pass_on([fill(folder, run.run_id, uri)])
        page = AppTest.from_file(str(Path(resources.__file__).with_name("views") / "matches.py"), default_timeout=300)
        page.query_params["gallery"] = "large"
        page.run()
        gallery = resources.gallery(str(folder / "large.gallery"))
        vector = gallery.matrix().vectors[7]
        searches = [seconds(lambda: gallery.search(vector, 20)) for _ in range(REPEATS)]
        interactions = {
            "a typed text": lambda n: page.text_input(key="text").set_value(f"a red square {n}"),
            "an item of the gallery": lambda n: page.text_input(key="id").set_value(f"item {n:06d}"),
            "a text and not another": lambda n: page.text_input(key="not").set_value(f"a blue circle {n}"),
            "a weighted mix": lambda n: page.text_input(key="query").set_value(f"0.5 text:blue + {n + 1} text:red"),
            "a filter": lambda n: page.text_input(key="where").set_value(f"id!=item_{n}"),
            "a hundred results": lambda n: page.slider(key="top").set_value(100 if n % 2 else 95),
        }
        print(
            f"Matches with {ROWS:,} references of {len(vector)} numbers; the search alone: {np.median(searches):.3f} s"
        )
        for name, act in interactions.items():
            took = []
            for number in range(REPEATS):
                act(number)
                took.append(seconds(page.run))
                assert not page.exception, page.exception
                assert not page.error, page.error[0].value
            verdict = "reached" if max(took) < GOAL else "MISSED"
            print(f"{name:24s} median {np.median(took):.3f} s, worst {max(took):.3f} s (goal {GOAL} s: {verdict}), "
                  f"{np.median(took) / np.median(searches):.1f} × the search")  # fmt: skip


def seconds(work: Callable[[], object]) -> float:
    """How long a call takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
