"""Rows in Milvus, for galleries that outgrow one machine: `milvus:http://HOST:19530#COLLECTION`, or a Lite file.

One client reaches all of them (`pymilvus.MilvusClient`); Milvus Lite (a file) is what the tests use, and serves one
process at a time. Milvus searches by itself, exactly while the index is FLAT (what this makes). It keeps no versions,
and one write is whole within a batch of `BATCH` rows only. Writers of one gallery should come one at a time.

A server that wants to know who asks gets its token (or "user:password") from CROSS_MODAL_MILVUS_TOKEN.
"""

from __future__ import annotations

import json
import logging
import os
import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa

from cross_modal.errors import CrossModalError
from cross_modal.gallery.backends.milvus_facts import MilvusFacts
from cross_modal.gallery.backends.milvus_rows import FIXED, entities, rows_of, schema_of, types_of
from cross_modal.gallery.backends.port import FORMAT, Nearest, VersionFacts, check_format, columns_to_read, no_index
from cross_modal.gallery.binding import Binding
from cross_modal.gallery.filter import Condition, Filter
from cross_modal.gallery.schema import LONGEST_ID, THUMBNAIL, VECTOR, aligned

TOKEN = "CROSS_MODAL_MILVUS_TOKEN"
COLLECTION = "cross_modal"
BATCH = 2048  # rows in one request: 8 MB at 1,024 numbers each, of the 64 MB that a server takes
_IDS = 5000  # names in one request
_MOST = 16_384  # hits that a server gives
_QUERIES = 1000  # in one request
_SPARE = 16  # further hits, so that equal scores at the end are taken by id
_ROUNDING = 1e-6
_PATIENCE = 10.0  # seconds to reach a server
_CARD, _TYPES, _VERSION, _ATTACHED = "card", "types", "version", "attached:"
_Result = TypeVar("_Result")


class MilvusBackend:
    """Rows in Milvus; see `port.Backend`."""

    def __init__(self, location: str, client: Any, collection: str, binding: Binding) -> None:
        self.location = location
        self.binding = binding
        self.read_only = False
        self._client = client
        self._collection = collection
        self._facts = MilvusFacts(client, f"{collection}_facts")
        self._read_facts()
        index = self._ask(lambda: client.describe_index(collection, VECTOR)) or {}
        self._exact = index.get("index_type", "FLAT") == "FLAT"

    @classmethod
    def create(cls, location: str, binding: Binding) -> MilvusBackend:
        """Makes an empty one, or opens the one that is there."""
        client, collection = _connect(location, new=True)
        facts = MilvusFacts(client, f"{collection}_facts")

        def make() -> None:
            if not _made(client, collection):
                for name in (collection, f"{collection}_facts"):  # what a creation that was killed left
                    if client.has_collection(name):
                        client.drop_collection(name)
                _create_collection(client, collection, binding)
                facts.create()
                facts.put(_VERSION, b"1")
                facts.put(_TYPES, b"{}")
                facts.put(_CARD, json.dumps({"format": FORMAT, "binding": binding.to_dict()}).encode())

        _asked(location, make)
        return cls._opened(location, client, collection)

    @classmethod
    def open(cls, location: str, version: int | str | None = None) -> MilvusBackend:
        """Opens one.

        Raises:
            CrossModalError: There is none, or a version was asked for.
        """
        if version is not None:
            raise CrossModalError(f"gallery {location}: expected no version (Milvus keeps none), found {version!r}")
        client, collection = _connect(location, new=False)
        if not _asked(location, lambda: _made(client, collection)):
            raise CrossModalError(f"gallery {location}: expected a gallery's collection {collection!r}, found none")
        return cls._opened(location, client, collection)

    @staticmethod
    def exists(location: str) -> bool:
        """Whether there is one."""
        address, _ = _parts(location)
        if not _remote(address) and not Path(address).exists():
            return False
        client, collection = _connect(location, new=False)
        try:
            return _asked(location, lambda: _made(client, collection))
        finally:
            client.close()

    @classmethod
    def _opened(cls, location: str, client: Any, collection: str) -> MilvusBackend:
        for name in (collection, f"{collection}_facts"):
            _asked(location, lambda name=name: client.load_collection(name))  # type: ignore[misc]
        card = json.loads(_asked(location, lambda: MilvusFacts(client, f"{collection}_facts").get(_CARD)) or b"{}")
        check_format(card.get("format"), f"gallery {location}")
        return cls(location, client, collection, Binding.from_dict(card.get("binding", {}), f"gallery {location}"))

    @property
    def version(self) -> int:
        """Goes up with each write; the rows themselves are always the last ones."""
        return self._version

    @property
    def schema(self) -> pa.Schema:
        """All columns."""
        return self._schema

    def count(self) -> int:
        """How many rows."""
        found = self._ask(lambda: self._client.query(self._collection, filter="", output_fields=["count(*)"]))
        return int(found[0]["count(*)"])

    def refresh(self) -> bool:
        """Sees what others wrote."""
        before = self._version
        self._read_facts()
        return self._version != before

    def upsert(self, rows: pa.Table, known: bool = True) -> None:
        """Writes rows, `BATCH` at a time."""
        self._read_facts()
        rows, schema = aligned(rows, self._schema)
        if not known:
            held = self.table(["id"], ids=rows["id"].to_pylist())["id"].to_pylist()
            if held:
                raise CrossModalError(f"gallery {self.location}: expected new ids, found {min(held)!r}, which it holds")
        if types_of(schema) != types_of(self._schema):
            self._ask(lambda: self._facts.put(_TYPES, json.dumps(types_of(schema)).encode()))
        for batch in entities(rows, BATCH):
            self._ask(lambda batch=batch: self._client.upsert(self._collection, batch))  # type: ignore[misc]
        self._written()

    def delete(self, ids: Sequence[str]) -> int:
        """Takes rows away."""
        held = self.table(["id"], ids=ids)["id"].to_pylist()
        for at in range(0, len(held), _IDS):
            # Not delete(ids=…): the client writes names into an expression without escaping quotes and backslashes.
            some = Filter.of_ids(held[at : at + _IDS]).to_milvus(self._schema, FIXED)
            self._ask(lambda some=some: self._client.delete(self._collection, filter=some))  # type: ignore[misc]
        if held:
            self._written()
        return len(held)

    def table(
        self, columns: Sequence[str] | None = None, ids: Sequence[str] | None = None, where: Filter | None = None
    ) -> pa.Table:
        """Rows in any order."""
        names = columns_to_read(self._schema, columns)
        condition = where.to_milvus(self._schema, FIXED) if where else ""
        if ids is None:
            found = self._ask(lambda: self._all(names, condition))
        else:
            found = []
            wanted = list(dict.fromkeys(ids))
            for at in range(0, len(wanted), _IDS):
                chosen = Filter.of_ids(wanted[at : at + _IDS]).to_milvus(self._schema, FIXED)
                both = f"{chosen} and {condition}" if condition else chosen
                found += self._ask(lambda both=both: self._all(names, both))  # type: ignore[misc]
        return rows_of(found, self._schema, names)

    def nearest(self, queries: np.ndarray, k: int, where: Filter | None) -> Nearest | None:
        """Searches in Milvus; more hits than it gives are searched in memory."""
        if k + _SPARE > _MOST:
            return None
        condition = where.to_milvus(self._schema, FIXED) if where else ""
        ids = np.full((len(queries), k), None, object)
        scores = np.full((len(queries), k), -np.inf, np.float32)
        cosine = self.binding.metric == "cosine"
        for at in range(0, len(queries), _QUERIES):
            some = queries[at : at + _QUERIES]
            answers = self._ask(
                lambda some=some: self._client.search(  # type: ignore[misc]
                    self._collection, data=list(some), limit=k + _SPARE, filter=condition, output_fields=["id"]
                )
            )
            for query, hits in enumerate(answers, at):
                best = _ordered([(_score(hit["distance"], cosine), hit["id"]) for hit in hits])[:k]
                ids[query, : len(best)] = [name for _, name in best]
                scores[query, : len(best)] = [score for score, _ in best]
        return Nearest(ids, scores, self._exact)

    @property
    def indexed(self) -> bool:
        """Never by this package."""
        return False

    def build_index(self, probes: int) -> None:
        """Milvus has indexes of its own; this makes FLAT ones only."""
        raise no_index(self.location)

    def drop_index(self) -> None:
        """There is none but the FLAT one."""

    def versions(self) -> list[VersionFacts]:
        """The rows as they are: Milvus keeps no versions."""
        return [VersionFacts(self._version, self.count())]

    def tag(self, name: str) -> None:
        """Refused: there is nothing to name."""
        raise CrossModalError(f"gallery {self.location}: expected a folder (LanceDB) to tag a version of, found Milvus")

    def optimise(self) -> None:
        """Seals what was written, which searches faster."""
        self._ask(lambda: self._client.flush(self._collection))

    def attach(self, name: str, content: bytes) -> None:
        """Keeps bytes beside the rows."""
        self._ask(lambda: self._facts.put(_ATTACHED + name, content))

    def attachment(self, name: str) -> bytes | None:
        """What was attached under a name."""
        return self._ask(lambda: self._facts.get(_ATTACHED + name))

    def close(self) -> None:
        """Lets go of the connection."""
        self._client.close()

    def _all(self, names: Sequence[str], condition: str) -> list[dict[str, Any]]:
        """All entities of a condition, however many."""
        found: list[dict[str, Any]] = []
        # One iterator a page, in the order of ids: an iterator's own second page names the last id without escaping it.
        rest = condition
        while True:
            pages = self._client.query_iterator(
                self._collection, batch_size=BATCH, filter=rest, output_fields=list({"id": None} | dict.fromkeys(names))
            )
            page = pages.next()
            pages.close()
            if not page:
                return found
            found += page
            after = Filter((Condition("id", ">", (page[-1]["id"],)),)).to_milvus(self._schema, FIXED)
            rest = f"{after} and ({condition})" if condition else after

    def _written(self) -> None:
        """Another version: the time, so that it never goes back whoever writes."""
        version = max(self._version + 1, time.time_ns() // 1000)
        self._ask(lambda: self._facts.put(_VERSION, str(version).encode()))
        self._read_facts()

    def _read_facts(self) -> None:
        self._version = int(self._ask(lambda: self._facts.get(_VERSION)) or 1)
        types = json.loads(self._ask(lambda: self._facts.get(_TYPES)) or b"{}")
        self._schema = schema_of(types, self.binding.dim)

    def _ask(self, question: Callable[[], _Result]) -> _Result:
        return _asked(self.location, question)


def _score(distance: float, cosine: bool) -> float:
    """Milvus gives cosines, and squares of Euclidean distances."""
    return distance if cosine else -float(np.sqrt(max(distance, 0.0)))


def _ordered(hits: list[tuple[float, str]]) -> list[tuple[float, str]]:
    """Best first, and by id where scores differ by no more than the rounding of another order of sums.

    >>> _ordered([(0.5, "a"), (0.9, "c"), (0.90000001, "d"), (0.9, "b")])
    [(0.90000001, 'b'), (0.90000001, 'c'), (0.90000001, 'd'), (0.5, 'a')]
    """
    ordered, before, shown = [], float("inf"), float("inf")
    for score, name in sorted(hits, reverse=True):
        if before - score > _ROUNDING * max(1.0, abs(score)):
            shown = score
        ordered.append((shown, name))
        before = score
    return sorted(ordered, key=lambda hit: (-hit[0], hit[1]))


def _create_collection(client: Any, collection: str, binding: Binding) -> None:
    from pymilvus import DataType, MilvusClient

    schema = MilvusClient.create_schema(auto_id=False, enable_dynamic_field=True)
    schema.add_field("id", DataType.VARCHAR, is_primary=True, max_length=LONGEST_ID)
    schema.add_field(THUMBNAIL, DataType.VARCHAR, max_length=65_535, nullable=True)
    schema.add_field(VECTOR, DataType.FLOAT_VECTOR, dim=binding.dim)
    index = client.prepare_index_params()
    metric = "COSINE" if binding.metric == "cosine" else "L2"
    index.add_index(VECTOR, index_type="FLAT", metric_type=metric)
    client.create_collection(collection, schema=schema, index_params=index, consistency_level="Strong")


def _made(client: Any, collection: str) -> bool:
    """Whether a gallery is whole: its card is written last."""
    facts = f"{collection}_facts"
    if not (client.has_collection(collection) and client.has_collection(facts)):
        return False
    client.load_collection(facts)
    return MilvusFacts(client, facts).get(_CARD) is not None


def _parts(location: str) -> tuple[str, str]:
    """Address and collection.

    >>> _parts("milvus:http://host:19530#shoes"), _parts("milvus:refs.db")
    (('http://host:19530', 'shoes'), ('refs.db', 'cross_modal'))
    """
    address, _, collection = location.removeprefix("milvus:").partition("#")
    collection = collection or COLLECTION
    if not address or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,200}", collection):
        raise CrossModalError(
            f"gallery {location}: expected milvus:ADDRESS or milvus:ADDRESS#COLLECTION (letters, digits, _)"
        )
    return address, collection


def _remote(address: str) -> bool:
    return "://" in address


def _connect(location: str, *, new: bool) -> tuple[Any, str]:
    address, collection = _parts(location)
    if not _remote(address) and not new and not Path(address).exists():
        raise CrossModalError(f"gallery {location}: expected a Milvus Lite file, found no such file")
    try:
        from pymilvus import MilvusClient

        logging.getLogger("pymilvus").setLevel(logging.CRITICAL)  # what fails is said once, by us
    except ImportError:
        raise CrossModalError(
            f'gallery {location}: expected pymilvus, found it is not installed: pip install "cross-modal[milvus]"'
        ) from None
    if not _remote(address):
        try:
            import milvus_lite  # noqa: F401
        except ImportError:
            raise CrossModalError(
                f"gallery {location}: expected milvus-lite for a file, found none: pip install milvus-lite"
            ) from None
        Path(address).parent.mkdir(parents=True, exist_ok=True)
    token = os.environ.get(TOKEN, "")
    return _asked(location, lambda: MilvusClient(address, token=token, timeout=_PATIENCE)), collection


def _asked(location: str, question: Callable[[], _Result]) -> _Result:
    """Asks Milvus; its failures become one line of ours."""
    from pymilvus.exceptions import MilvusException

    try:
        return question()
    except MilvusException as error:
        reason = (error.message or str(error)).splitlines()[0][:300]
        if "Open local milvus failed" in reason:
            reason = f"that it does not open: another process has it open, or it is no file of Milvus Lite 3 ({reason})"
        raise CrossModalError(f"gallery {location}: expected Milvus to answer, found {reason}") from None
