"""A twin has the trunks that its data feeds: another one would stay untrained, and look like one that was."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from cross_modal.configuration import TwinConfig
from cross_modal.data.items import Items


def fed_trunks(config: TwinConfig, items: Items, message: Callable[[str], None]) -> TwinConfig:
    """The twin's settings without the trunk that the data never feeds.

    Args:
        config: The twin's settings.
        items: The training items.
        message: Told of a trunk that is left out.
    """
    if not items.has_images and config.image.name != "none":
        message(f"{items.source} has no pictures: the twin gets no image trunk")
        config = replace(config, image=replace(config.image, name="none"))
    if not items.has_texts and config.text.name != "none":
        message(f"{items.source} has no texts: the twin gets no text trunk")
        config = replace(config, text=replace(config.text, name="none"))
    return config
