"""What of a source goes into a gallery: the items of a split, their ids, and the manifest's own columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cross_modal.data.further_columns import Cell, further_columns
from cross_modal.data.items import Items
from cross_modal.data.sources import read_items
from cross_modal.errors import CrossModalError
from cross_modal.gallery.item_ids import reference_rows
from cross_modal.gallery.schema import is_further

if TYPE_CHECKING:
    from cross_modal.encoders.twin import TwinEncoder
    from cross_modal_mlflow.index_options import IndexOptions

SHOWN = 3  # skipped items that are named


@dataclass(frozen=True)
class GalleryData:
    """A source as a gallery takes it.

    Attributes:
        items: All items of the source.
        all_ids: Their ids, where the source brings some.
        chosen: Those that are indexed.
        ids: Their ids, likewise.
        facts: Further columns of those.
        notes: What the user should know, in sentences.
    """

    items: Items
    all_ids: list[str] | None
    chosen: Items
    ids: list[str] | None
    facts: dict[str, list[Cell]]
    notes: list[str]

    def present(self, twin: TwinEncoder, prefix: str) -> set[str]:
        """Ids of everything that the source still has, in whatever split."""
        return set(reference_rows(self.items, twin, "each", self.all_ids, prefix).ids)


def read_gallery_data(source: str, options: IndexOptions) -> GalleryData:
    """Reads a source.

    Args:
        source: The source.
        options: Which split of it, and how it becomes items.

    Raises:
        CrossModalError: Nothing in that split, or what the source's reader refuses.
    """
    items = read_items(source, options.items, further=True)
    places = np.arange(len(items)) if options.split == "all" else np.flatnonzero(items.splits == options.split)
    if not len(places):
        there = ", ".join(sorted(set(items.splits.tolist()))) if items.splits is not None else "none"
        raise CrossModalError(
            f"{source}: expected items in the split {options.split}, found none (its splits: {there}; --split all "
            "takes every item)"
        )
    every = further_columns(items)
    further = every.take(places)
    facts = {name: cells for name, cells in further.columns.items() if is_further(name)}
    left_out = [*further.left_out, *(name for name in further.columns if name not in facts)]
    notes = []
    if len(places) < len(items):
        notes.append(f"{len(places):,} of {len(items):,} items: split {options.split} (--split all takes every one)")
    if left_out:
        notes.append(f"columns that a gallery does not keep: {', '.join(left_out)}")
    notes += _skipped(items)
    return GalleryData(items, every.ids, items.take(places), further.ids, facts, notes)


def _skipped(items: Items) -> list[str]:
    if not items.skipped:
        return []
    named = "; ".join(map(str, items.skipped[:SHOWN])) + ("; …" if len(items.skipped) > SHOWN else "")
    return [f"{len(items.skipped):,} skipped: {named}"]
