"""Writes the embeddings of items into a gallery; what it knows already is not encoded again.

Rows are compared by the hash of what they embed. New and changed items are encoded and written some thousand at a
time: a run that is killed loses the part in flight, and the next one goes on from there. An item whose file was moved,
or whose label or text was mended, keeps its embedding.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
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
from cross_modal.gallery.known_references import Key, KnownReferences
from cross_modal.gallery.reference_encoder import Encoded, ReferenceEncoder
from cross_modal.gallery.schema import reference_table

FACTS = ("label", "text", "image", "split", "group", "genuine", "source")


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
        prefix: Begins the id of every row: what sets two sources with the same file names apart.
        replace: Let rows take the place of another source's, where ids are the same and pictures are not.
    """

    of: Of = "auto"
    thumbnail: int = 96
    batch: int = 256
    commit: int = 2048
    prune: bool = False
    prefix: str = ""
    replace: bool = False


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
    ids: Sequence[str] | None = None,
    facts: Mapping[str, Sequence[Any]] | None = None,
    present: Collection[str] | None = None,
) -> IndexResult:
    """Brings a gallery up to date with a table of items.

    Args:
        gallery: Of the same model.
        twin: The model; its mode is restored.
        items: The items.
        config: How; None takes the defaults.
        data: How pictures are decoded.
        progress: Called with rows done and rows in all.
        ids: One distinct name an item; None names them by path and content, see `cross_modal.gallery.item_ids`.
        facts: Further columns, one value an item.
        present: Ids that the source still has, where the items are a part of it only: pruning leaves them.

    Returns:
        What was done.

    Raises:
        CrossModalError: Another model's gallery, settings that mean nothing, nothing that the model encodes, or names
            that belong to other pictures of another source.
    """
    begin, config = time.perf_counter(), config or IndexConfig()
    _check(config)
    gallery.binding.check(Binding.of(twin), gallery.location)
    rows = reference_rows(items, twin, config.of, ids, config.prefix)
    encoder = ReferenceEncoder(twin, data or DataConfig(), config.batch, config.thumbnail)
    job = _Indexing(gallery, encoder, items, rows, config, facts or {})
    if not config.replace and ids is None:
        job.refuse_strangers()
    was_training = twin.training
    twin.eval()
    written = job.run(progress or (lambda done, total: None))
    twin.train(was_training)
    removed = job.prune({*rows.ids, *(present or ())}) if config.prune else 0
    if written > config.commit:
        gallery.optimise()
    new = int(job.new.sum())
    return IndexResult(new, written - new, len(rows) - written, removed, job.encoded, time.perf_counter() - begin)


def source_name(source: str) -> str:
    """What a source is called in a gallery: a file or folder by its absolute path, wherever one stands."""
    return os.path.abspath(source) if os.path.exists(source) else source


class _Indexing:
    """One run: what is known, what is to be written, what has been encoded so far."""

    def __init__(
        self,
        gallery: Gallery,
        encoder: ReferenceEncoder,
        items: Items,
        rows: ReferenceRows,
        config: IndexConfig,
        facts: Mapping[str, Sequence[Any]],
    ) -> None:
        self.gallery, self.encoder, self.items, self.rows, self.config = gallery, encoder, items, rows, config
        self.further, self.source = facts, source_name(items.source)
        contents = contents_of(items, rows)
        self.keys: list[Key] = list(zip(rows.kinds.tolist(), contents, strict=True))
        self.known = KnownReferences(gallery, [*FACTS, *(name for name in facts if name in gallery.columns)])
        self.new = np.array([name not in self.known for name in rows.ids], bool)
        self.encoded = 0

    def refuse_strangers(self) -> None:
        """Refuses ids that belong to other pictures of another source: "1.jpg" of two folders is not one reference."""
        images = self._facts(np.arange(len(self.rows)))["image"]
        strange = [
            (name, before["source"])
            for row, name in enumerate(self.rows.ids)
            if (before := self.known.facts(name)) is not None
            and before["source"] != self.source
            and (before["kind"], before["content"]) != self.keys[row]
            and (images[row] is None or before["image"] != images[row])
        ]
        if strange:
            name, source = strange[0]
            raise CrossModalError(
                f"gallery {self.gallery.location}: expected ids of its own for {self.items.source}, found "
                f"{len(strange):,} of other pictures of {source} ('{name}' is one); --prefix NAME/ sets them apart, "
                "--replace yes takes their place"
            )

    def run(self, progress: Callable[[int, int], None]) -> int:
        """Writes what is new or changed; returns how many rows that were."""
        todo = np.flatnonzero(self.new | self._differs())
        done, total = len(self.rows) - len(todo), len(self.rows)
        progress(done, total)
        self.known.keep({self.rows.ids[row]: self.keys[row] for row in todo.tolist()})
        pictures = self._pictures(todo)
        for start in range(0, len(todo), self.config.commit):
            part = todo[start : start + self.config.commit]
            encoded = self._encodings(part, pictures, lambda count: progress(done + count, total))  # noqa: B023
            self.gallery.upsert(self._table(part, encoded))
            for row in part.tolist():
                self.known.written(self.rows.ids[row], self.keys[row])
            done += len(part)
            progress(done, total)
        return len(todo)

    def prune(self, present: Collection[str]) -> int:
        """Takes away rows of this source that it does not have any more."""
        gone = self.known.of_source(self.source) - set(present)
        return self.gallery.delete(sorted(gone)) if gone else 0

    def _differs(self) -> np.ndarray:
        """(N,) bool: rows that are known, with another content or other facts."""
        facts = self._facts(np.arange(len(self.rows)))
        changed = np.zeros(len(self.rows), bool)
        for row in np.flatnonzero(~self.new).tolist():
            before = self.known.facts(self.rows.ids[row])
            assert before is not None
            changed[row] = (before["kind"], before["content"]) != self.keys[row] or any(
                before.get(name) != cells[row] for name, cells in facts.items()
            )
        return changed

    def _facts(self, part: np.ndarray) -> dict[str, list[Any]]:
        """What is known of some rows, by column."""
        items, places, kinds = self.items, self.rows.places[part], self.rows.kinds[part]

        def cells(column: np.ndarray | None) -> list[Any]:
            return [None] * len(part) if column is None else [_plain(cell) for cell in column[places].tolist()]

        images = [os.path.abspath(cell) if kind == "image" and isinstance(cell, str) else None
                  for cell, kind in zip(items.images[places].tolist(), kinds.tolist(), strict=True)]  # fmt: skip
        return {
            "label": cells(items.labels),
            "text": cells(items.texts),
            "image": images,
            "split": cells(items.splits),
            "group": cells(items.groups),
            "genuine": [True] * len(part) if items.genuine is None else items.genuine[places].tolist(),
            "source": [self.source] * len(part),
            **{name: [column[place] for place in places.tolist()] for name, column in self.further.items()},
        }

    def _pictures(self, todo: np.ndarray) -> Iterator[Encoded]:
        """The pictures that nobody knows yet, each once, in the order of the rows; encoded as they are asked for."""
        first: dict[Key, int] = {}
        for row in todo.tolist():
            if self.rows.kinds[row] == "image" and self.keys[row] not in self.known.contents:
                first.setdefault(self.keys[row], int(self.rows.places[row]))
        return self.encoder.images(self.items.take(list(first.values())))

    def _encodings(
        self, part: np.ndarray, pictures: Iterator[Encoded], tell: Callable[[int], None]
    ) -> dict[Key, Encoded]:
        """What the rows of a part become, encoded as far as nobody has before."""
        rows = {self.keys[row]: row for row in reversed(part.tolist())}
        wanted = list(dict.fromkeys(self.keys[row] for row in part.tolist()))
        found = self.known.encodings([key for key in wanted if key in self.known.contents])
        fresh = [key for key in wanted if key not in found]
        done = len(part) - len(fresh)
        tell(done)
        for key in (key for key in fresh if key[0] == "image"):
            found[key] = next(pictures)
            done += 1
            if not done % self.config.batch:
                tell(done)
        texts = [key for key in fresh if key[0] == "text"]
        if texts:
            cells = [str(self.items.texts[self.rows.places[rows[key]]]) for key in texts]
            embedded = self.encoder.texts(cells, _added_up(done, tell))
            found |= {key: (vector, None) for key, vector in zip(texts, embedded, strict=True)}
        self.encoded += len(fresh)
        return found

    def _table(self, part: np.ndarray, encoded: Mapping[Key, Encoded]) -> pa.Table:
        facts, keys = self._facts(part), [self.keys[row] for row in part.tolist()]
        return reference_table(
            [self.rows.ids[row] for row in part.tolist()],
            np.stack([encoded[key][0] for key in keys]),
            kinds=[kind for kind, _ in keys],
            contents=[content for _, content in keys],
            binding=self.gallery.binding,
            labels=facts["label"],
            texts=facts["text"],
            images=facts["image"],
            splits=facts["split"],
            groups=facts["group"],
            genuine=facts["genuine"],
            sources=facts["source"],
            thumbnails=[encoded[key][1] for key in keys],
            extra={name: facts[name] for name in self.further},
        )


def _added_up(begin: int, tell: Callable[[int], None]) -> Callable[[int], None]:
    """Tells the sum where it is told the parts."""
    total = begin

    def more(count: int) -> None:
        nonlocal total
        total += count
        tell(total)

    return more


def _check(config: IndexConfig) -> None:
    for name, least in (("batch", 1), ("commit", 1), ("thumbnail", 0)):
        if getattr(config, name) < least:
            raise CrossModalError(f"--{name}: expected at least {least}, found {getattr(config, name)}")


def _plain(cell: Any) -> Any:
    return None if cell is None else str(cell)
