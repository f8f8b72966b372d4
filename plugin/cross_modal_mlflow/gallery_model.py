"""A gallery with the model that made it: what every command on galleries begins with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cross_modal.errors import CrossModalError
from cross_modal_mlflow.models import model_folder
from cross_modal_mlflow.store import Store

if TYPE_CHECKING:
    from cross_modal.encoders.twin import TwinEncoder
    from cross_modal.gallery.gallery import Gallery


@dataclass(frozen=True)
class BoundGallery:
    """A gallery and its model.

    Attributes:
        gallery: The gallery.
        twin: The twin that made it, in evaluation mode.
        folder: Where the twin lies.
    """

    gallery: Gallery
    twin: TwinEncoder
    folder: Path


def open_bound(location: str, model: str | None, store: Callable[[], Store]) -> BoundGallery:
    """Opens a gallery and loads its model.

    Args:
        location: The gallery.
        model: The model's reference; None takes the one that the gallery names.
        store: Gives the tracking store, if the model's reference needs one.

    Returns:
        Both, known to belong together.

    Raises:
        CrossModalError: No gallery there, no such model, or another model than the one that made it.
    """
    from cross_modal.gallery.binding import Binding
    from cross_modal.gallery.gallery import Gallery
    from cross_modal_mlflow.device import on_device

    gallery = Gallery.open(location)
    reference = model or gallery.binding.model
    if not reference:
        raise CrossModalError(f"gallery {location}: expected --model MODEL, as it does not say which model made it")
    try:
        folder = model_folder(reference, store)
    except CrossModalError as error:
        if model is not None:
            raise
        raise CrossModalError(
            f"gallery {location}: expected the model that made it; {error} (--model says where it is now)"
        ) from None
    twin, binding = Binding.of_folder(folder, reference)
    gallery.binding.check(binding, location)
    return BoundGallery(gallery, on_device(twin).eval(), folder)
