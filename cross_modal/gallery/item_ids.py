"""Which embeddings a table of items gives, and what each is called, so that a second run finds the first one's rows.

A manifest's column "id" names its items. Else a picture is called by its path, relative to the folder of its source
where it lies inside: a file that changed keeps its name, and its row is replaced. Pictures without a path are called by
their content, texts by theirs and their label's. A second item of one name gets "#2", in the order of the source.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from cross_modal.data.items import MANIFEST_SUFFIXES, Items, content_hash, content_hashes
from cross_modal.errors import CrossModalError

if TYPE_CHECKING:
    from cross_modal.encoders.twin import TwinEncoder

Of = Literal["auto", "image", "text", "each"]
DIGITS = 16  # of a content that stands for a name
TEXT_OF = "#text"  # ends the name of the text of an item whose picture has the item's own


@dataclass(frozen=True)
class ReferenceRows:
    """What of the items is embedded.

    Attributes:
        places: (N,) int64 row of the item.
        kinds: (N,) object, "image" or "text".
        ids: N unique names.
    """

    places: np.ndarray
    kinds: np.ndarray
    ids: list[str]

    def __len__(self) -> int:
        return len(self.ids)


def reference_rows(
    items: Items, twin: TwinEncoder, of: Of = "auto", ids: Sequence[str] | None = None, prefix: str = ""
) -> ReferenceRows:
    """Chooses what of the items is embedded, and names it.

    Args:
        items: The items.
        twin: Says which trunks there are.
        of: "auto" takes the picture of an item that has one, else its text; "image" and "text" take one modality;
            "each" takes both, as rows of their own. A text that many items of a label share is one row, unless the
            items have ids.
        ids: One distinct name an item; None names them by path and content.
        prefix: Begins every name: what sets two sources with the same file names apart.

    Returns:
        The rows, pictures first.

    Raises:
        CrossModalError: Nothing of that kind that the twin encodes.
    """
    pictured = items.has_image & (twin.image is not None)
    worded = items.has_text & (twin.text is not None)
    images = np.flatnonzero(pictured) if of != "text" else np.zeros(0, np.int64)
    if of == "image":
        worded[:] = False
    elif of == "auto":
        worded &= ~pictured
    texts = np.flatnonzero(worded) if ids is not None else _distinct_texts(items, np.flatnonzero(worded))
    if not len(images) + len(texts):
        can = "pictures and texts" if twin.image is not None and twin.text is not None else "pictures"
        can = "texts" if twin.image is None else can
        asked = "" if of == "auto" else f" (asked for: {of})"
        raise CrossModalError(f"{items.source}: expected items that this model encodes ({can}), found none{asked}")
    if ids is None:
        names = numbered([*_picture_names(items, images), *(_text_name(items, row) for row in texts.tolist())])
    else:
        # The same name whatever is asked for: an item with a picture gives its own name to that.
        names = [ids[row] for row in images.tolist()]
        names += [f"{ids[row]}{TEXT_OF if pictured[row] else ''}" for row in texts.tolist()]
    kinds = np.array(["image"] * len(images) + ["text"] * len(texts), object)
    return ReferenceRows(np.concatenate([images, texts]), kinds, [f"{prefix}{name}" for name in names])


def contents_of(items: Items, rows: ReferenceRows) -> list[str]:
    """The hash (hex) of what each row embeds; a picture's path or a text's label is no part of it."""
    pictured = rows.kinds == "image"
    found = np.empty(len(rows), object)
    found[pictured] = [digest.hex()[: 2 * DIGITS] for digest in content_hashes(items.images[rows.places[pictured]])]
    texts = [str(text).encode() for text in items.texts[rows.places[~pictured]]]
    found[~pictured] = [hashlib.sha256(text).hexdigest()[: 2 * DIGITS] for text in texts]
    return found.tolist()


def numbered(names: list[str]) -> list[str]:
    """The names, the second of a name with "#2" and so on.

    >>> numbered(["a", "b", "a"])
    ['a', 'b', 'a#2']
    """
    seen: dict[str, int] = {}
    found = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        found.append(name if seen[name] == 1 else f"{name}#{seen[name]}")
    return found


def _distinct_texts(items: Items, rows: np.ndarray) -> np.ndarray:
    """The first row of each text of each label."""
    first: dict[tuple[object, str], int] = {}
    for row in rows.tolist():
        label = None if items.labels is None else items.labels[row]
        first.setdefault((label, str(items.texts[row])), row)
    return np.fromiter(first.values(), np.int64, len(first))


def _picture_names(items: Items, rows: np.ndarray) -> list[str]:
    source = Path(items.source)
    folder = source.parent if source.suffix.lower() in (*MANIFEST_SUFFIXES, ".json") else source
    base = os.path.abspath(folder) + os.sep
    names = []
    for row in rows.tolist():
        cell = items.images[row]
        if isinstance(cell, str):
            path = os.path.abspath(cell)
            names.append(path.removeprefix(base).replace(os.sep, "/"))
        else:
            names.append(f"picture:{content_hash(cell).hex()[:DIGITS]}")
    return names


def _text_name(items: Items, row: int) -> str:
    label = "" if items.labels is None else str(items.labels[row])
    return f"text:{hashlib.sha256(f'{label}|{items.texts[row]}'.encode()).hexdigest()[:DIGITS]}"
