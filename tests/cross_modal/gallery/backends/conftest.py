from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from toys.gallery_places import BACKENDS, place_of
from toys.reference_rows import binding

from cross_modal.gallery.gallery import Gallery


@pytest.fixture(scope="session")
def milvus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Iterator[str]]:
    """Collections of one Milvus Lite, which is held open: to start it takes a second."""
    address = place_of("milvus", tmp_path_factory.mktemp("milvus"))
    with Gallery.create(address, binding()):
        yield (f"{address}_{place}" for place in count())


@pytest.fixture(params=BACKENDS)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where a gallery may be made, once for each backend."""
    if request.param == "milvus":
        return next(request.getfixturevalue("milvus"))
    return place_of(request.param, tmp_path)


@pytest.fixture
def make(place: str) -> Iterator[Callable[..., Gallery]]:
    """Makes or opens galleries at the place; they are closed at the end."""
    opened: list[Gallery] = []

    def build(metric: str = "cosine", how: str = "create", **options: Any) -> Gallery:
        made = Gallery.open(place, **options) if how == "open" else Gallery.create(place, binding(metric), **options)
        opened.append(made)
        return made

    yield build
    for gallery in opened:
        gallery.close()
