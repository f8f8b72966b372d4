"""Rows in the memory of this process: for tests, notebooks and galleries that are made and thrown away.

`memory:NAME` is shared by all that open it in the process; plain `memory` is a new gallery each time.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from cross_modal.errors import CrossModalError
from cross_modal.gallery.backends.port import Nearest, VersionFacts, columns_to_read, no_index
from cross_modal.gallery.binding import Binding
from cross_modal.gallery.filter import Filter
from cross_modal.gallery.schema import aligned, gallery_schema


@dataclass
class _Store:
    """What galleries of one name share. Tables never change, so that a version costs nothing while it is the last."""

    binding: Binding
    table: pa.Table
    version: int = 1
    created: str = ""
    tagged: dict[str, tuple[VersionFacts, pa.Table]] = field(default_factory=dict)
    attachments: dict[str, bytes] = field(default_factory=dict)
    lock: threading.RLock = field(default_factory=threading.RLock)


_STORES: dict[str, _Store] = {}
_STORES_LOCK = threading.Lock()


class MemoryBackend:
    """Rows in memory; see `port.Backend`."""

    def __init__(self, location: str, store: _Store, version: int | str | None = None) -> None:
        self.location = location
        self.binding = store.binding
        self.read_only = version is not None
        self._store = store
        self._table, self._version = store.table, store.version
        if version is not None:
            self._table, self._version = self._at(version)

    @classmethod
    def create(cls, location: str, binding: Binding) -> MemoryBackend:
        """Makes an empty one, or opens the one of that name."""
        with _STORES_LOCK:
            store = _STORES.get(location)
            if store is None:
                store = _Store(binding, gallery_schema(binding.dim).empty_table(), created=_now())
                if location != "memory":
                    _STORES[location] = store
        return cls(location, store)

    @classmethod
    def open(cls, location: str, version: int | str | None = None) -> MemoryBackend:
        """Opens one that this process made.

        Raises:
            CrossModalError: There is none of that name.
        """
        store = _STORES.get(location)
        if store is None:
            raise CrossModalError(f"gallery {location}: expected one that this process made by that name, found none")
        return cls(location, store, version)

    @staticmethod
    def exists(location: str) -> bool:
        """Whether this process made one of that name."""
        return location in _STORES

    @property
    def version(self) -> int:
        """Of the rows that reads see."""
        return self._version

    @property
    def schema(self) -> pa.Schema:
        """All columns."""
        return self._table.schema

    def count(self) -> int:
        """How many rows."""
        return self._table.num_rows

    def refresh(self) -> bool:
        """Sees what others wrote."""
        if self.read_only or self._version == self._store.version:
            return False
        with self._store.lock:
            self._table, self._version = self._store.table, self._store.version
        return True

    def upsert(self, rows: pa.Table, known: bool = True) -> None:
        """Writes rows."""
        with self._store.lock:
            before = self._store.table
            rows, schema = aligned(rows, before.schema)
            there = pc.is_in(before["id"], value_set=rows["id"].combine_chunks())
            if pc.any(there).as_py():
                if not known:
                    name = before["id"].filter(there)[0].as_py()
                    raise CrossModalError(f"gallery {self.location}: expected new ids, found {name!r}, which it holds")
                before = before.filter(pc.invert(there))
            for name in schema.names[before.num_columns :]:
                before = before.append_column(name, pa.nulls(before.num_rows, schema.field(name).type))
            self._write(pa.concat_tables([before.select(schema.names).cast(schema), rows]))

    def delete(self, ids: Sequence[str]) -> int:
        """Takes rows away."""
        with self._store.lock:
            before = self._store.table
            kept = before.filter(pc.invert(pc.is_in(before["id"], value_set=pa.array(ids, pa.string()))))
            if kept.num_rows != before.num_rows:
                self._write(kept)
            return before.num_rows - kept.num_rows

    def table(
        self, columns: Sequence[str] | None = None, ids: Sequence[str] | None = None, where: Filter | None = None
    ) -> pa.Table:
        """Rows in any order."""
        names = columns_to_read(self.schema, columns)
        rows = self._table
        if ids is not None:
            rows = rows.filter(pc.is_in(rows["id"], value_set=pa.array(ids, pa.string())))
        if where:
            rows = rows.filter(pa.array(where.mask(rows)))
        return rows.select(names)

    def nearest(self, queries: np.ndarray, k: int, where: Filter | None) -> Nearest | None:
        """Searched in memory by the gallery."""
        return None

    @property
    def indexed(self) -> bool:
        """Never by this package."""
        return False

    def build_index(self, probes: int) -> None:
        """There is none in memory."""
        raise no_index(self.location)

    def drop_index(self) -> None:
        """There is none."""

    def versions(self) -> list[VersionFacts]:
        """The last one, and those with a name."""
        store = self._store
        facts = {store.version: VersionFacts(store.version, store.table.num_rows, store.created)}
        facts.update({each.version: each for each, _ in store.tagged.values()})
        names: dict[int, list[str]] = {}
        for name, (each, _) in store.tagged.items():
            names.setdefault(each.version, []).append(name)
        return [
            VersionFacts(version, each.rows, each.created, tuple(sorted(names.get(version, ()))))
            for version, each in sorted(facts.items())
        ]

    def tag(self, name: str) -> None:
        """Names the version that reads see."""
        with self._store.lock:
            held = self._store.tagged.get(name)
            if held is not None and held[0].version != self._version:
                raise CrossModalError(
                    f"gallery {self.location}: expected a new tag, found {name!r} of version {held[0].version}"
                )
            facts = VersionFacts(self._version, self._table.num_rows, self._store.created)
            self._store.tagged[name] = (facts, self._table)

    def optimise(self) -> None:
        """Brings the pieces of many small writes together."""
        with self._store.lock:
            self._store.table = self._store.table.combine_chunks()

    def attach(self, name: str, content: bytes) -> None:
        """Keeps bytes beside the rows."""
        self._store.attachments[name] = bytes(content)

    def attachment(self, name: str) -> bytes | None:
        """What was attached under a name."""
        return self._store.attachments.get(name)

    def close(self) -> None:
        """Nothing to let go of: the rows stay for who opens them by name."""

    def _write(self, table: pa.Table) -> None:
        store = self._store
        store.table, store.version, store.created = table, store.version + 1, _now()
        self._table, self._version = store.table, store.version

    def _at(self, version: int | str) -> tuple[pa.Table, int]:
        store = self._store
        if version == store.version:
            return store.table, store.version
        for name, (facts, table) in store.tagged.items():
            if version in (name, facts.version):
                return table, facts.version
        held = ", ".join(str(each.version) for each in self.versions())
        raise CrossModalError(
            f"gallery {self.location}: expected one of the versions {held} or a tag, found {version!r}"
        )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
