"""Hits and queries as tiles of the gallery's page: with the thumbnail that the gallery keeps, else from the file."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from cross_modal.data.decode import BadImage, decode
from cross_modal.gallery.composition import Term
from cross_modal_mlflow.gallery_page import State, Tile
from cross_modal_mlflow.gallery_table import Hit

if TYPE_CHECKING:
    from cross_modal.gallery.gallery import Gallery

SIDE = 160  # pixels of a picture's longer side on the page
_FIRST, _MORE, _NOT = "looked for", "and", "but not"


def small_picture(path: str | None, max_pixels: int = 64_000_000) -> bytes | None:
    """A picture file made small, in its proportions, as PNG; None where it is gone or no picture."""
    if path is None or not Path(path).is_file():
        return None
    try:
        image = Image.fromarray(decode(path, channels=3, max_pixels=max_pixels))
    except BadImage:
        return None
    image.thumbnail((SIDE, SIDE))
    file = io.BytesIO()
    image.save(file, "PNG", optimize=True)
    return file.getvalue()


def pictures_of(gallery: Gallery, hits: Sequence[Hit]) -> dict[str, bytes | None]:
    """Id → small picture of each hit that is a picture: the gallery's thumbnail, else from the file."""
    rows = [hit for hit in hits if hit.kind == "image"]
    distinct = {hit.id: hit for hit in rows}
    small = dict(zip(distinct, gallery.thumbnails(list(distinct)), strict=True)) if distinct else {}
    return {name: small[name] or small_picture(hit.image) for name, hit in distinct.items()}


def hit_tile(hit: Hit, pictures: dict[str, bytes | None], *, state: State = "plain", sign: str = "") -> Tile:
    """A hit: label, score, text, how it was re-ranked, id."""
    lines = [hit.id]
    if hit.before is not None:
        tokens = "no tokens" if hit.tokens is None else f"tokens {hit.tokens:.4f}"
        lines.insert(0, f"{tokens}, was at rank {hit.before}")
    words = hit.text if hit.text and hit.text != hit.label else ""
    picture = pictures.get(hit.id)
    return Tile(
        title=hit.name or f"rank {hit.rank}",
        picture=picture,
        words=words or (hit.label or hit.id if picture is None else ""),
        score=f"{hit.score:.4f}",
        lines=lines,
        alt=f"rank {hit.rank}: {' · '.join(filter(None, [hit.name, words])) or hit.id}",
        state=state,
        sign=sign,
    )


def term_tiles(gallery: Gallery, terms: Sequence[Term]) -> list[Tile]:
    """What was looked for, a tile a term, with its weight where that is not 1."""
    tiles = []
    ids = [term.id for term in terms if term.id is not None]
    rows = {row["id"]: row for row in gallery.row(ids, ["id", "label", "text", "image"]).to_pylist()} if ids else {}
    small = dict(zip(ids, gallery.thumbnails(ids), strict=True)) if ids else {}
    for place, term in enumerate(terms):
        unwanted = term.weight < 0
        known = rows.get(term.id or "", {})
        path = term.image or known.get("image")
        picture = (small.get(term.id or "") or small_picture(path)) if term.text is None else None
        tiles.append(
            Tile(
                title=known.get("label") or ("" if term.text is not None else Path(term.value).name),
                picture=picture,
                words=known.get("text") or (term.value if picture is None else ""),
                score="" if term.weight == 1 else f"× {term.weight:g}",
                lines=[term.value] if term.id is not None else [],
                alt=f"{_NOT if unwanted else _FIRST}: {term.kind} {term.value}",
                state="unknown" if unwanted else "query",
                sign=_NOT if unwanted else _MORE if place else _FIRST,
            )
        )
    return tiles
