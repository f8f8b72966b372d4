"""A gallery of the shapes by the smallest twin, in a second."""

from pathlib import Path

from toys.shapes import shapes
from toys.tiny_twin import tiny_twin

from cross_modal.configuration import DataConfig
from cross_modal.data.items import Items
from cross_modal.encoders.saved_twin import save_twin
from cross_modal.gallery.binding import Binding
from cross_modal.gallery.gallery import Gallery
from cross_modal.gallery.indexing import IndexConfig, index_items
from cross_modal.gallery.item_ids import Of

PLAIN = DataConfig(feature_store=False, workers=0)


def write_twin(folder: Path, *, image: str = "conv4", text: str = "transformer") -> Path:
    """Saves the tiny twin; returns its folder."""
    save_twin(tiny_twin(image, text), folder)
    return folder


def write_gallery(folder: Path, *, per_class: int = 4, split: str = "test", of: Of = "auto") -> Path:
    """Saves the tiny twin as `model` and indexes the shapes of a split with it.

    Returns:
        The gallery, a folder; beside it lies the model.
    """
    model = write_twin(folder / "model")
    twin, binding = Binding.of_folder(model, str(model))
    with Gallery.create(folder / "shapes.gallery", binding) as gallery:
        index_items(gallery, twin, shapes(per_class).split(split), IndexConfig(of=of), PLAIN)
    return folder / "shapes.gallery"


def memory_gallery(items: Items, of: Of = "auto") -> Gallery:
    """The items in memory, by the tiny twin."""
    twin = tiny_twin()
    gallery = Gallery.create("memory", Binding.of(twin))
    index_items(gallery, twin, items, IndexConfig(of=of), PLAIN)
    return gallery
