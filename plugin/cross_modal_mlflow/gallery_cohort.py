"""The cohort of a gallery: embeddings of the source's validation classes, by which 1:N thresholds are settled."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cross_modal.configuration import DataConfig
from cross_modal.data.items import Items
from cross_modal.encoders.twin import TwinEncoder
from cross_modal.errors import CrossModalError
from cross_modal.gallery.cohort import ATTACHMENT, Cohort, Kind
from cross_modal.gallery.gallery import Gallery

if TYPE_CHECKING:
    from cross_modal_mlflow.commands.index import IndexOptions

MOST_ITEMS = 20_000  # of a cohort: enough for any rate that validation can settle


def attach_cohort(gallery: Gallery, twin: TwinEncoder, items: Items, options: IndexOptions) -> list[str]:
    """Embeds a source's validation split and keeps it beside the gallery.

    Args:
        gallery: The gallery.
        twin: Its model.
        items: The items that were indexed, with all their splits.
        options: Which source; how pictures are decoded.

    Returns:
        What was done, in a sentence; nothing where it was not asked for.

    Raises:
        CrossModalError: A source that was named has no validation split with two identities or more.
    """
    from cross_modal.data.sources import read_items

    if options.cohort == "none":
        return []
    named = options.cohort != "auto"
    source = read_items(options.cohort, options.items) if named else items
    if not named and options.split in ("validation", "all"):
        return ["no cohort: the validation classes are in the gallery (--cohort SOURCE names another source)"]
    try:
        cohort = cohort_of(twin, source.split("validation"), options.items)
    except CrossModalError as error:
        if named:
            raise
        return [f"no cohort, so that `identify` has no threshold: {error}"]
    gallery.attach(ATTACHMENT, cohort.to_bytes())
    return [f"cohort: {len(cohort.labels):,} items of {len(cohort.sizes):,} validation classes settle `identify`"]


def cohort_of(twin: TwinEncoder, items: Items, data: DataConfig, seed: int = 0) -> Cohort:
    """The cohort of labelled items: their pictures where the twin sees them, else their texts.

    Args:
        twin: The twin.
        items: Validation items.
        data: How pictures are decoded.
        seed: Of the draw, where there are too many.

    Raises:
        CrossModalError: No labels, or fewer than two identities.
    """
    from cross_modal.embed_items import open_pictures
    from cross_modal.encoders.embedding import embed_images, embed_texts

    if items.labels is None:
        raise CrossModalError(f"{items.source}: expected labels in the validation split, found none")
    kind: Kind = "image" if twin.image is not None and items.has_images else "text"
    rows = np.flatnonzero(items.has_image if kind == "image" else items.has_text & (twin.text is not None))
    if len(rows) > MOST_ITEMS:
        rows = np.sort(np.random.default_rng(seed).permutation(rows)[:MOST_ITEMS])
    chosen = items.take(rows)
    if not len(chosen):
        raise CrossModalError(f"{items.source}: expected validation items that this model encodes, found none")
    if kind == "image":
        embeddings = embed_images(twin, open_pictures(chosen, twin, data), np.arange(len(chosen)))
    else:
        embeddings = embed_texts(twin, [str(text) for text in chosen.texts])
    about = {"data": items.source, "digest": chosen.digest, "split": "validation"}
    assert chosen.labels is not None
    return Cohort.of(embeddings, chosen.labels, kind, genuine=chosen.genuine, provenance=about)
