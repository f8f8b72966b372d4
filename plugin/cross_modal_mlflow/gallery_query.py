"""What is looked for in a gallery: terms from options or from the rows of a file, and their embeddings.

All pictures and all texts of all queries are encoded in one batch each, every distinct one once.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cross_modal.configuration import DataConfig
from cross_modal.errors import CrossModalError
from cross_modal.gallery.composition import Term, compose, format_equation, parse_equation

if TYPE_CHECKING:
    from cross_modal.encoders.twin import TwinEncoder
    from cross_modal.gallery.gallery import Gallery

UNWANTED = 0.5  # how much a text counts that is not wanted
COLUMNS = ("image", "text", "id", "query")  # of a file of queries


@dataclass(frozen=True)
class Query:
    """One thing to look for.

    Attributes:
        terms: What it is made of.
        name: What to call it: its equation, or the row of a file.
    """

    terms: tuple[Term, ...]
    name: str

    @classmethod
    def of(cls, terms: Sequence[Term], name: str | None = None) -> Query:
        """A query named after its equation, unless it has a name."""
        return cls(tuple(terms), name or format_equation(terms))

    @property
    def ids(self) -> set[str]:
        """The gallery's items among its terms."""
        return {term.id for term in self.terms if term.id is not None}

    @property
    def equation(self) -> str:
        """It as one line; a single thing that counts 1 as itself."""
        (first, *more) = self.terms
        return f"{first.kind}:{first.value}" if not more and first.weight == 1 else format_equation(self.terms)


def query_of(
    images: Sequence[str] = (),
    texts: Sequence[str] = (),
    ids: Sequence[str] = (),
    without: Sequence[str] = (),
    equation: str = "",
) -> Query:
    """The query of options: what is given counts 1 each, what is not wanted −0.5, beside the terms of an equation.

    Raises:
        CrossModalError: Nothing to look for, an empty text, a picture that is not there, or a broken equation.

    >>> query_of(texts=["red"], without=["leather"]).equation
    '1 text:red - 0.5 text:leather'
    """
    terms = parse_equation(equation) if equation else []
    terms += [Term(1.0, image=image) for image in images]
    terms += [Term(1.0, text=text) for text in texts]
    terms += [Term(1.0, id=name) for name in ids]
    terms += [Term(-UNWANTED, text=text) for text in without]
    if not terms:
        raise CrossModalError("search: expected --image FILE, --text WORDS, --id ID or --query EQUATION, found none")
    check_terms(terms)
    return Query.of(terms)


def queries_of_file(path: Path) -> list[Query]:
    """Reads a file of queries.

    Args:
        path: A CSV with a header and the columns image, text, id and query (an equation), or some of them; further
            columns are passed over. A row is one query; what it has counts 1 each. Pictures are relative to the file.

    Returns:
        The queries, in order; none for a file without rows.

    Raises:
        CrossModalError: No such file, none of the columns, or a row that asks for nothing; names the row, from 1.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            header = reader.fieldnames or []
            if not set(COLUMNS) & set(header):
                raise CrossModalError(
                    f"{path}: expected some of the columns {', '.join(COLUMNS)}, found {', '.join(header) or 'none'}"
                )
            return [_query_of_row(row, f"{path} row {number}", path.parent) for number, row in enumerate(reader, 1)]
    except UnicodeDecodeError as error:
        raise CrossModalError(f"{path}: expected UTF-8, found {error.reason} at byte {error.start}") from None
    except csv.Error as error:
        raise CrossModalError(f"{path}: expected CSV, found {error}") from None
    except OSError as error:
        raise CrossModalError(
            f"{path}: expected a CSV file of queries, found {(error.strerror or '').lower()}"
        ) from None


def check_terms(terms: Sequence[Term], where: str = "query") -> None:
    """Refuses what no model is needed to refuse: empty texts and ids, pictures that are not there.

    Raises:
        CrossModalError: In one line.
    """
    for term in terms:
        if term.kind != "vector" and not term.value.strip():
            raise CrossModalError(f"{where}: expected a {term.kind}, found an empty one")
        if term.image is not None and not Path(term.image).is_file():
            raise CrossModalError(f"{where}: expected a picture file, found nothing at {term.image}")


def embed_queries(gallery: Gallery, twin: TwinEncoder, queries: Sequence[Query], data: DataConfig) -> np.ndarray:
    """One vector a query.

    Args:
        gallery: Where ids are looked up.
        twin: The gallery's model.
        queries: Q queries.
        data: How pictures are decoded.

    Returns:
        (Q, dim) float32.

    Raises:
        CrossModalError: Something that the twin cannot encode, an unknown id, or terms that cancel out.
    """
    terms = [term for query in queries for term in query.terms]
    images = _embedded(twin, "image", [term.image for term in terms if term.image is not None], data)
    texts = _embedded(twin, "text", [term.text for term in terms if term.text is not None], data)
    known = _vectors(gallery, [term.id for term in terms if term.id is not None])

    def vector(term: Term) -> np.ndarray:
        if term.vector is not None:
            return np.asarray(term.vector, np.float32)
        return {"image": images, "text": texts, "id": known}[term.kind][term.value]

    rows = []
    for query in queries:
        try:
            stacked = np.stack([vector(term) for term in query.terms])
            rows.append(compose(stacked, [term.weight for term in query.terms], gallery.binding.normalise))
        except CrossModalError as error:
            raise CrossModalError(f"{query.name}: {error}") from None
    return np.stack(rows) if rows else np.zeros((0, gallery.binding.dim), np.float32)


def embed_pictures(twin: TwinEncoder, pictures: Sequence[str], data: DataConfig) -> np.ndarray:
    """(N, dim) float32 of picture files, in their order; each distinct path is encoded once."""
    found = _embedded(twin, "image", pictures, data)
    return np.stack([found[picture] for picture in pictures]) if pictures else np.zeros((0, twin.dim), np.float32)


def embed_words(twin: TwinEncoder, texts: Sequence[str], data: DataConfig) -> np.ndarray:
    """(N, dim) float32 of texts, in their order."""
    found = _embedded(twin, "text", texts, data)
    return np.stack([found[text] for text in texts]) if texts else np.zeros((0, twin.dim), np.float32)


def _embedded(twin: TwinEncoder, kind: str, values: Sequence[str], data: DataConfig) -> dict[str, np.ndarray]:
    """The embedding of each distinct picture or text."""
    from cross_modal.data.items import Items
    from cross_modal.embed_items import open_pictures
    from cross_modal.encoders.embedding import embed_images, embed_texts

    distinct = list(dict.fromkeys(values))
    if not distinct:
        return {}
    if (twin.image if kind == "image" else twin.text) is None:
        can, found = ("text", "picture") if kind == "image" else ("picture", "text")
        raise CrossModalError(
            f"query {distinct[0]!r}: expected a {can}, which is all that this gallery's model compares, found a {found}"
        )
    if kind == "text":
        return dict(zip(distinct, embed_texts(twin, distinct), strict=True))
    pictures = open_pictures(Items.of(images=distinct, source="query"), twin, data)
    return dict(zip(distinct, embed_images(twin, pictures, np.arange(len(distinct))), strict=True))


def _vectors(gallery: Gallery, ids: Sequence[str]) -> dict[str, np.ndarray]:
    """The embeddings of items that the gallery holds."""
    from cross_modal.gallery.schema import VECTOR, to_matrix

    distinct = list(dict.fromkeys(ids))
    if not distinct:
        return {}
    rows = gallery.row(distinct, [VECTOR])
    return dict(zip(distinct, to_matrix(rows[VECTOR]), strict=True))


def _query_of_row(row: dict[str, str | None], where: str, folder: Path) -> Query:
    if None in row or any(value is None for value in row.values()):
        raise CrossModalError(f"{where}: expected as many cells as there are columns, found another number")
    cells = {name: (row.get(name) or "").strip() for name in COLUMNS}
    try:
        terms = parse_equation(cells["query"]) if cells["query"] else []
        for name in ("image", "text", "id"):
            terms += parse_term(name, cells[name])
        terms = [_beside(term, folder) for term in terms]
        if not terms:
            raise CrossModalError("query: expected an image, a text, an id or a query, found none")
        check_terms(terms)
    except CrossModalError as error:
        raise CrossModalError(f"{where}: {str(error).removeprefix('query: ')}") from None
    return Query(tuple(terms), where)


def parse_term(kind: str, value: str) -> list[Term]:
    """The term of one cell, none where it is empty."""
    if not value:
        return []
    return [
        Term(
            1.0,
            image=value if kind == "image" else None,
            text=value if kind == "text" else None,
            id=value if kind == "id" else None,
        )
    ]


def _beside(term: Term, folder: Path) -> Term:
    """A picture's path, seen from where the file of queries lies."""
    return term if term.image is None else Term(term.weight, image=str(folder / term.image))
