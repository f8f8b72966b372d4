"""What a gallery knows already, by id and by content, so that nothing is encoded twice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cross_modal.gallery.gallery import Gallery
from cross_modal.gallery.reference_encoder import Encoded
from cross_modal.gallery.schema import THUMBNAIL, VECTOR, to_matrix

Key = tuple[str, str]  # kind and content: rows of one key have one embedding


class KnownReferences:
    """The rows of a gallery as they were, and where the embedding of each content stands while others are written.

    Attributes:
        contents: The key of every embedding that can be had without encoding → the id of a row that holds it.
    """

    def __init__(self, gallery: Gallery, columns: Sequence[str]) -> None:
        """Reads the rows' facts.

        Args:
            gallery: The gallery.
            columns: Which facts, besides id, kind and content.
        """
        self._gallery = gallery
        self._columns = list(dict.fromkeys(["kind", "content", "source", *columns]))
        table = gallery.rows(columns=["id", *self._columns])
        self._cells = [table[name].to_pylist() for name in self._columns]
        ids: list[str] = table["id"].to_pylist()
        self._place = {name: place for place, name in enumerate(ids)}
        kinds, contents = self._cells[:2]
        self.contents: dict[Key, str] = dict(zip(zip(kinds, contents, strict=True), ids, strict=True))
        self._kept: dict[Key, Encoded] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._place

    def facts(self, name: str) -> dict[str, Any] | None:
        """What the row of this id said before anything was written; None where there was none."""
        place = self._place.get(name)
        if place is None:
            return None
        return {column: cells[place] for column, cells in zip(self._columns, self._cells, strict=True)}

    def of_source(self, source: str) -> set[str]:
        """The ids of the rows that came from a source."""
        sources = self._cells[self._columns.index("source")]
        return {name for name, place in self._place.items() if sources[place] == source}

    def keep(self, planned: Mapping[str, Key]) -> None:
        """Reads what planned writes would lose and need: the embeddings of files that swapped their names, say.

        Args:
            planned: Ids that will be written, with what they will hold.
        """
        kinds, contents = self._cells[:2]
        lost = set()
        for name, place in self._place.items():
            key = kinds[place], contents[place]
            if planned.get(name, key) == key:
                self.contents[key] = name  # a row that keeps its content is the better holder
            else:
                lost.add(name)
        self._kept = self.encodings([key for key in set(planned.values()) if self.contents.get(key) in lost])

    def encodings(self, keys: Sequence[Key]) -> dict[Key, Encoded]:
        """Embeddings and thumbnails of known keys."""
        found = {key: self._kept[key] for key in keys if key in self._kept}
        missing = [key for key in keys if key not in found]
        if missing:
            table = self._gallery.row([self.contents[key] for key in missing], [VECTOR, THUMBNAIL])
            vectors, thumbnails = to_matrix(table[VECTOR]), table[THUMBNAIL].to_pylist()
            found |= {key: (vectors[at].copy(), thumbnails[at]) for at, key in enumerate(missing)}
        return found

    def written(self, name: str, key: Key) -> None:
        """A row has been written: what it holds can be had from it from now on."""
        if key not in self._kept:
            self.contents[key] = name
