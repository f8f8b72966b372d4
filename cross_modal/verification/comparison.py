"""What is compared with what in a pair: pictures, texts, or items that have both.

Scores of a picture with a name lie elsewhere than scores of two pictures (the "modality gap"), so that a threshold
learned on one says little about the other.
"""

from __future__ import annotations

import numpy as np

from cross_modal.data.items import Items
from cross_modal.encoders.twin import TwinEncoder

PICTURE, TEXT, BOTH, NOTHING = "picture", "text", "both", "nothing"
MIXED = "mixed"  # pairs of several kinds


def shown(items: Items, twin: TwinEncoder) -> np.ndarray:
    """What a twin sees of each item.

    Args:
        items: The items.
        twin: Says which trunks there are.

    Returns:
        (N,) object: "picture", "text", "both", or "nothing" where the twin has no trunk for what the item has.
    """
    image = items.has_image & (twin.image is not None)
    text = items.has_text & (twin.text is not None)
    return np.select([image & text, image, text], [BOTH, PICTURE, TEXT], NOTHING).astype(object)


def comparison(a: str, b: str) -> str:
    """The name of a comparison, whichever side comes first.

    >>> comparison("text", "picture")
    'picture_text'
    """
    return "_".join(sorted((a, b)))


def comparisons(sides: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The comparison of each pair.

    Args:
        sides: (N,) what is seen of each item, as `shown` gives it.
        a: (M,) int64, index of each pair's first item.
        b: (M,) int64, index of its second.

    Returns:
        (M,) object.
    """
    names = np.empty(len(a), object)
    names[:] = [comparison(left, right) for left, right in zip(sides[a].tolist(), sides[b].tolist(), strict=True)]
    return names


def in_words(name: str) -> str:
    """A comparison as people say it.

    >>> in_words("picture_text"), in_words("mixed")
    ('picture against text', 'pairs of several kinds')
    """
    if name == MIXED:
        return "pairs of several kinds"
    return " against ".join(name.split("_"))
