"""The query of the Matches page: what the address says, as terms; and its answer. No Streamlit here."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cross_modal.configuration import DataConfig
from cross_modal.data.items import Items
from cross_modal.errors import CrossModalError
from cross_modal.gallery.composition import Term, parse_equation
from cross_modal.gallery.filter import Filter
from cross_modal_dashboards.components.tiles import ClickTile
from cross_modal_mlflow.gallery_query import UNWANTED, Query
from cross_modal_mlflow.gallery_search import Answer, Searcher, SearchSettings
from cross_modal_mlflow.gallery_table import Hit
from cross_modal_mlflow.gallery_tiles import pictures_of

if TYPE_CHECKING:
    from cross_modal.encoders.twin import TwinEncoder
    from cross_modal.gallery.gallery import Gallery

PLAIN = DataConfig(workers=0, feature_store=False)


@dataclass(frozen=True)
class MatchQuery:
    """What is looked for.

    Attributes:
        text: A text; counts 1.
        without: A text that is not wanted; counts −0.5.
        item: Ids of items of the gallery; count 1 each.
        equation: Further terms, as on the command line; no picture files.
        pictures: Uploaded pictures, verified; count 1 each.
    """

    text: str = ""
    without: str = ""
    item: str = ""
    equation: str = ""
    pictures: tuple[bytes, ...] = field(default=(), repr=False)

    @property
    def empty(self) -> bool:
        """Nothing is looked for."""
        return not (self.text.strip() or self.item.strip() or self.equation.strip() or self.pictures)

    def query(self, twin: TwinEncoder) -> Query:
        """As terms.

        Args:
            twin: Embeds the uploaded pictures.

        Raises:
            CrossModalError: An equation that cannot be read, or one that names a file of the server's.
        """
        terms = [Term(1.0, vector=vector) for vector in _embedded(twin, self.pictures)]
        if self.text.strip():
            terms.append(Term(1.0, text=self.text.strip()))
        if self.item.strip():
            terms.append(Term(1.0, id=self.item.strip()))
        if self.equation.strip():
            terms += parse_equation(self.equation)
        if self.without.strip():
            terms.append(Term(-UNWANTED, text=self.without.strip()))
        if any(term.image is not None for term in terms):
            raise CrossModalError("query: expected texts and ids, found image:FILE (upload the picture instead)")
        return Query(tuple(terms), "query")


def in_words(query: Query) -> str:
    """A query as an equation that people read.

    >>> in_words(Query((Term(1.0, text="shoe"), Term(-0.5, text="leather")), "query"))
    '1 × “shoe” − 0.5 × “leather”'
    """
    parts = []
    for number, term in enumerate(query.terms):
        what = (
            "uploaded picture" if term.vector is not None else f"“{term.value}”" if term.text else f"item {term.value}"
        )
        sign = ("− " if term.weight < 0 else "+ ") if number else ("−" if term.weight < 0 else "")
        parts.append(f"{sign}{abs(term.weight):g} × {what}")
    return " ".join(parts)


def answer(
    gallery: Gallery, twin: TwinEncoder, query: Query, where: Sequence[str], top: int, by_class: bool = False
) -> Answer:
    """Searches.

    Args:
        gallery: The gallery.
        twin: Its model.
        query: What is looked for.
        where: Filters, column=value.
        top: How many.
        by_class: The best hit of each class.

    Raises:
        CrossModalError: What the gallery refuses.
    """
    settings = SearchSettings(top, Filter.parse(list(where)), by_class)
    (found,) = Searcher(gallery, twin, PLAIN, settings).answers([query])
    return found


def hit_tiles(gallery: Gallery, hits: Sequence[Hit]) -> list[ClickTile]:
    """The hits as tiles."""
    pictures = pictures_of(gallery, hits)
    return [
        ClickTile(
            id=hit.id,
            title=hit.name or hit.text or hit.id,
            words=hit.text or "",
            score=f"{hit.score:.4f}",
            alt=f"rank {hit.rank}, score {hit.score:.3f}: {hit.text or hit.name or hit.id}; look for it",
            picture=pictures.get(hit.id),
        )
        for hit in hits
    ]


def as_csv(hits: Sequence[Hit]) -> str:
    """The hits as a table to keep."""
    file = io.StringIO()
    table = csv.writer(file)
    table.writerow(["rank", "score", "id", "kind", "label", "text", "image"])
    table.writerows([hit.rank, hit.score, hit.id, hit.kind, hit.label, hit.text, hit.image] for hit in hits)
    return file.getvalue()


def _embedded(twin: TwinEncoder, pictures: Sequence[bytes]) -> list:
    if not pictures:
        return []
    from cross_modal.verification.pair_embedding import embed_pair_items

    return list(embed_pair_items(twin, Items.of(images=list(pictures), source="upload"), PLAIN))
