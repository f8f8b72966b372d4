"""A request that a model answers, made of the data it was measured on: the example that is logged with it."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from cross_modal.data.items import Items
from cross_modal.data.pairs import Pairs
from cross_modal_mlflow.match_page import thumbnail

if TYPE_CHECKING:
    import pandas as pd

    from cross_modal.encoders.twin import TwinEncoder

LARGEST = 128  # side of an example's pictures: they are there to be seen, and sent with curl
CLASSES = 2


def example_request(twin: TwinEncoder, items: Items) -> tuple[pd.DataFrame, dict[str, Any]] | None:
    """A small request: one support item of each of two classes and a query; without labels two items to embed.

    Args:
        twin: Says which modalities a request may have.
        items: Where the items come from.

    Returns:
        The rows and the params; None where the items have nothing that the twin takes.
    """
    import pandas as pd

    column = "image" if twin.image is not None and items.has_images else "text"
    usable = np.flatnonzero(items.has_image if column == "image" else items.has_text)
    if not len(usable) or (column == "text" and twin.text is None):
        return None
    classes = [] if items.labels is None else list(dict.fromkeys(items.labels[usable]))[:CLASSES]
    if len(classes) < CLASSES:
        rows = usable[:2].tolist()
        columns, task = {}, "embed"
    else:
        assert items.labels is not None
        of_class = [usable[items.labels[usable] == name].tolist() for name in classes]
        rows = [each[0] for each in of_class] + [of_class[0][-1]]  # the query: the last of the first class
        columns = {"role": ["support"] * CLASSES + ["query"], "label": [*map(str, classes), None]}
        task = "classify"
    cells = [_picture(twin, items, row) if column == "image" else items.texts[row] for row in rows]
    return None if None in cells else (pd.DataFrame({column: cells, **columns}), {"task": task})


def example_pairs(twin: TwinEncoder, pairs: Pairs) -> tuple[pd.DataFrame, dict[str, Any]] | None:
    """A small request of a twin that learned from pairs: are these the same? Two pairs, one of either verdict.

    Args:
        twin: Says which modalities a request may have.
        pairs: Where they come from; graded ones give the most alike and the least.

    Returns:
        The rows and the params; None where there are no pairs, or a picture of them cannot be decoded.
    """
    import pandas as pd

    if not len(pairs):
        return None
    alike = pairs.score if pairs.same is None else pairs.same
    assert alike is not None
    chosen = list(dict.fromkeys([int(np.argmax(alike)), int(np.argmin(alike))]))
    rows = [int(end[place]) for place in chosen for end in (pairs.a, pairs.b)]
    items, columns = pairs.items, dict[str, list[Any]]()
    if twin.image is not None and items.has_image[rows].any():
        columns["image"] = [_picture(twin, items, row) if items.has_image[row] else None for row in rows]
        if any(cell is None for cell, there in zip(columns["image"], items.has_image[rows], strict=True) if there):
            return None
    if twin.text is not None and items.has_text[rows].any():
        columns["text"] = [items.texts[row] for row in rows]
    if not columns:
        return None
    names = [name for name, _ in zip(("first", "second"), chosen, strict=False)]
    frame = pd.DataFrame({**columns, "pair": np.repeat(names, 2)}, dtype=object)
    return frame, {"task": "verify"}


def _picture(twin: TwinEncoder, items: Items, row: int) -> bytes | None:
    """An item's picture as a PNG of the size that the twin sees, at most `LARGEST`; None if it cannot be decoded."""
    assert twin.image is not None
    pixels = thumbnail(items, row, min(twin.image.size, LARGEST))
    if pixels is None:
        return None
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", optimize=True)
    return file.getvalue()
