"""``cross-modal cache``: lists what the feature store holds, and removes what is too much or too old."""

from __future__ import annotations

import json
import math
import os
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cross_modal.errors import CrossModalError
from cross_modal_mlflow.amounts import size
from cross_modal_mlflow.arguments import parse
from cross_modal_mlflow.command_line import Call

if TYPE_CHECKING:
    from rich.table import Table

    from cross_modal.encoders.feature_store import EntryFacts, FeatureStore

EXAMPLES = """\
examples:
  cross-modal cache                                      what frozen trunks gave so far, and where it lies
  cross-modal cache --prune-to 5                         remove the least recently used until 5 GB are left
  cross-modal cache --older-than 30                      remove what was not used for 30 days
  cross-modal cache --all                                remove everything that no process uses
  CROSS_MODAL_CACHE=/scratch/features cross-modal cache  another folder; CROSS_MODAL_CACHE=off switches the store off"""


@dataclass
class CacheOptions:
    """What is removed; without an option, nothing is. Entries that a running process uses always stay.

    Attributes:
        prune_to: Gigabytes (10⁹ bytes) that may stay; the least recently used entries go first.
        older_than: Days that an entry may stay without being used.
        all: Remove every entry.
    """

    prune_to: float = math.inf
    older_than: float = math.inf
    all: bool = False


def run(call: Call) -> None:
    """Runs the command."""
    options = parse(CacheOptions, call.arguments, command=call.command, examples=EXAMPLES, usage="[options]")
    for name, number in (("--prune-to", options.prune_to), ("--older-than", options.older_than)):
        if not number >= 0:
            raise CrossModalError(f"{name}: expected a number of at least 0, found {number}")
    if options.all and options.prune_to < math.inf:
        raise CrossModalError("--all: expected no --prune-to beside it, found both")
    from cross_modal.encoders.feature_store import FeatureStore
    from cross_modal_mlflow.report import print_lines
    from cross_modal_mlflow.summary import stdout

    store = FeatureStore()
    limit = 0.0 if options.all else options.prune_to
    removed = store.prune(limit, None if options.older_than == math.inf else options.older_than)
    entries = store.entries()
    if call.json is not None:
        _write_json(call, store, entries, removed)
    console = stdout()
    if entries:
        console.print(entry_table(entries))
    print_lines(console, said(store.root, entries, removed, limit))


def entry_table(entries: Sequence[EntryFacts]) -> Table:
    """One line an entry, in the order given, and the total.

    Args:
        entries: What `FeatureStore.entries` gives.

    Returns:
        A rich table.
    """
    from rich.markup import escape
    from rich.table import Table

    table = Table(header_style="bold", show_footer=True)
    table.add_column("trunk", "total", overflow="fold")
    table.add_column("layer")
    table.add_column("rows", f"{sum(entry.rows for entry in entries):,}", justify="right")
    table.add_column("size", size(sum(entry.bytes for entry in entries)), justify="right")
    table.add_column("last used")
    for entry in entries:
        about = entry.description
        layer = " ".join(str(about[part]) for part in ("modality", "layer") if part in about)
        used = "now" if entry.in_use else entry.used.astimezone().strftime("%Y-%m-%d %H:%M")
        trunk = str(about.get("trunk", "–")) if about else "(cannot be read)"
        table.add_row(escape(trunk), escape(layer), f"{entry.rows:,}", size(entry.bytes), used)
    return table


def said(root: Path, entries: Sequence[EntryFacts], removed: Sequence[EntryFacts], limit: float) -> list[str]:
    """The lines below the table: where the store lies, what went, and why more stayed than was asked for.

    Args:
        root: The store's folder.
        entries: What is left.
        removed: What was removed.
        limit: The gigabytes that should be left.
    """
    left = sum(entry.bytes for entry in entries)
    lines = [f"features: {root} ({_amount(entries)})"]
    if removed:
        lines.append(f"removed:  {_amount(removed)}")
    if left > limit * 1e9:
        lines.append("note: more than asked for is left, in use by running processes")
    return lines


def _amount(entries: Sequence[EntryFacts]) -> str:
    noun = "entry" if len(entries) == 1 else "entries"
    return f"{size(sum(entry.bytes for entry in entries))} in {len(entries)} {noun}"


def _write_json(call: Call, store: FeatureStore, entries: Sequence[EntryFacts], removed: Sequence[EntryFacts]) -> None:
    """Writes ``--json`` aside and renames it: a reader meets the whole object or none."""
    from cross_modal import __version__

    assert call.json is not None
    content = {
        "command": call.command,
        "version": __version__,
        "folder": str(store.root),
        "bytes": sum(entry.bytes for entry in entries),
        "entries": [_plain(entry) for entry in entries],
        "removed": [_plain(entry) for entry in removed],
    }
    with tempfile.TemporaryDirectory(prefix=f".{call.json.name}-", dir=call.json.parent) as folder:
        aside = Path(folder) / call.json.name
        aside.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        os.replace(aside, call.json)


def _plain(entry: EntryFacts) -> dict[str, Any]:
    return asdict(entry) | {"used": entry.used.isoformat(timespec="seconds")}
