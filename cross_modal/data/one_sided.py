"""Items with one modality each: where pairs are made of classes, a picture must not bring its name along.

Two items of "picture and name" would be told apart by their names alone.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from cross_modal.data.batches import first_of_each
from cross_modal.data.items import Items, column


def one_sided(items: Items, image: bool = True, text: bool = True) -> Items:
    """Pictures without their texts, then texts without their pictures.

    Args:
        items: Items; without labels every distinct picture is a class, as everywhere.
        image: Take pictures.
        text: Take texts.

    Returns:
        Labelled items: each distinct picture of each class once, then each distinct text of each class once.

    >>> found = one_sided(Items.of(images=[b"1", b"2"], texts=["cat", "cat"], labels=["cat", "cat"]))
    >>> found.has_image.tolist(), found.texts.tolist()
    ([True, True, False], [None, None, 'cat'])
    """
    ids = items.class_ids
    pictures = np.flatnonzero(items.has_image) if image else np.zeros(0, np.int64)
    words = np.flatnonzero(items.has_text) if text else np.zeros(0, np.int64)
    pictures = first_of_each(ids, items.image_ids, pictures)
    words = first_of_each(ids, items.texts, words)
    found = items.take(np.concatenate([pictures, words]))
    labels = items.keys[np.concatenate([pictures, words])]  # before the picture, which may be the class, is taken away
    images, texts = found.images.copy(), found.texts.copy()
    images[len(pictures) :] = None
    texts[: len(pictures)] = None
    return replace(found, images=images, texts=texts, labels=column(labels.tolist()))
