"""Rows as Milvus keeps them: the id, the vector and the thumbnail are fields, everything else is dynamic (JSON).

A value that a row does not have is left out, so that `exists` tells the one from the other. Types of columns are kept
beside the rows, since JSON knows no difference between 2 and 2.0.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from cross_modal.gallery.schema import THUMBNAIL, VECTOR, gallery_schema, to_matrix, vector_column

FIXED = ("id", THUMBNAIL, VECTOR)
_TYPES = {str(kind): kind for kind in (pa.string(), pa.int64(), pa.float64(), pa.bool_())}


def entities(rows: pa.Table, at_most: int) -> Iterator[list[dict[str, Any]]]:
    """Rows as JSON-able entities, in batches of at most so many."""
    for batch in rows.to_batches(at_most):
        vectors = to_matrix(batch.column(batch.schema.names.index(VECTOR)))
        facts = batch.drop_columns([VECTOR, THUMBNAIL]).to_pylist()
        thumbnails = batch.column(batch.schema.names.index(THUMBNAIL)).to_pylist()
        yield [
            {
                **{name: value for name, value in row.items() if value is not None},
                VECTOR: vector,
                THUMBNAIL: None if thumbnail is None else base64.b64encode(thumbnail).decode(),
            }
            for row, vector, thumbnail in zip(facts, vectors, thumbnails, strict=True)
        ]


def rows_of(found: Sequence[Mapping[str, Any]], schema: pa.Schema, names: Sequence[str]) -> pa.Table:
    """Entities as rows.

    Args:
        found: What Milvus answered.
        schema: Types of the columns.
        names: The columns wanted.
    """
    columns = []
    for name in names:
        kind = schema.field(name).type
        if name == VECTOR:
            vectors = np.array([each[VECTOR] for each in found], np.float32).reshape(-1, kind.list_size)
            columns.append(vector_column(vectors, len(found), kind.list_size))
        elif name == THUMBNAIL:
            written = [each.get(THUMBNAIL) for each in found]
            columns.append(pa.array([None if text is None else base64.b64decode(text) for text in written], kind))
        else:
            values = [each.get(name) for each in found]
            columns.append(pa.array(values, kind))
    return pa.table(columns, names=list(names))


def types_of(schema: pa.Schema) -> dict[str, str]:
    """Names and types of the columns that not every gallery has, JSON-able."""
    own = set(gallery_schema(1).names)
    return {field.name: str(field.type) for field in schema if field.name not in own}


def schema_of(types: Mapping[str, str], dim: int) -> pa.Schema:
    """The columns of a gallery with these further ones."""
    own = gallery_schema(dim)
    further = [pa.field(name, _TYPES[kind]) for name, kind in types.items()]
    return pa.schema([*own, *further])
