"""The columns of a gallery, and the only door for new rows: what is stored is known to be sound.

A row is one embedding (a *reference*). Rows are everywhere in ascending order of their ids, so that ties are broken the
same way by every backend.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from cross_modal.errors import CrossModalError
from cross_modal.gallery.binding import Binding

Kind = Literal["image", "text"]
KINDS = ("image", "text")
VECTOR, THUMBNAIL = "vector", "thumbnail"
HEAVY = (VECTOR, THUMBNAIL)  # read only when asked for
FIELDS: dict[str, pa.DataType] = {
    "id": pa.string(),
    "kind": pa.string(),
    "label": pa.string(),
    "text": pa.string(),
    "image": pa.string(),
    "split": pa.string(),
    "group": pa.string(),
    "genuine": pa.bool_(),
    "content": pa.string(),
    "source": pa.string(),
}
_REQUIRED = ("id", "kind", "content", VECTOR)
_NAME = re.compile(r"\w[\w \-]*")
_UNIT = 1e-3  # how far from one a length may be: float16 weights and sums of float32
LONGEST_ID = 1024  # bytes


def gallery_schema(dim: int) -> pa.Schema:
    """The columns that every gallery has, the vector and the thumbnail last.

    >>> gallery_schema(4).names[:3]
    ['id', 'kind', 'label']
    """
    columns = [pa.field(name, kind) for name, kind in FIELDS.items()]
    return pa.schema([*columns, pa.field(THUMBNAIL, pa.binary()), pa.field(VECTOR, pa.list_(pa.float32(), dim))])


def reference_table(
    ids: Sequence[str],
    vectors: np.ndarray,
    *,
    kinds: Sequence[Kind] | Kind,
    contents: Sequence[str],
    binding: Binding,
    labels: Sequence[str | None] | None = None,
    texts: Sequence[str | None] | None = None,
    images: Sequence[str | None] | None = None,
    splits: Sequence[str | None] | None = None,
    groups: Sequence[str | None] | None = None,
    genuine: Sequence[bool] | None = None,
    sources: Sequence[str] | str = "",
    thumbnails: Sequence[bytes | None] | None = None,
    extra: Mapping[str, Sequence[Any]] | None = None,
) -> pa.Table:
    """Rows for a gallery.

    Args:
        ids: N unique names.
        vectors: (N, dim) embeddings.
        kinds: What was embedded, for each row or for all.
        contents: N hashes (hex) of what was embedded.
        binding: The gallery's model: what dim and length are expected.
        labels: N labels.
        texts: N texts.
        images: N paths.
        splits: N splits.
        groups: N groups.
        genuine: N; true unless given.
        sources: Where rows come from, for each or for all.
        thumbnails: N small pictures, encoded (PNG or WebP).
        extra: Further columns of N strings or numbers each.

    Returns:
        A table of the gallery's columns, checked.

    Raises:
        CrossModalError: One line that says which row or column is wrong.

    >>> binding = Binding("1a2b", "cosine", 2, True)
    >>> eye = np.eye(2, dtype=np.float32)
    >>> reference_table(["a", "b"], eye, kinds="image", contents=["0", "1"], binding=binding).num_rows
    2
    """
    count = len(ids)
    values: dict[str, Any] = {
        "id": ids,
        "kind": [kinds] * count if isinstance(kinds, str) else kinds,
        "label": labels,
        "text": texts,
        "image": images,
        "split": splits,
        "group": groups,
        "genuine": [True] * count if genuine is None else genuine,
        "content": contents,
        "source": [sources] * count if isinstance(sources, str) else sources,
        THUMBNAIL: thumbnails,
    }
    columns: dict[str, pa.Array] = {}
    for name, column in values.items():
        kind = pa.binary() if name == THUMBNAIL else FIELDS[name]
        columns[name] = _column(name, [None] * count if column is None else column, kind, count)
    for name, column in (extra or {}).items():
        if name in columns or name == VECTOR:
            raise CrossModalError(f"gallery: expected further columns beside its own, found another {name!r}")
        columns[name] = _column(name, column, None, count)
    columns[VECTOR] = vector_column(vectors, count, binding.dim)
    return check_table(pa.table(columns), binding)


def vector_column(vectors: np.ndarray, count: int, dim: int) -> pa.Array:
    """(N, dim) numbers as a column; `check_table` looks at their values."""
    vectors = np.asarray(vectors)
    if vectors.shape != (count, dim):
        raise CrossModalError(f"gallery: expected vectors {(count, dim)}, found {vectors.shape}")
    flat = pa.array(np.ascontiguousarray(vectors, np.float32).reshape(-1))
    return pa.FixedSizeListArray.from_arrays(flat, dim)


def to_matrix(column: pa.ChunkedArray | pa.Array) -> np.ndarray:
    """A vector column as (N, dim) float32; no copy where it is one chunk without nulls."""
    chunks = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
    dim = column.type.list_size
    parts = [chunk.flatten().to_numpy(zero_copy_only=not chunk.null_count).reshape(-1, dim) for chunk in chunks]
    if not parts:
        return np.zeros((0, dim), np.float32)
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def check_table(table: pa.Table, binding: Binding) -> pa.Table:
    """Checks rows that somebody wants to store.

    Args:
        table: At least the columns id, kind, content and vector.
        binding: The gallery's model.

    Returns:
        The table with all the gallery's columns, in order; its own further ones after them.

    Raises:
        CrossModalError: One line that says which row or column is wrong.
    """
    missing = [name for name in _REQUIRED if name not in table.column_names]
    if missing:
        raise CrossModalError(f"gallery: expected a column {missing[0]!r}, found {', '.join(table.column_names)}")
    _check_ids(table["id"])
    kinds = set(pc.unique(table["kind"]).to_pylist())
    if not kinds <= set(KINDS):
        wrong = sorted(map(repr, kinds - set(KINDS)))[0]
        raise CrossModalError(f'gallery: expected the kind "image" or "text", found {wrong}')
    if table["content"].null_count:
        raise CrossModalError(
            f"gallery: expected a content hash in every row, found {table['content'].null_count} without"
        )
    columns: dict[str, Any] = {}
    for field in gallery_schema(binding.dim):
        if field.name == VECTOR:
            continue
        if field.name in table.column_names:
            columns[field.name] = _cast(table[field.name], field.type, field.name)
        else:
            fill = True if field.name == "genuine" else "" if field.name == "source" else None
            columns[field.name] = pa.array([fill] * table.num_rows, field.type)
    for name in table.column_names:
        if name not in columns and name != VECTOR:
            columns[name] = _further(table[name], name)
    columns[VECTOR] = _checked_vectors(table, binding)
    return pa.table(columns)


def _check_ids(ids: pa.ChunkedArray) -> None:
    if not pa.types.is_string(ids.type) or ids.null_count:
        raise CrossModalError(
            f"gallery: expected a string as the id of every row, found {ids.type} with {ids.null_count} empty"
        )
    counts = pc.value_counts(ids)
    twice = counts.filter(pc.greater(counts.field("counts"), 1))
    if len(twice):
        raise CrossModalError(
            f"gallery: expected unique ids, found {twice[0]['values'].as_py()!r} {twice[0]['counts'].as_py()} times"
        )
    lengths = pc.binary_length(ids)
    if len(ids) and (pc.min(lengths).as_py() < 1 or pc.max(lengths).as_py() > LONGEST_ID):
        found = f"{pc.min(lengths).as_py()} to {pc.max(lengths).as_py()}"
        raise CrossModalError(f"gallery: expected ids of 1 to {LONGEST_ID} bytes, found {found}")


def _checked_vectors(table: pa.Table, binding: Binding) -> pa.Array:
    column = table[VECTOR]
    kind = column.type
    if (
        not pa.types.is_fixed_size_list(kind)
        or kind.list_size != binding.dim
        or not pa.types.is_floating(kind.value_type)
    ):
        raise CrossModalError(f"gallery: expected vectors of {binding.dim} numbers, found {kind}")
    if column.null_count:
        raise CrossModalError(f"gallery: expected a vector in every row, found {column.null_count} without")
    values = to_matrix(column)
    with np.errstate(over="ignore", invalid="ignore"):
        squares = np.einsum("nd,nd->n", values, values)
    wrong = np.flatnonzero(~np.isfinite(squares))
    if len(wrong):
        name = table["id"][int(wrong[0])].as_py()
        raise CrossModalError(f"gallery: expected finite vectors, found {len(wrong)} that are not ({name!r} is one)")
    if binding.metric == "cosine":
        wrong = np.flatnonzero(np.abs(np.sqrt(squares) - 1) > _UNIT)
        if len(wrong):
            name, length = table["id"][int(wrong[0])].as_py(), float(np.sqrt(squares[wrong[0]]))
            raise CrossModalError(
                f"gallery: expected vectors of length 1 (cosine), found {len(wrong)} others ({name!r}: {length:.4g})"
            )
    return vector_column(values, table.num_rows, binding.dim)


def _column(name: str, values: Sequence[Any], kind: pa.DataType | None, count: int) -> pa.Array:
    if len(values) != count:
        raise CrossModalError(f"gallery: expected {count} values in column {name!r}, found {len(values)}")
    try:
        column = pa.array(values, kind, from_pandas=True)
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        reason = str(error).splitlines()[0]
        raise CrossModalError(f"gallery: expected values of one type in column {name!r}, found {reason}") from None
    return column


def is_further(name: str) -> bool:
    """Whether a manifest's own column may be called so beside the gallery's.

    >>> is_further("price"), is_further("source"), is_further("_row"), is_further("a.b")
    (True, False, False, False)
    """
    return name not in (*FIELDS, *HEAVY) and bool(_NAME.fullmatch(name)) and not name.startswith("_")


def _further(column: pa.ChunkedArray, name: str) -> pa.ChunkedArray:
    """One of the manifest's own columns: strings, whole numbers, numbers or booleans."""
    if not is_further(name):
        raise CrossModalError(
            f"gallery: expected column names of letters, digits, _, - and blanks that start with no _, found {name!r}"
        )
    kind = column.type
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_null(kind) or pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return _cast(column, pa.string(), name)
    for found, wanted in (
        (pa.types.is_boolean, pa.bool_()),
        (pa.types.is_integer, pa.int64()),
        (pa.types.is_floating, pa.float64()),
    ):
        if found(kind):
            return _cast(column, wanted, name)
    raise CrossModalError(f"gallery: expected strings, numbers or booleans in column {name!r}, found {kind}")


def _cast(column: pa.ChunkedArray, kind: pa.DataType, name: str) -> pa.ChunkedArray:
    try:
        return column.cast(kind)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        raise CrossModalError(f"gallery: expected {kind} in column {name!r}, found {column.type}") from None


def aligned(rows: pa.Table, stored: pa.Schema) -> tuple[pa.Table, pa.Schema]:
    """Brings new rows and stored columns together: columns that one side lacks are empty there.

    Args:
        rows: Checked rows.
        stored: The columns of the table they go to.

    Returns:
        The rows with all columns (stored ones first, in order), and the columns that the table must have for them.

    Raises:
        CrossModalError: A column of one name with types that do not go together.
    """
    fields, columns = [], []
    for field in stored:
        kind, column = field.type, rows[field.name] if field.name in rows.column_names else None
        if column is not None and column.type != kind:
            if pa.types.is_integer(column.type) and pa.types.is_floating(kind):
                column = _cast(column, kind, field.name)
            elif column.null_count == len(column):
                column = pa.chunked_array([pa.nulls(len(column), kind)])
            elif not (pa.types.is_floating(column.type) and pa.types.is_integer(kind)):
                raise CrossModalError(f"gallery: expected {kind} in column {field.name!r}, found {column.type}")
            else:
                kind = column.type  # whole numbers so far, fractions from now on
        fields.append(pa.field(field.name, kind))
        columns.append(pa.chunked_array([pa.nulls(rows.num_rows, kind)]) if column is None else column)
    for name in rows.column_names:
        if name not in stored.names:
            fields.append(pa.field(name, rows[name].type))
            columns.append(rows[name])
    schema = pa.schema(fields)
    return pa.table(columns, schema=schema), schema
