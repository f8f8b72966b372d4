"""Searches a gallery for queries: the hits with what is known of them, by class where asked, re-ranked where asked."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from cross_modal.configuration import DataConfig
from cross_modal.errors import CrossModalError
from cross_modal.gallery.filter import Filter
from cross_modal_mlflow.gallery_query import Query, embed_queries
from cross_modal_mlflow.gallery_table import Hit, badge

if TYPE_CHECKING:
    from cross_modal.encoders.twin import TwinEncoder
    from cross_modal.gallery.gallery import Gallery

BLOCK = 1024  # queries at a time
CELLS = 1 << 22  # hits held at a time, where classes are gathered from many of them
_FACTS = ("id", "kind", "label", "text", "image", "genuine")

#: Reorders the candidates of a query; says in sentences what it could not see.
Reranker = Callable[[Query, Sequence[Hit]], tuple[list[Hit], list[str]]]


@dataclass(frozen=True)
class SearchSettings:
    """How is searched.

    Attributes:
        top: Hits a query.
        where: Only among these rows.
        by_class: The best hit of each class in place of the best hits.
        depth: Candidates that are re-ranked; 0 re-ranks nothing.
    """

    top: int = 10
    where: Filter = field(default_factory=Filter)
    by_class: bool = False
    depth: int = 0


@dataclass(frozen=True)
class Answer:
    """What was found for one query.

    Attributes:
        query: The query.
        hits: Best first.
        exact: Nothing better exists among the rows searched.
        recall: Of the approximate index; None where exact, or never measured.
        references: Rows that were searched.
        seconds: The share of this query in the search.
        notes: Sentences, e.g. what re-ranking could not see.
    """

    query: Query
    hits: list[Hit]
    exact: bool
    recall: float | None
    references: int
    seconds: float
    notes: tuple[str, ...] = ()

    def badge(self, gallery: int) -> str:
        """How the answer came about, in one line."""
        return badge(exact=self.exact, recall=self.recall, references=self.references, seconds=self.seconds, of=gallery)


@dataclass(frozen=True)
class Found:
    """Ids (Q, k) of objects and scores (Q, k) of a block of queries, None and −∞ where there are fewer."""

    ids: np.ndarray
    scores: np.ndarray
    exact: bool
    recall: float | None
    seconds: float


@dataclass
class Searcher:
    """A gallery with its model, ready to be asked.

    Attributes:
        gallery: The gallery.
        twin: Its model.
        data: How pictures are decoded.
        settings: How is searched.
        rerank: What re-ranks, where the settings ask for it.
        spent: Phase → seconds so far.
    """

    gallery: Gallery
    twin: TwinEncoder
    data: DataConfig = field(default_factory=DataConfig)
    settings: SearchSettings = field(default_factory=SearchSettings)
    rerank: Reranker | None = None
    spent: dict[str, float] = field(default_factory=lambda: {"encode": 0.0, "search": 0.0, "rerank": 0.0})

    def __post_init__(self) -> None:
        if self.settings.top < 1:
            raise CrossModalError(f"--top: expected at least 1, found {self.settings.top}")
        if not len(self.gallery):
            raise CrossModalError(
                f"gallery {self.gallery.location}: expected references to search, found an empty gallery "
                "(cross-modal index fills it)"
            )
        self.references = self._references()
        if self.settings.by_class:
            self._check_labels()

    def answers(self, queries: Sequence[Query]) -> Iterator[Answer]:
        """Answers queries in order, a block of them at a time.

        Raises:
            CrossModalError: A query that cannot be embedded.
        """
        for begin in range(0, len(queries), BLOCK):
            block = queries[begin : begin + BLOCK]
            if not begin:
                self._load()
            started = time.perf_counter()
            vectors = embed_queries(self.gallery, self.twin, block, self.data)
            self.spent["encode"] += time.perf_counter() - started
            found = self._search(vectors, block)
            self.spent["search"] += found.seconds
            share = found.seconds / len(block)
            for query, hits in zip(block, self._hits(found, block), strict=True):
                notes: list[str] = []
                if self.settings.depth and self.rerank is not None and hits:
                    started = time.perf_counter()
                    hits, notes = self.rerank(query, hits)
                    self.spent["rerank"] += time.perf_counter() - started
                hits = [replace(hit, rank=rank) for rank, hit in enumerate(hits[: self.settings.top], 1)]
                yield Answer(query, hits, found.exact, found.recall, self.references, share, tuple(notes))

    def _load(self) -> None:
        """Reads the gallery's rows where searches go through them in memory: opening is not searching."""
        alone = self.gallery.location.startswith("milvus:") or (
            not self.settings.where and not self.settings.by_class and self.gallery.index() is not None
        )
        if not alone:
            started = time.perf_counter()
            self.gallery.matrix()
            self.spent["open"] = time.perf_counter() - started

    @property
    def _wanted(self) -> int:
        return max(self.settings.top, self.settings.depth)

    def _search(self, vectors: np.ndarray, queries: Sequence[Query]) -> Found:
        """Enough hits of every query; the items that it is made of may be among them."""
        own, where = max(len(query.ids) for query in queries), self.settings.where or None
        if self.settings.by_class:
            return self._search_classes(vectors, queries, own)
        hits = self.gallery.search(vectors, min(self._wanted + own, self.references), where)
        return Found(hits.ids, hits.scores, hits.exact, hits.recall, hits.seconds)

    def _search_classes(self, vectors: np.ndarray, queries: Sequence[Query], own: int) -> Found:
        """The best hit of each class, exactly: queries that have met too few classes are asked again for more hits."""
        labels, where = self._labels(), self.settings.where or None
        wanted = min(self._wanted, len({label for label in labels if label is not None}))
        ids, scores = (
            np.full((len(queries), wanted), None, object),
            np.full((len(queries), wanted), -np.inf, np.float32),
        )
        todo, asked, seconds = np.arange(len(queries)), min(8 * wanted + own, self.references), 0.0
        while len(todo):
            met = np.zeros(len(queries), bool)
            at_once = max(1, CELLS // asked)
            for begin in range(0, len(todo), at_once):
                part = todo[begin : begin + at_once]
                hits = self.gallery.search(vectors[part], asked, where, exact=True)
                mine = [queries[row].ids for row in part.tolist()]
                others = np.array(
                    [[name not in of for name in names] for names, of in zip(hits.ids, mine, strict=True)]
                )
                rows = np.where(others, hits.rows, -1)
                best = replace(hits, locate=partial(np.copy, rows)).grouped(labels, wanted)
                ids[part], scores[part], seconds = best.ids, best.scores, seconds + hits.seconds
                met[part] = (best.rows >= 0).all(1)
            todo = todo[~met[todo]] if asked < self.references else todo[:0]
            asked = min(4 * asked, self.references)
        return Found(ids, scores, True, None, seconds)

    def _labels(self) -> np.ndarray:
        """(N,) objects: the label of each of the gallery's rows; None for forgeries, which stand for no class."""
        matrix = self.gallery.matrix()
        labels = matrix.column("label")
        labels[np.array([each is False for each in matrix.column("genuine")], bool)] = None
        return labels

    def _hits(self, found: Found, queries: Sequence[Query]) -> list[list[Hit]]:
        """The hits of each query with their facts, without the items that it is made of."""
        wanted = sorted({name for name in found.ids.reshape(-1).tolist() if name is not None})
        facts = {row["id"]: row for row in self.gallery.row(wanted, _FACTS).to_pylist()} if wanted else {}
        answers = []
        for query, ids, scores in zip(queries, found.ids.tolist(), found.scores.tolist(), strict=True):
            kept = [(name, score) for name, score in zip(ids, scores, strict=True) if name and name not in query.ids]
            ranked = enumerate(kept[: self._wanted], 1)
            answers.append([_hit(rank, score, facts[name]) for rank, (name, score) in ranked])
        return answers

    def _references(self) -> int:
        """How many rows are searched.

        Raises:
            CrossModalError: A filter that matches none.
        """
        where = self.settings.where
        if not where:
            return len(self.gallery)
        count = self.gallery.rows(where, ["id"]).num_rows
        if not count:
            raise CrossModalError(
                f"--where {where}: expected references that it keeps, found none of {len(self.gallery):,}"
            )
        return count

    def _check_labels(self) -> None:
        column = self.gallery.rows(self.settings.where or None, ["label"])["label"]
        if column.null_count == len(column):
            raise CrossModalError(f"--by-class: expected labels in gallery {self.gallery.location}, found none")


def _hit(rank: int, score: float, facts: dict[str, Any]) -> Hit:
    genuine = facts["genuine"] is not False
    return Hit(rank, score, facts["id"], facts["kind"], facts["label"], facts["text"], facts["image"], genuine)
