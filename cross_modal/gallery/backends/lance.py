"""Rows in a folder, through LanceDB: the durable default. Every write is a version; a killed write leaves none.

The folder holds the table, `gallery.json` (format and binding; written last, so that a folder with it is whole), the
attachments, and the lock of the writer. Reads never take the lock: they see one version until `refresh`.

LanceDB answers from threads of its own, which a forked child does not have: what was opened before a fork is refused
after it, with the word to say instead.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from cross_modal.errors import CrossModalError
from cross_modal.gallery.backends.port import FORMAT, Nearest, VersionFacts, check_format, columns_to_read
from cross_modal.gallery.backends.writer_lock import writing
from cross_modal.gallery.binding import Binding
from cross_modal.gallery.filter import Filter
from cross_modal.gallery.schema import VECTOR, aligned, gallery_schema

TABLE, CARD, ATTACHMENTS = "references", "gallery.json", "attachments"
INDEX, PROBES = "vector_ivf_pq", "index_probes.json"
FEWEST_INDEXED = 4096  # rows; training of the codebooks wants some thousands
REFINED = 200  # hits of the index, and at least 10 k, are scored again by their vectors
_TRAINED = 256  # rows to train one partition by
KEEP = timedelta(days=3650)  # old versions are never pruned behind anybody's back: runs refer to them
SQL_IDS = 10_000  # more names than this in one condition are slower than reading the names
_NAME = re.compile(r"\w[\w.-]*")
_FORKED: list[int] = []
_Result = TypeVar("_Result")


class LanceBackend:
    """Rows in a folder; see `port.Backend`."""

    def __init__(self, location: str, binding: Binding, table: Any, *, pinned: bool = False) -> None:
        self.location = location
        self.binding = binding
        self.read_only = pinned
        self._folder = Path(location)
        self._table = table
        self._process = os.getpid()
        self._indexed: tuple[int, bool] | None = None

    @classmethod
    def create(cls, location: str, binding: Binding) -> LanceBackend:
        """Makes an empty gallery, or opens the one that is there.

        Raises:
            CrossModalError: A folder with other things in it, or one that cannot be written to.
        """
        folder = Path(location)
        if cls.exists(location):
            return cls.open(location)
        _check_empty(folder)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CrossModalError(f"gallery {location}: expected a folder to make, found {error.strerror}") from None
        with writing(folder):
            if not cls.exists(location):  # another may have been quicker
                database = _connect(folder)
                mode = "overwrite" if _left_over(location, database) else "create"
                schema = gallery_schema(binding.dim)
                _asked(location, lambda: database.create_table(TABLE, schema=schema, mode=mode))
                created = datetime.now(UTC).isoformat(timespec="seconds")
                card = {"format": FORMAT, "created": created, "binding": binding.to_dict()}
                replace_file(folder / CARD, (json.dumps(card, indent=2, ensure_ascii=False) + "\n").encode())
        return cls.open(location)

    @classmethod
    def open(cls, location: str, version: int | str | None = None) -> LanceBackend:
        """Opens the gallery of a folder.

        Args:
            location: The folder.
            version: A version's number or tag, to read only.

        Raises:
            CrossModalError: No gallery, one of a later format, or no such version.
        """
        folder = Path(location)
        card = _read_card(folder)
        check_format(card.get("format"), f"gallery {location}")
        binding = Binding.from_dict(card.get("binding", {}), f"gallery {location}: {CARD}")
        table = _asked(location, lambda: _connect(folder).open_table(TABLE))
        if version is not None:
            known = {each["version"] for each in table.list_versions()} | set(table.tags.list())
            if version not in known:
                raise CrossModalError(
                    f"gallery {location}: expected a version of 1 to {table.version} or one of the tags "
                    f"{', '.join(sorted(table.tags.list())) or '(none)'}, found {version!r}"
                )
            table.checkout(version)
        return cls(location, binding, table, pinned=version is not None)

    @staticmethod
    def exists(location: str) -> bool:
        """Whether the folder holds a whole gallery."""
        return (Path(location) / CARD).is_file()

    @property
    def version(self) -> int:
        """Of the rows that reads see."""
        return int(self._lance.version)

    @property
    def schema(self) -> pa.Schema:
        """All columns."""
        return self._lance.schema

    def count(self) -> int:
        """How many rows."""
        return int(self._ask(lambda: self._lance.count_rows()))

    def refresh(self) -> bool:
        """Sees what others wrote."""
        before = self.version
        if not self.read_only:
            self._ask(self._lance.checkout_latest)
        return self.version != before

    def upsert(self, rows: pa.Table, known: bool = True) -> None:
        """Writes rows."""
        with writing(self._folder):
            self._lance.checkout_latest()
            rows, schema = aligned(rows, self.schema)
            if not known:
                self._refuse_known(rows["id"])
            self._ask(lambda: self._extend(schema))
            merge = self._lance.merge_insert("id").when_matched_update_all().when_not_matched_insert_all()
            self._ask(lambda: merge.execute(rows))

    def delete(self, ids: Sequence[str]) -> int:
        """Takes rows away."""
        if not len(ids):
            return 0
        with writing(self._folder):
            self._lance.checkout_latest()
            sql = Filter.of_ids(ids).to_sql(self.schema)
            before = self.count()
            if not self._ask(lambda: self._lance.count_rows(sql)):
                return 0
            self._ask(lambda: self._lance.delete(sql))
            return before - self.count()

    def table(
        self, columns: Sequence[str] | None = None, ids: Sequence[str] | None = None, where: Filter | None = None
    ) -> pa.Table:
        """Rows in any order."""
        names = columns_to_read(self.schema, columns)
        wanted = Filter.of_ids(ids) if ids is not None and len(ids) <= SQL_IDS else Filter()
        sql = (wanted & (where or Filter())).to_sql(self.schema)
        read = names if ids is None or wanted or "id" in names else [*names, "id"]
        query = self._lance.search().select(read).limit(None)
        rows = self._ask((query.where(sql) if sql else query).to_arrow)
        if ids is not None and not wanted:
            rows = rows.filter(pc.is_in(rows["id"], value_set=pa.array(ids, pa.string())))
        return rows.select(names)

    def nearest(self, queries: np.ndarray, k: int, where: Filter | None) -> Nearest | None:
        """Through the approximate index where one was built and nothing is filtered; else in memory."""
        probes = None if where else self._probes()
        if probes is None:
            return None
        ids = np.full((len(queries), k), None, object)
        scores = np.full((len(queries), k), -np.inf, np.float32)
        for row, query in enumerate(queries):
            search = self._lance.search(query, vector_column_name=VECTOR).select(["id", "_distance"]).limit(k)
            search = search.distance_type(self._distance).nprobes(probes).refine_factor(max(10, -(-REFINED // k)))
            found = self._ask(search.to_arrow)
            distances = found["_distance"].to_numpy()
            if self.binding.metric == "cosine":
                each = 1 - distances
            else:
                each = -np.sqrt(np.maximum(distances, 0))  # LanceDB gives squares
            names = found["id"].to_numpy()
            best = np.lexsort((names, -each))
            ids[row, : len(best)], scores[row, : len(best)] = names[best], each[best]
        return Nearest(ids, scores, exact=False)

    @property
    def indexed(self) -> bool:
        """Whether this version has the index; asked once a version."""
        version = self.version
        if self._indexed is None or self._indexed[0] != version:
            there = any(index.name == INDEX for index in self._ask(self._lance.list_indices))
            self._indexed = (version, there)
        return self._indexed[1]

    def build_index(self, probes: int) -> None:
        """Builds an IVF_PQ index."""
        from lancedb.index import IvfPq

        with writing(self._folder):
            self._lance.checkout_latest()
            rows = self.count()
            if rows < FEWEST_INDEXED:
                raise CrossModalError(
                    f"gallery {self.location}: expected at least {FEWEST_INDEXED} rows for an approximate index, "
                    f"found {rows}: an exact search is quicker"
                )
            dim = self.binding.dim
            bytes_each = max(dim // 8, min(dim // 4, 16))
            config = IvfPq(
                distance_type=self._distance,
                num_partitions=max(1, min(round(rows**0.5), rows // _TRAINED)),
                num_sub_vectors=max(part for part in range(1, max(bytes_each, 1) + 1) if dim % part == 0),
            )
            self._ask(lambda: self._lance.create_index(VECTOR, config=config, name=INDEX))
            self._replace_attachment(PROBES, json.dumps(probes).encode())
            self._indexed = None

    def drop_index(self) -> None:
        """Goes back to exact search."""
        with writing(self._folder):
            self._lance.checkout_latest()
            if self.indexed:
                self._ask(lambda: self._lance.drop_index(INDEX))
            self._indexed = None

    def versions(self) -> list[VersionFacts]:
        """All that were ever written."""
        names: dict[int, list[str]] = {}
        for name, facts in self._lance.tags.list().items():
            names.setdefault(facts["version"], []).append(name)
        found = []
        for each in self._ask(self._lance.list_versions):
            version, rows = each["version"], int(each["metadata"].get("total_rows", 0))
            created = each["timestamp"].astimezone(UTC).isoformat(timespec="seconds")
            found.append(VersionFacts(version, rows, created, tuple(sorted(names.get(version, ())))))
        return found

    def tag(self, name: str) -> None:
        """Names the version that reads see."""
        if not _NAME.fullmatch(name):
            raise CrossModalError(
                f"gallery {self.location}: expected a tag of letters, digits, _, . and -, found {name!r}"
            )
        with writing(self._folder):
            held = self._lance.tags.list().get(name)
            if held is not None and held["version"] != self.version:
                raise CrossModalError(
                    f"gallery {self.location}: expected a new tag, found {name!r} of version {held['version']}"
                )
            if held is None:
                self._ask(lambda: self._lance.tags.create(name, self.version))

    def optimise(self) -> None:
        """Brings the pieces of many small writes together."""
        with writing(self._folder):
            self._lance.checkout_latest()
            self._ask(lambda: self._lance.optimize(cleanup_older_than=KEEP))

    def attach(self, name: str, content: bytes) -> None:
        """Keeps bytes beside the rows."""
        with writing(self._folder):
            self._replace_attachment(name, content)

    def attachment(self, name: str) -> bytes | None:
        """What was attached under a name."""
        path = self._attachment(name)
        return path.read_bytes() if path.is_file() else None

    def close(self) -> None:
        """Lets go of the table."""
        self._table = None

    def _replace_attachment(self, name: str, content: bytes) -> None:
        path = self._attachment(name)
        path.parent.mkdir(exist_ok=True)
        replace_file(path, content)

    @property
    def _distance(self) -> Literal["cosine", "l2"]:
        return "cosine" if self.binding.metric == "cosine" else "l2"

    def _probes(self) -> int | None:
        """How many partitions to look into; None without an index."""
        if not self.indexed:
            return None
        stored = self.attachment(PROBES)
        return int(json.loads(stored)) if stored else None

    @property
    def _lance(self) -> Any:
        if os.getpid() != self._process:
            raise CrossModalError(
                f"gallery {self.location}: expected the process that opened it, found a fork of it: "
                'start processes by "spawn" and open the gallery in each'
            )
        if self._table is None:
            raise CrossModalError(f"gallery {self.location}: expected it open, found it closed")
        return self._table

    def _ask(self, question: Callable[[], _Result]) -> _Result:
        return _asked(self.location, question)

    def _attachment(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            raise CrossModalError(f"gallery {self.location}: expected a name for an attachment, found {name!r}")
        return self._folder / ATTACHMENTS / name

    def _extend(self, schema: pa.Schema) -> None:
        """Gives the stored table the columns and types of new rows."""
        stored = self.schema
        further = [schema.field(name) for name in schema.names if name not in stored.names]
        if further:
            self._lance.add_columns(pa.schema(further))
        changed = []
        for name in stored.names:
            if schema.field(name).type != stored.field(name).type:
                changed.append(name)
        if changed:  # LanceDB does not turn whole numbers into fractions: one version with all rows written anew
            rows = self._lance.to_arrow().cast(schema)
            self._table = _connect(self._folder).create_table(TABLE, data=rows, mode="overwrite")

    def _refuse_known(self, ids: pa.ChunkedArray) -> None:
        held = self.table(["id"], ids=ids.to_pylist())["id"]
        if len(held):
            raise CrossModalError(
                f"gallery {self.location}: expected new ids, found {pc.min(held).as_py()!r}, which it holds"
            )


def replace_file(path: Path, content: bytes) -> None:
    """Writes a file aside, brings it to the disk and renames it: readers meet the old or the new one, whole."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with open(draft, "wb") as handle:
            handle.write(content)
            handle.flush()
            os.fsync(handle.fileno())
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)


def _connect(folder: Path) -> Any:
    if os.getpid() in _FORKED:
        raise CrossModalError(
            f"gallery {folder}: expected a process started by itself, found a fork of one that used LanceDB: "
            'start processes by "spawn"'
        )
    os.environ.setdefault("LANCEDB_LOG", "error")  # its warnings are for its developers
    import lancedb

    if not _FORKED:
        os.register_at_fork(after_in_child=lambda: _FORKED.append(os.getpid()))
        _FORKED.append(0)
    return lancedb.connect(str(folder))


def _asked(location: str, question: Callable[[], _Result]) -> _Result:
    """Asks LanceDB; its failures become one line of ours."""
    try:
        return question()
    except CrossModalError:
        raise
    except (ValueError, RuntimeError, OSError, pa.ArrowException) as error:
        reason = str(error).splitlines()[0][:300] if str(error) else type(error).__name__
        raise CrossModalError(f"gallery {location}: expected LanceDB to read and write it, found {reason}") from None


def _left_over(location: str, database: Any) -> bool:
    """Whether a creation that was killed left a table; one with rows is none, somebody lost its card."""
    if not (Path(location) / f"{TABLE}.lance").exists():
        return False
    try:
        count = database.open_table(TABLE).count_rows()
    except (ValueError, RuntimeError, OSError):  # not even a first version
        return True
    if count:
        raise CrossModalError(f"gallery {location}: expected {CARD} beside its {count} rows, found none")
    return True


def _check_empty(folder: Path) -> None:
    """A folder to make a gallery in holds nothing, or what a creation that was killed left."""
    if folder.exists() and not folder.is_dir():
        raise CrossModalError(f"gallery {folder}: expected a folder, found a file")
    left = {f"{TABLE}.lance", ".writer.lock", ".writer.json"}
    others = sorted({path.name for path in folder.iterdir()} - left) if folder.exists() else []
    others = [name for name in others if not name.startswith(f".{CARD}.")]
    if others:
        raise CrossModalError(f"gallery {folder}: expected an empty folder or a gallery, found {others[0]} in it")


def _read_card(folder: Path) -> dict[str, Any]:
    path = folder / CARD
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        found = "none there" if folder.is_dir() else "no such folder"
        raise CrossModalError(f"gallery {folder}: expected a gallery's folder (with {CARD}), found {found}") from None
    except NotADirectoryError:
        raise CrossModalError(f"gallery {folder}: expected a gallery's folder (with {CARD}), found a file") from None
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise CrossModalError(f"{path}: expected JSON, found {error}") from None
    if not isinstance(card, dict):
        raise CrossModalError(f"{path}: expected a JSON object, found {type(card).__name__}")
    return card
