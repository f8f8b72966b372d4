"""Near-duplicates for people and for programs: tables of the best pairs and the largest groups, a CSV file of all."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cross_modal.errors import CrossModalError
from cross_modal_mlflow.gallery_table import shown

if TYPE_CHECKING:
    import pyarrow as pa
    from rich.table import Table

    from cross_modal_mlflow.duplicates_found import Found

_FACTS = ("id", "kind", "label", "text", "image", "split")
_NAME, _TEXT = 24, 40  # widest label and text on the terminal
_CHUNK = 100_000  # pairs written at a time


def pair_rows(found: Found, first: int = 0, last: int | None = None) -> pa.Table:
    """Pairs with what is known of both items.

    Args:
        found: What was found.
        first: The first pair.
        last: One past the last.

    Returns:
        Columns score, identical, duplicate_group and, for a and b, id, label, text, image, split; kind is one.
    """
    import pyarrow as pa

    pairs = found.pairs.take(np.arange(len(found.pairs))[first:last])
    a, b = (found.matrix.facts.select(_FACTS).take(pa.array(rows)) for rows in (pairs.a, pairs.b))
    columns: dict[str, Any] = {
        "score": pairs.scores,
        "identical": pairs.identical,
        "duplicate_group": found.group[pairs.a],
        "kind": a["kind"],
    }
    for name in _FACTS:
        if name != "kind":
            columns |= {f"{name}_a": a[name], f"{name}_b": b[name]}
    return pa.table(columns)


def group_rows(found: Found, count: int, members: int) -> list[dict[str, Any]]:
    """The largest groups: number, size, labels, splits and their first members.

    Args:
        found: What was found.
        count: Groups at most.
        members: Members of each at most.
    """
    order = np.argsort(found.group, kind="stable")
    order = order[found.group[order] >= 0]
    starts = np.concatenate([[0], np.cumsum(found.sizes)])
    columns = {name: found.matrix.column(name) for name in ("id", "kind", "label", "split")}
    listed = []
    for number in range(min(count, len(found.sizes))):
        rows = order[starts[number] : starts[number + 1]]
        listed.append(
            {
                "duplicate_group": number,
                "size": len(rows),
                "kind": columns["kind"][rows[0]],
                "labels": sorted({name for name in columns["label"][rows].tolist() if name is not None}),
                "splits": sorted({name for name in columns["split"][rows].tolist() if name is not None}),
                "rows": rows[:members].tolist(),
                "ids": columns["id"][rows[:members]].tolist(),
            }
        )
    return listed


def pairs_table(found: Found, count: int) -> Table:
    """The most alike pairs; columns in which nothing stands are left out."""
    from rich.table import Table
    from rich.text import Text

    rows = pair_rows(found, 0, count).to_pylist()
    table = Table(title="most alike", title_justify="left", header_style="bold")
    table.add_column("score", justify="right")
    columns = ["id_a", "id_b"]
    for name in ("label", "text", "split"):
        if any(row[f"{name}_{side}"] for row in rows for side in "ab"):
            columns.append(name)
    for name in columns:
        table.add_column(name.replace("_", " "), overflow="fold")
    for row in rows:
        cells = ["same bytes" if row["identical"] else f"{row['score']:.4f}"]
        for name in columns:
            if name.startswith("id_"):
                cells.append(shown(row[name]))
            else:
                cells.append(_both(row[f"{name}_a"], row[f"{name}_b"], _TEXT if name == "text" else _NAME))
        table.add_row(*map(Text, cells))
    return table


def groups_table(found: Found, count: int) -> Table:
    """The largest groups."""
    from rich.table import Table
    from rich.text import Text

    table = Table(title="largest groups", title_justify="left", header_style="bold")
    table.add_column("group", justify="right")
    table.add_column("items", justify="right")
    for name in ("labels", "splits", "first ids"):
        table.add_column(name, overflow="fold")
    for row in group_rows(found, count, 4):
        ids = ", ".join(shown(name) for name in row["ids"]) + (", …" if row["size"] > len(row["ids"]) else "")
        cells = [str(row["duplicate_group"]), f"{row['size']:,}", _listed(row["labels"]), _listed(row["splits"]), ids]
        table.add_row(*map(Text, cells))
    return table


def leak_lines(found: Found) -> list[str]:
    """What splits share, in a sentence each."""
    return [
        f"{leak.splits[0]} and {leak.splits[1]} share {leak.pairs:,} pair{'' if leak.pairs == 1 else 's'}: "
        f"{leak.items[0]:,} of {leak.splits[0]}, {leak.items[1]:,} of {leak.splits[1]}"
        + (f" ({leak.identical:,} of the same bytes)" if leak.identical else "")
        for leak in found.leaks
    ]


def write_pairs(found: Found, out: str) -> None:
    """All pairs as CSV, the most alike first; a file is written whole or not at all.

    Args:
        found: What was found.
        out: The file; "-" is the terminal.

    Raises:
        CrossModalError: The file cannot be written.
    """
    if out == "-":
        _write(found, sys.stdout.buffer)
        sys.stdout.flush()
        return
    path, aside = Path(out), None
    try:
        handle, aside = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
        with os.fdopen(handle, "wb") as file:
            _write(found, file)
        os.chmod(aside, 0o644)
        os.replace(aside, path)
    except OSError as error:
        raise CrossModalError(f"--out {path}: expected a file to write to, found {error.strerror}") from None
    finally:
        if aside is not None:
            Path(aside).unlink(missing_ok=True)


def _write(found: Found, file: Any) -> None:
    from pyarrow import csv

    with csv.CSVWriter(
        file, pair_rows(found, 0, 0).schema, write_options=csv.WriteOptions(quoting_style="needed")
    ) as to:
        for first in range(0, len(found.pairs), _CHUNK):
            to.write_table(pair_rows(found, first, first + _CHUNK))


def _both(a: str | None, b: str | None, widest: int) -> str:
    """One word where both are the same, else both."""
    if a == b:
        return shown(a or "", widest)
    return f"{shown(a or '–', widest)} | {shown(b or '–', widest)}"


def _listed(names: list[str]) -> str:
    some = ", ".join(shown(name, _NAME) for name in names[:3])
    return some + (f" and {len(names) - 3:,} more" if len(names) > 3 else "")
