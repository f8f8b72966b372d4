"""From what people write to a backend: `memory:NAME`, a folder (LanceDB), `milvus:FILE.db` or `milvus:http://…`."""

from __future__ import annotations

from cross_modal.errors import CrossModalError
from cross_modal.gallery.backends.lance import LanceBackend
from cross_modal.gallery.backends.memory import MemoryBackend
from cross_modal.gallery.backends.milvus import MilvusBackend
from cross_modal.gallery.backends.port import Backend
from cross_modal.gallery.binding import Binding

_KINDS: dict[str, type[MemoryBackend | LanceBackend | MilvusBackend]] = {
    "memory": MemoryBackend,
    "milvus": MilvusBackend,
}


def create_backend(location: str, binding: Binding) -> Backend:
    """Makes an empty gallery's store, or opens the one that is there.

    Args:
        location: Where.
        binding: The model, for a new one.
    """
    return _backend(location).create(location, binding)


def open_backend(location: str, version: int | str | None = None) -> Backend:
    """Opens a gallery's store.

    Args:
        location: Where.
        version: A version's number or tag, to read only.

    Raises:
        CrossModalError: There is none.
    """
    return _backend(location).open(location, version)


def backend_exists(location: str) -> bool:
    """Whether there is a gallery at a location."""
    return _backend(location).exists(location)


def _backend(location: str) -> type[MemoryBackend | LanceBackend | MilvusBackend]:
    if not location:
        raise CrossModalError("gallery: expected a folder, memory:NAME or milvus:ADDRESS, found nothing")
    return _KINDS.get(location.partition(":")[0], LanceBackend)
