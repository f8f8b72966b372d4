"""Writes the embeddings of items into a gallery; what it knows already is not encoded again.

Rows are compared by the hash of what they embed. New and changed items are encoded and written some thousand at a
time: a run that is killed loses the part in flight, and the next one goes on from there. An item whose file was moved,
or whose label or text was mended, keeps its embedding.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from cross_modal.configuration import DataConfig
from cross_modal.data.items import Items
from cross_modal.encoders.twin import TwinEncoder
from cross_modal.errors import CrossModalError
from cross_modal.gallery.binding import Binding
from cross_modal.gallery.gallery import Gallery
from cross_modal.gallery.item_ids import Of, ReferenceRows, contents_of, reference_rows
from cross_modal.gallery.reference_encoder import ReferenceEncoder
from cross_modal.gallery.schema import THUMBNAIL, VECTOR, reference_table, to_matrix

FACTS = ("label", "text", "image", "split", "group", "genuine")


@dataclass
class IndexConfig:
    """How items become references.

    Attributes:
        of: What is embedded: the picture of an item that has one, else its text ("auto"); pictures only ("image");
            texts only ("text"); both, as rows of their own ("each").
        thumbnail: Longest side in pixels of the small pictures that are kept beside the embeddings; 0 keeps none.
        batch: Items in a forward pass.
        commit: Rows that are written at once: what a killed run may lose.
        prune: Take rows of this source away whose items are gone from it.
    """

    of: Of = "auto"
    thumbnail: int = 96
    batch: int = 256
    commit: int = 2048
    prune: bool = False


@dataclass(frozen=True)
class IndexResult:
    """What indexing did.

    Attributes:
        added: Rows that were not there.
        changed: Rows whose content or facts differ from what was there.
        unchanged: Rows that were there as they are.
        removed: Rows whose items are gone.
        encoded: Pictures and texts that went through the model.
        seconds: Of all of it.
    """

    added: int
    changed: int
    unchanged: int
    removed: int
    encoded: int
    seconds: float


def index_items(
    gallery: Gallery,
    twin: TwinEncoder,
    items: Items,
    config: IndexConfig | None = None,
    data: DataConfig | None = None,
    progress: Callable[[int, int], None] | None = None,
    *,
    facts: Mapping[str, Sequence[Any]] | None = None,
) -> IndexResult:
    """Brings a gallery up to date with a table of items.

    Args:
        gallery: Of the same model.
        twin: The model.
        items: The items.
        config: How; None takes the defaults.
        data: How pictures are decoded.
        progress: Called with rows done and rows in all.
        facts: Further columns, one value an item.

    Returns:
        What was done.

    Raises:
        CrossModalError: Another model's gallery, settings that mean nothing, or nothing that the model encodes.
    """
    begin, config = time.perf_counter(), config or IndexConfig()
    _check(config)
    gallery.binding.check(Binding.of(twin), gallery.location)
    rows = reference_rows(items, twin, config.of)
    job = _Indexing(gallery, twin, items, rows, config, data or DataConfig(), facts or {})
    written = job.run(progress or (lambda done, total: None))
    removed = job.prune() if config.prune else 0
    if written > config.commit:
        gallery.optimise()
    new = int(job.new.sum())
    return IndexResult(new, written - new, len(rows) - written, removed, job.encoded, time.perf_counter() - begin)


class _Indexing:
    """One run: what is known, what is to be written, what has been encoded so far."""

    def __init__(
        self,
        gallery: Gallery,
        twin: TwinEncoder,
        items: Items,
        rows: ReferenceRows,
        config: IndexConfig,
        data: DataConfig,
        facts: Mapping[str, Sequence[Any]],
    ) -> None:
        self.gallery, self.items, self.rows, self.config = gallery, items, rows, config
        self.further = facts
        self.encoder = ReferenceEncoder(twin.eval(), data, config.batch, config.thumbnail)
        self.contents = contents_of(items, rows)
        self.encoded = 0
        known = gallery.rows(columns=["id", "kind", "content", "source", *FACTS, *self._known_further()])
        names, kinds, contents = _cells(known, "id", "kind", "content")
        self.known_id = dict(zip(zip(kinds, contents, strict=True), names, strict=True))
        self.known_rows = known
        self.place = {name: place for place, name in enumerate(known["id"].to_pylist())}
        self.new = np.array([name not in self.place for name in rows.ids], bool)
        self.vectors: dict[tuple[str, str], tuple[np.ndarray, bytes | None]] = {}

    def run(self, progress: Callable[[int, int], None]) -> int:
        """Writes what is new or changed; returns how many rows that were."""
        todo = np.flatnonzero(self.new | self._differs())
        total, done = len(self.rows), len(self.rows) - len(todo)
        progress(done, total)
        for start in range(0, len(todo), self.config.commit):
            part = todo[start : start + self.config.commit]
            shown = done

            def tell(count: int) -> None:
                nonlocal shown
                shown = min(shown + count, done + len(part))  # noqa: B023
                progress(shown, total)

            self.gallery.upsert(self._table(part, tell))
            self._remember(part)
            done += len(part)
            progress(done, total)
        return len(todo)

    def prune(self) -> int:
        """Takes away rows of this source that the items do not give any more."""
        present = set(self.rows.ids)
        names, sources = _cells(self.known_rows, "id", "source")
        gone = [name for name, source in zip(names, sources, strict=True)
                if source == self.items.source and name not in present]  # fmt: skip
        return self.gallery.delete(gone) if gone else 0

    def _known_further(self) -> list[str]:
        return [name for name in self.further if name in self.gallery.columns]

    def _differs(self) -> np.ndarray:
        """(N,) bool: rows that are known, with another content or other facts."""
        known = {name: self.known_rows[name].to_pylist() for name in self.known_rows.column_names}
        facts = self._facts(np.arange(len(self.rows)))
        changed = np.zeros(len(self.rows), bool)
        for row in np.flatnonzero(~self.new).tolist():
            place = self.place[self.rows.ids[row]]
            changed[row] = known["content"][place] != self.contents[row] or any(
                known[name][place] != cells[row] if name in known else cells[row] is not None
                for name, cells in facts.items()
            )
        return changed

    def _facts(self, part: np.ndarray) -> dict[str, list[Any]]:
        """What is known of some rows, by column."""
        items, places, kinds = self.items, self.rows.places[part], self.rows.kinds[part]

        def cells(column: np.ndarray | None) -> list[Any]:
            return [None] * len(part) if column is None else [_plain(cell) for cell in column[places].tolist()]

        images = [cell if kind == "image" and isinstance(cell, str) else None
                  for cell, kind in zip(items.images[places].tolist(), kinds.tolist(), strict=True)]  # fmt: skip
        return {
            "label": cells(items.labels),
            "text": cells(items.texts),
            "image": images,
            "split": cells(items.splits),
            "group": cells(items.groups),
            "genuine": [True] * len(part) if items.genuine is None else items.genuine[places].tolist(),
            **{name: [column[place] for place in places.tolist()] for name, column in self.further.items()},
        }

    def _table(self, part: np.ndarray, tell: Callable[[int], None]) -> pa.Table:
        """The rows of a part, encoded as far as nobody has before."""
        keys = [(str(self.rows.kinds[row]), self.contents[row]) for row in part.tolist()]
        self._copy_known({key for key in keys if key not in self.vectors and key in self.known_id})
        fresh: dict[tuple[str, str], int] = {}
        for key, row in zip(keys, part.tolist(), strict=True):
            if key not in self.vectors:
                fresh.setdefault(key, row)
        self._encode(fresh, tell)
        facts = self._facts(part)
        return reference_table(
            [self.rows.ids[row] for row in part.tolist()],
            np.stack([self.vectors[key][0] for key in keys]),
            kinds=self.rows.kinds[part].tolist(),
            contents=[content for _, content in keys],
            binding=self.gallery.binding,
            labels=facts["label"],
            texts=facts["text"],
            images=facts["image"],
            splits=facts["split"],
            groups=facts["group"],
            genuine=facts["genuine"],
            sources=self.items.source,
            thumbnails=[self.vectors[key][1] for key in keys],
            extra={name: facts[name] for name in self.further},
        )

    def _remember(self, part: np.ndarray) -> None:
        """What was written is looked up in the gallery from now on: memory holds one part at a time."""
        for row in part.tolist():
            self.known_id[str(self.rows.kinds[row]), self.contents[row]] = self.rows.ids[row]
        self.vectors.clear()

    def _copy_known(self, keys: set[tuple[str, str]]) -> None:
        """Takes the embeddings of contents that the gallery has under whatever name."""
        if not keys:
            return
        ordered = sorted(keys)
        found = self.gallery.row([self.known_id[key] for key in ordered], [VECTOR, THUMBNAIL])
        vectors, thumbnails = to_matrix(found[VECTOR]), found[THUMBNAIL].to_pylist()
        self.vectors |= {key: (vectors[at].copy(), thumbnails[at]) for at, key in enumerate(ordered)}

    def _encode(self, fresh: Mapping[tuple[str, str], int], tell: Callable[[int], None]) -> None:
        """Embeds what nobody knows yet."""
        pictures = [(key, int(self.rows.places[row])) for key, row in fresh.items() if key[0] == "image"]
        texts = [(key, str(self.items.texts[self.rows.places[row]])) for key, row in fresh.items() if key[0] == "text"]
        if pictures:
            embedded, small = self.encoder.images(self.items.take([place for _, place in pictures]), tell)
            self.vectors |= {key: (embedded[at], small[at]) for at, (key, _) in enumerate(pictures)}
        if texts:
            embedded = self.encoder.texts([text for _, text in texts], tell)
            self.vectors |= {key: (embedded[at], None) for at, (key, _) in enumerate(texts)}
        self.encoded += len(fresh)


def _check(config: IndexConfig) -> None:
    for name, least in (("batch", 1), ("commit", 1), ("thumbnail", 0)):
        if getattr(config, name) < least:
            raise CrossModalError(f"--{name}: expected at least {least}, found {getattr(config, name)}")


def _cells(table: pa.Table, *names: str) -> list[list[Any]]:
    return [table[name].to_pylist() for name in names]


def _plain(cell: Any) -> Any:
    return None if cell is None else str(cell)
