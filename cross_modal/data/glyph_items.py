"""The glyphs as items: pictures as arrays, labels as code points, names as texts, with their sets and splits."""

from __future__ import annotations

import numpy as np

from cross_modal.data import glyphs
from cross_modal.data.items import Items


def read_glyphs() -> Items:
    """The built-in sample as items.

    Returns:
        Some 31,000 items; images are (32, 32) uint8 arrays, splits are by hash of the set of look-alikes.
    """
    sample = glyphs.render()
    return Items.of(
        images=sample.pictures,  # views of one array: nothing is copied
        texts=sample.texts,
        labels=sample.labels,
        splits=sample.splits,
        sets=sample.episode_sets,
        rows=np.arange(1, len(sample.pictures) + 1).tolist(),
        source="glyphs",
    )
