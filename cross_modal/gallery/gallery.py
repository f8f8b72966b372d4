"""The gallery: reference embeddings that are enrolled once and compared with new things for ever.

    gallery = Gallery.create("refs.gallery", Binding.of(twin, "runs:/…/model"))
    gallery.upsert(reference_table(ids, vectors, kinds="image", contents=hashes, binding=gallery.binding))
    gallery.search(queries, k=10, where=Filter.parse(["split=train"]))

Search is exact and in memory unless the backend searches by itself or an approximate index was asked for; a filter
always narrows before the search, so that nothing is lost by it.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from types import TracebackType

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from cross_modal.errors import CrossModalError
from cross_modal.gallery.backends.location import backend_exists, create_backend, open_backend
from cross_modal.gallery.backends.port import FORMAT, Backend, IndexFacts, VersionFacts, check_format
from cross_modal.gallery.binding import Binding
from cross_modal.gallery.filter import Filter
from cross_modal.gallery.hits import Hits
from cross_modal.gallery.index_recall import measured_index
from cross_modal.gallery.matrix import Matrix
from cross_modal.gallery.schema import THUMBNAIL, check_table

INDEX, INDEX_KIND = "index.json", "ivf_pq"  # the attachment that says how good the approximate index is
_METADATA = b"cross_modal.gallery"
_WRITE_ROWS = 8192  # at a time when a whole gallery comes from a file


class Gallery:
    """References of one model, kept by a backend. Made by `create`, `open` or `from_parquet`.

    >>> gallery = Gallery.create("memory", Binding("1a2b", "cosine", 2, True))
    >>> len(gallery), gallery.search(np.eye(2, dtype=np.float32), k=1).ids.tolist()
    (0, [[None], [None]])
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._matrix: Matrix | None = None

    @classmethod
    def create(cls, location: str | Path, binding: Binding, exist_ok: bool = True) -> Gallery:
        """Makes an empty gallery, or opens the one that is there if the same model made it.

        Args:
            location: A folder, "memory", "memory:NAME", "milvus:FILE.db" or "milvus:http://HOST:PORT".
            binding: The model.
            exist_ok: Whether one may be there already.

        Raises:
            CrossModalError: One is there and may not be, or another model made it.
        """
        if not exist_ok and backend_exists(str(location)):
            raise CrossModalError(f"gallery {location}: expected none there, found one")
        gallery = cls(create_backend(str(location), binding))
        gallery.binding.check(binding, str(location))
        return gallery

    @classmethod
    def open(cls, location: str | Path, version: int | str | None = None) -> Gallery:
        """Opens a gallery.

        Args:
            location: As for `create`.
            version: A version's number or tag, to read only; the last unless given.

        Raises:
            CrossModalError: No gallery there, one of a later format, or no such version.
        """
        return cls(open_backend(str(location), version))

    @classmethod
    def from_parquet(cls, path: str | Path, location: str | Path) -> Gallery:
        """Makes a gallery of what `export` wrote; in one that is there, rows are upserted.

        Args:
            path: The Parquet file.
            location: As for `create`.

        Raises:
            CrossModalError: Not a file that `export` wrote, or another model's gallery at the location.
        """
        import pyarrow.parquet as pq

        try:
            file = pq.ParquetFile(path)
        except (OSError, pa.ArrowException) as error:
            raise CrossModalError(f"{path}: expected a Parquet file, found {str(error).splitlines()[0]}") from None
        with file:
            stored = (file.schema_arrow.metadata or {}).get(_METADATA)
            if stored is None:
                raise CrossModalError(f"{path}: expected a Parquet file that a gallery exported, found another")
            card = json.loads(stored)
            check_format(card.get("format"), str(path))
            gallery = cls.create(location, Binding.from_dict(card["binding"], str(path)))
            for batch in file.iter_batches(_WRITE_ROWS):
                gallery.upsert(pa.Table.from_batches([batch]).replace_schema_metadata(None))
        return gallery

    def __len__(self) -> int:
        return self._backend.count()

    def __enter__(self) -> Gallery:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def location(self) -> str:
        """Where it is."""
        return self._backend.location

    @property
    def binding(self) -> Binding:
        """The model that made it."""
        return self._backend.binding

    @property
    def version(self) -> int:
        """Of the rows that reads see; higher after each write."""
        return self._backend.version

    @property
    def columns(self) -> list[str]:
        """All columns, its own and the manifest's."""
        return list(self._backend.schema.names)

    def upsert(self, table: pa.Table) -> None:
        """Writes rows, replacing those of the same id: all of them or none, for good when it returns.

        Args:
            table: As from `reference_table`.

        Raises:
            CrossModalError: Rows that are not sound, or a gallery that cannot be written to.
        """
        self._write(table, known=True)

    def add(self, table: pa.Table) -> None:
        """As `upsert`, but an id that is known is refused and nothing is written."""
        self._write(table, known=False)

    def delete(self, ids: Sequence[str] | Filter) -> int:
        """Takes rows away.

        Args:
            ids: Their ids (unknown ones are passed over), or a filter.

        Returns:
            How many it took.
        """
        self._check_writable()
        names = self._backend.table(["id"], where=ids)["id"].to_pylist() if isinstance(ids, Filter) else list(ids)
        return self._backend.delete(names)

    def rows(
        self, where: Filter | None = None, columns: Sequence[str] | None = None, limit: int | None = None
    ) -> pa.Table:
        """Rows by ascending id.

        Args:
            where: Which; all unless given.
            columns: Which columns; all but vectors and thumbnails unless given.
            limit: How many at most.
        """
        names = list(columns) if columns is not None else None
        read = names if names is None or "id" in names else [*names, "id"]
        table = self._backend.table(read, where=where)
        order = pc.sort_indices(table["id"])
        table = table.take(order if limit is None else order[:limit])
        return table if names is None else table.select(names)

    def row(self, ids: Sequence[str], columns: Sequence[str] | None = None) -> pa.Table:
        """Rows of these ids, in their order.

        Raises:
            CrossModalError: An id that it does not hold.
        """
        names = list(columns) if columns is not None else None
        read = names if names is None or "id" in names else [*names, "id"]
        table = self._backend.table(read, ids=list(ids))
        places = pc.index_in(pa.array(ids, pa.string()), value_set=table["id"].combine_chunks())
        if places.null_count:
            missing = ids[pc.index(pc.is_null(places), True).as_py()]
            raise CrossModalError(f"gallery {self.location}: expected an id that it holds, found {missing!r}")
        table = table.take(places)
        return table if names is None else table.select(names)

    def thumbnails(self, ids: Sequence[str]) -> list[bytes | None]:
        """Small pictures (encoded) of these rows; None where a row has none, or is gone."""
        table = self._backend.table(["id", THUMBNAIL], ids=list(ids))
        found = dict(zip(table["id"].to_pylist(), table[THUMBNAIL].to_pylist(), strict=True))
        return [found.get(name) for name in ids]

    def contents(self) -> dict[str, str]:
        """Hash of what was embedded, by id."""
        table = self._backend.table(["id", "content"])
        return dict(zip(table["id"].to_pylist(), table["content"].to_pylist(), strict=True))

    def matrix(self) -> Matrix:
        """All embeddings and facts by ascending id, kept in memory until a write (or `refresh`)."""
        if self._matrix is None or self._matrix.version != self.version:
            names = [name for name in self._backend.schema.names if name != THUMBNAIL]
            self._matrix = Matrix.of(self._backend.table(names), self.version)
        return self._matrix

    def refresh(self) -> bool:
        """Sees what other processes wrote; whether that is anything."""
        return self._backend.refresh()

    def search(self, queries: np.ndarray, k: int = 10, where: Filter | None = None, exact: bool = False) -> Hits:
        """The rows nearest to queries.

        Args:
            queries: (Q, dim) or (dim,) embeddings of the gallery's model.
            k: How many.
            where: Only among these rows.
            exact: Pass over an approximate index.

        Returns:
            The hits, best first.

        Raises:
            CrossModalError: Queries of another size or not finite, k below 1, or a filter that does not fit.
        """
        queries = self._checked(queries, k)
        begin = time.perf_counter()
        found = None if exact else self._backend.nearest(queries, k, where)
        if found is not None:
            recall = None if found.exact else self._recall()
            seconds = time.perf_counter() - begin
            ids = found.ids
            return Hits(ids, found.scores, found.exact, recall, seconds, lambda: self.matrix().rows_of(ids))
        from cross_modal.gallery.exact_search import nearest

        matrix = self.matrix()
        among = np.flatnonzero(where.mask(matrix.facts)) if where else None
        halves = None if self.binding.metric == "cosine" else matrix.halves
        rows, scores = nearest(matrix.vectors, queries, k, self.binding.metric, rows=among, halves=halves)
        ids = np.append(matrix.ids, [None])[rows]  # −1 is the last: none
        return Hits(ids, scores, True, None, time.perf_counter() - begin, lambda: rows)

    def export(self, path: str | Path) -> Path:
        """Writes everything to one Parquet file, vectors and thumbnails too.

        Args:
            path: The file; replaced when it is whole.

        Returns:
            The file.
        """
        import pyarrow.parquet as pq

        path = Path(path)
        card = {"format": FORMAT, "binding": self.binding.to_dict()}
        schema = self._backend.schema.with_metadata({_METADATA: json.dumps(card).encode()})
        ids = self.rows(columns=["id"])["id"].to_pylist()
        draft = path.with_name(f".{path.name}.part")
        try:
            with pq.ParquetWriter(draft, schema, compression="zstd") as writer:
                for at in range(0, len(ids), _WRITE_ROWS):  # thumbnails of a million rows need not be in memory at once
                    writer.write_table(self.row(ids[at : at + _WRITE_ROWS], schema.names).cast(schema))
            draft.replace(path)
        except OSError as error:
            reason = os.strerror(error.errno) if error.errno else str(error)
            raise CrossModalError(f"{path}: expected a file to write to, found {reason}") from None
        finally:
            draft.unlink(missing_ok=True)
        return path

    def versions(self) -> list[VersionFacts]:
        """The versions that can be opened, the oldest first."""
        return self._backend.versions()

    def tag(self, name: str) -> None:
        """Names the version that reads see.

        Raises:
            CrossModalError: The name is another version's.
        """
        self._backend.tag(name)

    def optimise(self) -> None:
        """Tidies the store after many small writes; loses nothing."""
        self._check_writable()
        self._backend.optimise()

    def build_index(self, kind: str = "ivf_pq", probes: int = 50, seed: int = 0) -> IndexFacts:
        """Builds an approximate index for unfiltered searches and measures what it finds (LanceDB only).

        Args:
            kind: "ivf_pq".
            probes: How many partitions a query looks into: more find more, and take longer.
            seed: Of the queries that measure it.

        Returns:
            Its recall on queries from the gallery, and times.

        Raises:
            CrossModalError: Another backend, or too few rows.
        """
        self._check_writable()
        if kind != INDEX_KIND or probes < 1:
            raise CrossModalError(
                f"gallery {self.location}: expected {INDEX_KIND!r} with at least 1 probe, found {kind!r} with {probes}"
            )
        begin = time.perf_counter()
        self._backend.build_index(probes)
        seconds = time.perf_counter() - begin
        facts = measured_index(self, probes, seconds, np.random.default_rng(seed))
        self._backend.attach(INDEX, json.dumps(asdict(facts)).encode())
        return facts

    def drop_index(self) -> None:
        """Goes back to exact search."""
        self._check_writable()
        self._backend.drop_index()

    def index(self) -> IndexFacts | None:
        """The approximate index, if there is one."""
        stored = self._backend.attachment(INDEX) if self._backend.indexed else None
        return None if stored is None else IndexFacts(**json.loads(stored))

    def attach(self, name: str, content: bytes) -> None:
        """Keeps bytes beside the rows (a cohort, say), replacing those of the same name."""
        self._check_writable()
        self._backend.attach(name, content)

    def attachment(self, name: str) -> bytes | None:
        """What was attached under a name; None if nothing."""
        return self._backend.attachment(name)

    def close(self) -> None:
        """Lets go of files, connections and memory."""
        self._matrix = None
        self._backend.close()

    def _write(self, table: pa.Table, *, known: bool) -> None:
        self._check_writable()
        table = check_table(table, self.binding)
        if table.num_rows:
            self._backend.upsert(table, known)

    def _check_writable(self) -> None:
        if self._backend.read_only:
            raise CrossModalError(
                f"gallery {self.location}: expected its last version to write to, found version {self.version}"
            )

    def _checked(self, queries: np.ndarray, k: int) -> np.ndarray:
        queries = np.atleast_2d(np.ascontiguousarray(queries, np.float32))
        if queries.ndim != 2 or queries.shape[1] != self.binding.dim:
            raise CrossModalError(
                f"gallery {self.location}: expected queries (Q, {self.binding.dim}), found {queries.shape}"
            )
        if not np.isfinite(queries).all():
            raise CrossModalError(f"gallery {self.location}: expected finite queries, found NaN or infinity")
        if k < 1:
            raise CrossModalError(f"gallery {self.location}: expected k of at least 1, found {k}")
        if self.binding.metric == "euclidean":
            return queries
        lengths = np.linalg.norm(queries, axis=1, keepdims=True)
        if not lengths.all():
            raise CrossModalError(f"gallery {self.location}: expected queries with a direction (cosine), found zeros")
        return queries if np.abs(lengths - 1).max(initial=0) < 1e-6 else queries / lengths

    def _recall(self) -> float | None:
        facts = self.index()
        return None if facts is None else facts.recall
