"""What Milvus keeps beside the rows: a second collection of keys and small texts.

A value longer than a field is kept in parts under a name of their own; the key is turned to them in one write, so that
readers meet the old value or the new one, whole.
"""

from __future__ import annotations

import base64
import json
import uuid
from typing import Any

_PART = 60_000  # characters of base64; a VARCHAR holds 65,535 bytes
_AT_ONCE = 100  # parts in one request: 6 MB, a tenth of what a server takes


class MilvusFacts:
    """Bytes under names, in a collection.

    Args:
        client: A `pymilvus.MilvusClient`.
        collection: Its name.
    """

    def __init__(self, client: Any, collection: str) -> None:
        self._client, self._collection = client, collection

    def create(self) -> None:
        """Makes the collection."""
        from pymilvus import DataType, MilvusClient

        schema = MilvusClient.create_schema(auto_id=False)
        schema.add_field("key", DataType.VARCHAR, is_primary=True, max_length=1024)
        schema.add_field("value", DataType.VARCHAR, max_length=65_535)
        schema.add_field("vector", DataType.FLOAT_VECTOR, dim=2)  # Milvus wants one
        index = self._client.prepare_index_params()
        index.add_index("vector", index_type="FLAT", metric_type="L2")
        self._client.create_collection(self._collection, schema=schema, index_params=index, consistency_level="Strong")

    def put(self, name: str, content: bytes) -> None:
        """Keeps bytes under a name, replacing what was there."""
        before = self._head(name)
        text = base64.b64encode(content).decode()
        parts = [text[at : at + _PART] for at in range(0, len(text), _PART)]
        generation = uuid.uuid4().hex
        keys = [f"{name}/{generation}/{part}" for part in range(len(parts))]
        for at in range(0, len(parts), _AT_ONCE):
            self._write(dict(zip(keys[at : at + _AT_ONCE], parts[at : at + _AT_ONCE], strict=True)))
        self._write({name: json.dumps({"generation": generation, "parts": len(parts)})})
        if before is not None and before["parts"]:
            old = [f"{name}/{before['generation']}/{part}" for part in range(before["parts"])]
            self._client.delete(self._collection, ids=old)

    def get(self, name: str) -> bytes | None:
        """The bytes under a name."""
        head = self._head(name)
        if head is None:
            return None
        keys = [f"{name}/{head['generation']}/{part}" for part in range(head["parts"])]
        found: dict[str, str] = {}
        for at in range(0, len(keys), _AT_ONCE):
            found.update(self._read(keys[at : at + _AT_ONCE]))
        return base64.b64decode("".join(found[key] for key in keys))

    def _head(self, name: str) -> dict[str, Any] | None:
        found = self._read([name])
        return json.loads(found[name]) if found else None

    def _read(self, keys: list[str]) -> dict[str, str]:
        rows = self._client.get(self._collection, ids=keys, output_fields=["key", "value"])
        return {row["key"]: row["value"] for row in rows}

    def _write(self, values: dict[str, str]) -> None:
        rows = [{"key": key, "value": value, "vector": [0.0, 0.0]} for key, value in values.items()]
        self._client.upsert(self._collection, rows)
