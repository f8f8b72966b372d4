"""Places for galleries, one for each backend."""

import os
from importlib.util import find_spec
from pathlib import Path

import pytest

BACKENDS = ["memory", "lance", "milvus"]


def place_of(backend: str, folder: Path) -> str:
    """A location that nothing is at yet; skips without the backend's packages, unless all are required."""
    if backend == "memory":
        return f"memory:{folder}"
    if backend == "lance":
        return str(folder / "refs.gallery")
    if find_spec("pymilvus") is None or find_spec("milvus_lite") is None:
        if os.environ.get("CROSS_MODAL_REQUIRE") == "all":
            pytest.fail("Milvus Lite: expected it, as CROSS_MODAL_REQUIRE=all")
        pytest.skip("pymilvus and milvus-lite are not installed")
    return f"milvus:{folder / 'refs.db'}#shoes"
