"""Looking after a gallery: what is in it, what goes, which versions there are, and taking it elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from cross_modal.gallery.filter import Filter
from cross_modal.gallery.gallery import Gallery
from cross_modal_mlflow.command_line import Call
from cross_modal_mlflow.gallery_table import shown
from cross_modal_mlflow.report import Report, print_lines, write_json
from cross_modal_mlflow.summary import stderr, stdout

if TYPE_CHECKING:
    from rich.table import Table

    from cross_modal_mlflow.index_options import IndexOptions

LISTED = ("id", "kind", "label", "text", "split", "group")
WIDEST = 48  # characters of a cell


def look_after(call: Call, options: IndexOptions) -> None:
    """Does the one thing that was asked for.

    Raises:
        CrossModalError: No gallery there, or what the gallery itself refuses.
    """
    where = Filter.parse(options.where)
    with Gallery.open(options.gallery) as gallery:
        about: dict[str, Any] = {"gallery": gallery.location, "version": gallery.version, "references": len(gallery)}
        if options.show:
            about |= _list(gallery, where, options.limit)
        elif options.delete is not None:
            count = gallery.delete(where if options.where else options.delete)
            print_lines(stdout(), [f"index: {count:,} removed, {len(gallery):,} references left in {gallery.location}"])
            unknown = 0 if options.where else len(set(options.delete)) - count
            if unknown:
                print_lines(stderr(), [f"note: {unknown:,} of the ids were not in the gallery"])
            about |= {"removed": count, "version": gallery.version, "references": len(gallery)}
        elif options.versions:
            about |= _versions(gallery)
        elif options.tag is not None:
            gallery.tag(options.tag)
            print_lines(stdout(), [f"index: version {gallery.version} of {gallery.location} is called {options.tag}"])
            about |= {"tag": options.tag}
        elif options.export is not None:
            path = gallery.export(Path(options.export))
            print_lines(stdout(), [f"index: {len(gallery):,} references written to {path}"])
            about |= {"export": str(path)}
        else:
            about |= _approximate(gallery)
    if call.json is not None:
        write_json(Report(call.command, about, {"index/references": float(about["references"])}), call.json)


def _list(gallery: Gallery, where: Filter, limit: int) -> dict[str, Any]:
    columns = [name for name in gallery.columns if name in LISTED]
    found = gallery.rows(where or None, columns)
    rows = found.slice(0, limit).to_pylist()
    stdout().print(table_of(columns, rows))
    kept = f" of {len(gallery):,}" if where else ""
    print_lines(stdout(), [f"{len(rows):,} shown, {found.num_rows:,}{kept} references in {gallery.location}"])
    return {"rows": rows, "found": found.num_rows}


def table_of(columns: list[str], rows: list[dict[str, Any]]) -> Table:
    """Rows as a table; columns that are empty everywhere are left out."""
    from rich.table import Table

    table = Table(header_style="bold")
    full = [name for name in columns if name == "id" or any(row[name] is not None for row in rows)]
    for name in full:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*("" if row[name] is None else shown(str(row[name]), WIDEST) for name in full))
    return table


def _versions(gallery: Gallery) -> dict[str, Any]:
    from dataclasses import asdict

    from rich.table import Table

    table, facts = Table(header_style="bold"), gallery.versions()
    for name in ("version", "written", "references", "tags"):
        table.add_column(name, justify="right" if name in ("version", "references") else "left")
    for each in facts:
        table.add_row(str(each.version), each.created or "", f"{each.rows:,}", ", ".join(each.tags))
    stdout().print(table)
    return {"versions": [asdict(each) for each in facts]}


def _approximate(gallery: Gallery) -> dict[str, Any]:
    from dataclasses import asdict

    facts = gallery.build_index()
    lines = [
        f"index: {facts.kind} over {facts.rows:,} references, built in {facts.seconds:.1f} s",
        f"recall: {facts.recall:.3f} of the ten nearest, over {facts.queries} queries",
        f"one query: {facts.milliseconds:.1f} ms, exact {facts.exact_milliseconds:.1f} ms",
    ]
    print_lines(stdout(), lines)
    return {"index": asdict(facts)}
