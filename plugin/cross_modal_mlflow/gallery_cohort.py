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
    from cross_modal_mlflow.index_options import IndexOptions

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
    source = read_items(options.cohort, options.items, further=True) if named else items
    if not named and options.split in ("validation", "all"):
        return ["no cohort: the validation classes are in the gallery (--cohort SOURCE names another source)"]
    try:
        chosen, kind = cohort_items(twin, source.split("validation"))
        known = _attached(gallery)
        about = provenance_of(chosen)
        if known is not None and known.kind == kind and dict(known.provenance) == about:
            return [_in_words(known)]
        cohort = _cohort(twin, chosen, kind, options.items)
    except CrossModalError as error:
        if named:
            raise
        return [f"no cohort, so that `identify` has no threshold: {error}"]
    gallery.attach(ATTACHMENT, cohort.to_bytes())
    return [_in_words(cohort)]


def cohort_of(twin: TwinEncoder, items: Items, data: DataConfig) -> Cohort:
    """The cohort of a validation split.

    Args:
        twin: The twin.
        items: Validation items.
        data: How pictures are decoded.

    Raises:
        CrossModalError: No labels, fewer than two identities, or nothing that the twin encodes.
    """
    chosen, kind = cohort_items(twin, items)
    return _cohort(twin, chosen, kind, data)


def cohort_items(twin: TwinEncoder, items: Items, seed: int = 0) -> tuple[Items, Kind]:
    """The labelled items of a cohort: pictures where the twin sees them, else texts.

    Args:
        twin: The twin.
        items: Validation items.
        seed: Of the draw, where there are too many.

    Raises:
        CrossModalError: No labels, or nothing that the twin encodes.
    """
    if items.labels is None:
        raise CrossModalError(f"{items.source}: expected labels in the validation split, found none")
    kind: Kind = "image" if twin.image is not None and items.has_images else "text"
    rows = np.flatnonzero(items.has_image if kind == "image" else items.has_text & (twin.text is not None))
    if len(rows) > MOST_ITEMS:
        rows = np.sort(np.random.default_rng(seed).permutation(rows)[:MOST_ITEMS])
    if not len(rows):
        raise CrossModalError(f"{items.source}: expected validation items that this model encodes, found none")
    return items.take(rows), kind


def provenance_of(items: Items) -> dict[str, str]:
    """What a cohort's items are: by content, so that they are embedded once however often one indexes."""
    return {"data": items.source, "digest": items.digest, "split": "validation"}


def _cohort(twin: TwinEncoder, items: Items, kind: Kind, data: DataConfig) -> Cohort:
    embeddings = _embedded(twin, items, kind, data)
    return Cohort.of(embeddings, items.keys, kind, genuine=items.genuine, provenance=provenance_of(items))


def _embedded(twin: TwinEncoder, items: Items, kind: Kind, data: DataConfig) -> np.ndarray:
    from cross_modal.embed_items import open_pictures
    from cross_modal.encoders.embedding import embed_images, embed_texts

    if kind == "text":
        return embed_texts(twin, [str(text) for text in items.texts])
    return embed_images(twin, open_pictures(items, twin, data), np.arange(len(items)))


def _attached(gallery: Gallery) -> Cohort | None:
    """The cohort that is there; None where there is none, or none that can be read."""
    content = gallery.attachment(ATTACHMENT)
    try:
        return None if content is None else Cohort.from_bytes(content, f"cohort of {gallery.location}")
    except CrossModalError:
        return None


def _in_words(cohort: Cohort) -> str:
    return f"cohort: {len(cohort.labels):,} items of {len(cohort.sizes):,} validation classes settle `identify`"
