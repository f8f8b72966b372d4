"""The groups of near-duplicates as a page: what looks alike stands side by side."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cross_modal_mlflow.duplicates_table import group_rows, leak_lines
from cross_modal_mlflow.gallery_page import Section, Tile, gallery_page, write_page
from cross_modal_mlflow.gallery_tiles import small_picture

if TYPE_CHECKING:
    from cross_modal.gallery.gallery import Gallery
    from cross_modal_mlflow.duplicates_found import Found

GROUPS, MEMBERS = 100, 24  # on one page: a few megabytes


def write_duplicates(path: Path, gallery: Gallery, found: Found, about: list[str]) -> None:
    """Writes the page.

    Args:
        path: The file.
        gallery: Has the pictures.
        found: What was found.
        about: Sentences under the title.

    Raises:
        CrossModalError: The file cannot be written.
    """
    listed = group_rows(found, GROUPS, MEMBERS)
    rows = [row for group in listed for row in group["rows"]]
    facts = dict(zip(rows, _facts(found, rows), strict=True))
    ids = [fact["id"] for fact in facts.values()]
    thumbnails = dict(zip(ids, gallery.thumbnails(ids), strict=True)) if ids else {}
    best = _best_scores(found)
    sections = []
    for group in listed:
        tiles = [_tile(facts[row], thumbnails[facts[row]["id"]], float(best[row])) for row in group["rows"]]
        left = group["size"] - len(tiles)
        notes = [f"{len(group['labels'])} labels: {', '.join(group['labels'][:8])}"] if len(group["labels"]) > 1 else []
        notes += [f"in {' and '.join(group['splits'])}"] if len(group["splits"]) > 1 else []
        notes += [f"{left:,} more are not shown"] if left else []
        sections.append(Section(f"Group {group['duplicate_group']}: {group['size']:,} items", tiles, notes=notes))
    if len(found.sizes) > len(listed):
        about = [*about, f"The {len(listed):,} largest of {len(found.sizes):,} groups are shown."]
    if not sections:
        sections = [Section("Groups", empty="no two items are this much alike")]
    write_page(path, gallery_page("Near-duplicates", sections, [*about, *leak_lines(found)]))


def _facts(found: Found, rows: list[int]) -> list[dict[str, Any]]:
    import pyarrow as pa

    table = found.matrix.facts.select(["id", "kind", "label", "text", "image", "split"])
    listed: list[dict[str, Any]] = table.take(pa.array(rows, pa.int64())).to_pylist()
    return listed


def _best_scores(found: Found) -> np.ndarray:
    """(N,) each row's best score with another one."""
    best = np.full(len(found.matrix), -np.inf, np.float32)
    np.maximum.at(best, found.pairs.a, found.pairs.scores)
    np.maximum.at(best, found.pairs.b, found.pairs.scores)
    return best


def _tile(fact: dict[str, Any], thumbnail: bytes | None, score: float) -> Tile:
    picture = (thumbnail or small_picture(fact["image"])) if fact["kind"] == "image" else None
    words = fact["text"] if fact["text"] and fact["text"] != fact["label"] else ""
    return Tile(
        title=fact["label"] or "",
        picture=picture,
        words=words or (fact["label"] or fact["id"] if picture is None else ""),
        score=f"{score:.4f}",
        lines=[fact["id"], *([fact["split"]] if fact["split"] else [])],
        alt=f"{fact['label'] or fact['id']}, nearest other at {score:.4f}",
    )
