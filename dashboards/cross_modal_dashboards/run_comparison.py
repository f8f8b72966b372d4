"""Two runs on the same queries: who finds the right class earlier, query by query. No Streamlit here.

Both runs rank the very same candidates, the items that both galleries hold with the same content; a query never meets
itself. What differs is then the model alone, so that differences may be averaged query by query (paired).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from cross_modal.errors import CrossModalError
from cross_modal.gallery.schema import Kind
from cross_modal_dashboards.candidate_ranking import NONE, Metric, Ranked, rank_candidates, ranks_of

if TYPE_CHECKING:
    from cross_modal.gallery.matrix import Matrix

BETTER, WORSE, EQUAL = "better", "worse", "equal"


@dataclass(frozen=True)
class SharedItems:
    """The items that two galleries both hold, by ascending id.

    Attributes:
        ids: (N,) objects (str).
        rows_a: (N,) int64: their rows in the first gallery's matrix.
        rows_b: (N,) int64: in the second's.
        labels: (N,) objects: their class in the first gallery; None where they have none, or are forgeries of it.
        kinds: (N,) objects, "image" or "text".
        texts: (N,) objects (str or None).
        only_a: How many items the first gallery alone holds.
        only_b: How many the second alone holds.
        changed: Items of one id and two contents, which were left out.
    """

    ids: np.ndarray
    rows_a: np.ndarray
    rows_b: np.ndarray
    labels: np.ndarray
    kinds: np.ndarray
    texts: np.ndarray
    only_a: int
    only_b: int
    changed: int

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def sentence(self) -> str:
        """How many items are compared, and what is left out."""
        said = [f"{len(self):,} items are in both galleries"]
        said += [f"{self.only_a:,} only in A's"] if self.only_a else []
        said += [f"{self.only_b:,} only in B's"] if self.only_b else []
        said += [f"{self.changed:,} have another content in B's, left out"] if self.changed else []
        return "; ".join(said) + "."


@dataclass(frozen=True)
class Comparison:
    """Two runs on the same queries.

    Attributes:
        queries: (Q,) int64 rows of the shared items.
        candidates: (M,) int64 rows of the shared items; what both runs rank.
        a: What the first run answered.
        b: What the second run answered.
    """

    queries: np.ndarray
    candidates: np.ndarray
    a: Ranked
    b: Ranked


@dataclass(frozen=True)
class Summary:
    """Two runs in numbers, over the same Q queries.

    Attributes:
        queries: Q.
        mrr: Mean reciprocal rank of the first right hit, of A and of B.
        recall_at_1: Share of queries whose first hit is right, of A and of B.
        gain: Mean over queries of B's reciprocal rank minus A's.
        gain_ci95: Half-width of its 95 % interval, paired; NaN for a single query.
        better: Queries that B answers earlier.
        worse: Queries that B answers later.
        equal: Queries of the same rank.
    """

    queries: int
    mrr: tuple[float, float]
    recall_at_1: tuple[float, float]
    gain: float
    gain_ci95: float
    better: int
    worse: int
    equal: int

    @property
    def sentence(self) -> str:
        """Whether the runs differ, in one sentence."""
        if not self.better and not self.worse:
            return f"A and B rank the right class alike on all {self.queries} queries."
        interval = f" ± {self.gain_ci95:.3f}" if np.isfinite(self.gain_ci95) else ""
        sure = np.isfinite(self.gain_ci95) and abs(self.gain) > self.gain_ci95
        verdict = f"{'B' if self.gain > 0 else 'A'} is better" if sure else "these queries cannot tell which is better"
        return (
            f"B minus A: {self.gain:+.3f}{interval} mean reciprocal rank (95 % interval over {self.queries} queries, "
            f"paired): {verdict}."
        )


def shared_items(a: Matrix, b: Matrix) -> SharedItems:
    """Matches two galleries by id and content.

    Args:
        a: The first gallery's rows.
        b: The second's.

    Raises:
        CrossModalError: They have no item in common.
    """
    places = pd.Index(b.ids).get_indexer(pd.Index(a.ids))
    rows_a = np.flatnonzero(places >= 0)
    rows_b = places[rows_a].astype(np.int64)
    same = a.column("content")[rows_a] == b.column("content")[rows_b]
    changed = int(len(same) - same.sum())
    only_a, only_b = len(a) - len(rows_a), len(b) - len(rows_a)
    rows_a, rows_b = rows_a[same], rows_b[same]
    if not len(rows_a):
        raise CrossModalError(
            f"two runs: expected galleries with items in common (the same ids and contents), found none of "
            f"{len(a):,} and {len(b):,}; cross-modal index writes a gallery of the same data for each"
        )
    labels = a.column("label")
    labels[a.column("genuine") == False] = None  # noqa: E712 - an array of True, False and None
    return SharedItems(
        a.ids[rows_a], rows_a, rows_b, labels[rows_a], a.column("kind")[rows_a], a.column("text")[rows_a],
        only_a, only_b, changed,
    )  # fmt: skip


def directions(shared: SharedItems) -> list[tuple[Kind, Kind]]:
    """What can be looked for by what: (kind of the queries, kind of the candidates).

    Names before pictures: what most people ask a gallery for.
    """
    every: tuple[tuple[Kind, Kind], ...] = (("text", "image"), ("image", "image"), ("image", "text"), ("text", "text"))
    return [(asked, sought) for asked, sought in every if len(_answerable(shared, asked, sought))]


def draw_queries(shared: SharedItems, asked: Kind, sought: Kind, count: int, seed: int) -> np.ndarray:
    """Draws queries that have a right answer other than themselves.

    Args:
        shared: The items.
        asked: The kind of the queries.
        sought: The kind of the candidates.
        count: How many at most.
        seed: Of the draw.

    Returns:
        (Q,) int64 rows of the shared items, ascending.

    Raises:
        CrossModalError: No item has a right answer.
    """
    found = _answerable(shared, asked, sought)
    if not len(found):
        raise CrossModalError(
            f"two runs: expected {asked} items in both galleries whose class has another {sought} item, found none"
        )
    if len(found) > count:
        found = np.random.default_rng(seed).choice(found, count, replace=False)
    return np.sort(found)


def compare(
    a: Matrix,
    b: Matrix,
    metrics: tuple[Metric, Metric],
    shared: SharedItems,
    queries: np.ndarray,
    sought: Kind,
    top: int,
) -> Comparison:
    """Ranks the same candidates for the same queries by two runs.

    Args:
        a: The first gallery's rows.
        b: The second's.
        metrics: How each compares its embeddings.
        shared: The items of both.
        queries: (Q,) rows of the shared items.
        sought: The kind of the candidates.
        top: How many of the best are kept, at least 1.
    """
    candidates = np.flatnonzero(shared.kinds == sought)
    codes = pd.factorize(shared.labels)[0]  # −1 for None
    own = pd.Index(candidates).get_indexer(pd.Index(queries))  # −1 where a query is no candidate
    sides = []
    for matrix, rows, metric in ((a, shared.rows_a, metrics[0]), (b, shared.rows_b, metrics[1])):
        vectors = matrix.vectors[rows[candidates]]
        asked = matrix.vectors[rows[queries]]
        sides.append(rank_candidates(asked, vectors, metric, codes[queries], codes[candidates], own, top))
    return Comparison(queries, candidates, *sides)


def comparison_table(shared: SharedItems, comparison: Comparison) -> pd.DataFrame:
    """A row a query, those that changed most first.

    Returns:
        query (its id), class, text, rank_a, rank_b, change (ranks won by B; negative where it lost), outcome ("better",
        "worse", "equal": of B), gain (of the reciprocal rank), top_shared (how many of the best both have), and place
        (the row of the comparison). Sorted by the size of the gain, so that 1 → 2 counts for more than 901 → 902.
    """
    rank_a, rank_b = comparison.a.first, comparison.b.first
    change = rank_a - rank_b
    top_a, top_b = comparison.a.top, comparison.b.top
    both = ((top_a[:, :, None] == top_b[:, None, :]) & (top_a[:, :, None] != NONE)).any(2).sum(1)
    table = pd.DataFrame(
        {
            "query": shared.ids[comparison.queries],
            "class": shared.labels[comparison.queries],
            "text": shared.texts[comparison.queries],
            "rank_a": rank_a,
            "rank_b": rank_b,
            "change": change,
            "outcome": np.select([change > 0, change < 0], [BETTER, WORSE], EQUAL),
            "gain": 1 / rank_b - 1 / rank_a,
            "top_shared": both,
            "place": np.arange(len(change)),
        }
    )
    order = np.lexsort((table["place"], -np.abs(change), -np.abs(table["gain"])))
    return table.iloc[order].reset_index(drop=True)


def summarise(table: pd.DataFrame) -> Summary:
    """The means over queries.

    Args:
        table: As from `comparison_table`, with at least one row.
    """
    from cross_modal.fewshot.intervals import mean_and_interval

    ranks = table["rank_a"].to_numpy(), table["rank_b"].to_numpy()
    gain, half = mean_and_interval(table["gain"].to_numpy())
    outcomes = table["outcome"].value_counts()
    return Summary(
        len(table),
        (float((1 / ranks[0]).mean()), float((1 / ranks[1]).mean())),
        (float((ranks[0] == 1).mean()), float((ranks[1] == 1).mean())),
        gain,
        half,
        *(int(outcomes.get(each, 0)) for each in (BETTER, WORSE, EQUAL)),
    )


def top_table(
    shared: SharedItems, candidates: np.ndarray, scores: np.ndarray, others: np.ndarray, top: int, where: str
) -> pd.DataFrame:
    """The best candidates of one query in one run, with where each stands in the other run.

    Args:
        shared: The items.
        candidates: (M,) rows of the shared items.
        scores: (M,) of this run; −inf is passed over (the query itself).
        others: (M,) of the other run.
        top: How many.
        where: The other run's letter.

    Returns:
        rank, id, class, text, kind, score, other_rank, arrow; best first.
    """
    ranks, there = ranks_of(scores), ranks_of(others)
    best = np.argsort(ranks)[:top]
    best = best[np.isfinite(scores[best])]
    rows = candidates[best]
    return pd.DataFrame(
        {
            "rank": ranks[best],
            "id": shared.ids[rows],
            "class": shared.labels[rows],
            "text": shared.texts[rows],
            "kind": shared.kinds[rows],
            "score": scores[best],
            "other_rank": there[best],
            "arrow": [arrow(*pair, where) for pair in zip(ranks[best].tolist(), there[best].tolist(), strict=True)],
        }
    )


def arrow(rank: int, other: int, where: str) -> str:
    """Where an item of one run's list stands in the other run's.

    Args:
        rank: Its rank here.
        other: Its rank there.
        where: The other run's letter.

    >>> arrow(2, 5, "A"), arrow(5, 2, "B"), arrow(3, 3, "A")
    ('▲ 3 · rank 5 in A', '▼ 3 · rank 2 in B', '= rank 3 in A')
    """
    if rank == other:
        return f"= rank {other} in {where}"
    return f"{'▲' if rank < other else '▼'} {abs(other - rank):,} · rank {other:,} in {where}"


def class_of_text(shared: SharedItems, text: str) -> str | None:
    """The class that a typed text names: that of an item with this text, or this label; None where there is none."""
    wanted = text.strip().casefold()
    lower = [np.char.lower(np.where(column == None, "", column).astype(str))  # noqa: E711 - an array
             for column in (shared.texts, shared.labels)]  # fmt: skip
    hits = np.flatnonzero(((lower[0] == wanted) | (lower[1] == wanted)) & (shared.labels != None))  # noqa: E711
    return str(shared.labels[hits[0]]) if len(hits) and wanted else None


def _answerable(shared: SharedItems, asked: Kind, sought: Kind) -> np.ndarray:
    """Rows of the shared items that may be queries: labelled, with a candidate of their class beside themselves."""
    codes, names = pd.factorize(shared.labels)
    answers = np.bincount(codes[(shared.kinds == sought) & (codes >= 0)], minlength=len(names) + 1)
    others = answers[codes] - (asked == sought)
    return np.flatnonzero((shared.kinds == asked) & (codes >= 0) & (others > 0))
