"""The items of a long stream of pairs, each encoded once: what was encoded is kept as long as memory allows."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from pathlib import Path

import numpy as np

from cross_modal.configuration import DataConfig
from cross_modal.data.bad_items import BadItems
from cross_modal.data.items import Items
from cross_modal.data.sources import check_pictures
from cross_modal.encoders.feature_store import FeatureStore
from cross_modal.encoders.twin import TwinEncoder
from cross_modal.verification.comparison import NOTHING, shown
from cross_modal.verification.pair_embedding import embed_pair_items

MEMORY = 256_000_000  # bytes of embeddings that are kept
Side = tuple[str | bytes | None, str | None]  # picture, text


class ItemEncoder:
    """Embeddings of items as they come by; the least recently seen are forgotten first.

    Args:
        twin: The twin.
        data: How pictures are decoded, what happens to bad ones, whether the feature store is used.
        source: The file, for messages.
        bad: Takes the items that cannot be encoded, where they are skipped.
        least: Items that are kept in any case.

    Attributes:
        encoded: Items encoded so far.
    """

    def __init__(self, twin: TwinEncoder, data: DataConfig, source: Path, bad: BadItems, least: int) -> None:
        self.twin, self.data, self.source, self.bad = twin, data, source, bad
        self.encoded = 0
        self._store = FeatureStore.open() if data.feature_store else None
        self._cache: OrderedDict[bytes, np.ndarray] = OrderedDict()
        self._room = max(least, MEMORY // (4 * twin.dim))

    def embedded(self, rows: Mapping[int, tuple[Side, ...]]) -> tuple[dict[bytes, np.ndarray], dict[bytes, str]]:
        """The embeddings of the items of some rows.

        Args:
            rows: Number of the row → its items.

        Returns:
            Key → embedding, without those that cannot be had; key → what the twin sees of it.

        Raises:
            CrossModalError: An item that cannot be encoded, unless such are skipped.
        """
        first: dict[bytes, tuple[int, Side]] = {}
        for number, sides in rows.items():
            for side in sides:
                first.setdefault(key_of(side), (number, side))
        kinds = dict(zip(first, shown(self._items(list(first.values())), self.twin).tolist(), strict=True))
        known = {key: self._cache[key] for key in first if key in self._cache}
        fresh = [key for key in first if key not in known]
        items = self._items([first[key] for key in fresh])
        if self.data.on_bad_item == "skip":
            good = self._usable(items)
            fresh, items = [fresh[place] for place in good.tolist()], items.take(good)
        if len(items):
            known |= dict(zip(fresh, embed_pair_items(self.twin, items, self.data, self._store), strict=True))
        self.encoded += len(items)
        self._keep(known)
        return known, kinds

    def _keep(self, known: Mapping[bytes, np.ndarray]) -> None:
        for key, embedding in known.items():
            self._cache[key] = embedding
            self._cache.move_to_end(key)
        while len(self._cache) > self._room:
            self._cache.popitem(last=False)

    def _items(self, sides: Sequence[tuple[int, Side]]) -> Items:
        return Items.of(
            images=[image for _, (image, _) in sides],
            texts=[text for _, (_, text) in sides],
            rows=[number for number, _ in sides],
            source=str(self.source),
        )

    def _usable(self, items: Items) -> np.ndarray:
        """Places of the items that can be encoded; the others are listed."""
        blank = np.flatnonzero(shown(items, self.twin) == NOTHING)
        for place in blank.tolist():
            self.bad.add(int(items.rows[place]), items.where(place), "nothing that this twin encodes")
        places = np.setdiff1d(np.arange(len(items)), blank)
        checked = check_pictures(items.take(places), self.data)
        for fault in checked.skipped:
            self.bad.add(fault.row, fault.where, fault.reason)
        kept = {(row, id(cell)) for row, cell in zip(checked.rows.tolist(), checked.images, strict=True)}
        good = [place for place in places.tolist() if (int(items.rows[place]), id(items.images[place])) in kept]
        return np.array(good, np.int64)


def key_of(side: Side) -> bytes:
    """What an item is known by: its picture's path or content, and its text.

    >>> key_of(("a.png", None)) == key_of(("a.png", None)), key_of(("a.png", None)) == key_of((None, "a.png"))
    (True, False)
    """
    image, text = side
    total = blake2b(b"none" if image is None else b"content" if isinstance(image, bytes) else b"path", digest_size=16)
    for part in (image, text):
        content = b"" if part is None else part if isinstance(part, bytes) else part.encode()
        total.update(f"|{'-' if part is None else len(content)}|".encode() + content)
    return total.digest()
