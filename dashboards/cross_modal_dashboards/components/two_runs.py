"""Two runs on the same queries: numbers, the queries that changed most, and both answers to one of them in pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
import streamlit as st

from cross_modal.gallery.schema import Kind
from cross_modal_dashboards import resources
from cross_modal_dashboards.candidate_ranking import score_candidates
from cross_modal_dashboards.catalogue import RunFacts
from cross_modal_dashboards.choice import BOUND, Choice
from cross_modal_dashboards.components.matches_link import open_matches
from cross_modal_dashboards.components.tiles import ClickTile, tiles
from cross_modal_dashboards.match_query import PLAIN, MatchQuery
from cross_modal_dashboards.run_charts import change_chart
from cross_modal_dashboards.run_comparison import (
    Comparison,
    SharedItems,
    Summary,
    class_of_text,
    compare,
    comparison_table,
    directions,
    draw_queries,
    shared_items,
    summarise,
    top_table,
)
from cross_modal_mlflow.gallery_table import Hit
from cross_modal_mlflow.gallery_tiles import pictures_of

if TYPE_CHECKING:
    from cross_modal.gallery.gallery import Gallery

RUNS: Final = "runs"  # both ids, in the address
QUERY: Final = "q"  # the query that is looked at, in the address
ORDER = ("class", "text", "rank_a", "rank_b", "change", "outcome", "gain", "top_shared", "query")
SAID = {"image": "picture", "text": "text"}


@st.cache_resource(max_entries=4, show_spinner="matching the galleries")
def _shared(_a: Gallery, _b: Gallery, key: tuple[object, ...]) -> SharedItems:
    return shared_items(_a.matrix(), _b.matrix())


@st.cache_resource(max_entries=8, show_spinner="ranking by both runs")
def _compared(
    _a: Gallery,
    _b: Gallery,
    _shared_items: SharedItems,
    key: tuple[object, ...],
    way: tuple[Kind, Kind],
    count: int,
    seed: int,
    top: int,
) -> tuple[Comparison, pd.DataFrame]:
    queries = draw_queries(_shared_items, *way, count, seed)
    metrics = _a.binding.metric, _b.binding.metric
    found = compare(_a.matrix(), _b.matrix(), metrics, _shared_items, queries, way[1], top)
    return found, comparison_table(_shared_items, found)


def two_runs(uri: str, runs: Sequence[RunFacts]) -> None:
    """Draws the comparison of two runs that the page lets choose.

    Args:
        uri: The tracking store.
        runs: All runs.

    Raises:
        CrossModalError: A gallery that is gone or cannot be read, or two without a common item.
    """
    able = {run.run_id: run for run in runs if run.gallery is not None and run.command in ("demo", "train", "sweep")}
    if len(able) < 2:
        st.info(
            f"Two runs with a gallery each can be compared; this store has {len(able)}. Training writes one; "
            "`cross-modal index runs:/RUN/model --data SOURCE --gallery FOLDER` writes one of a run that has none."
        )
        return
    chosen = _chosen(able)
    if chosen is None:
        return
    a, b = (resources.gallery(Choice(uri, run).gallery) for run in chosen)
    a.refresh()
    b.refresh()
    key = (a.location, a.version, b.location, b.version)
    shared = _shared(a, b, key)
    st.caption(shared.sentence)
    ways = directions(shared)
    text = st.text_input("A text to ask both, in place of drawn items", key="ask", bind=BOUND,
                         placeholder="greek small letter alpha")  # fmt: skip
    with st.expander("How is compared", icon=":material/tune:"):
        names = {f"{SAID[asked]} → {SAID[sought]}": (asked, sought) for asked, sought in ways}
        way = st.radio("Looked for → found", list(names), key="way", bind=BOUND, horizontal=True) if names else None
        left, middle, right = st.columns(3)
        count = left.slider("Queries", 20, 500, 200, 20, key="n", bind=BOUND)
        top = middle.slider("How many of the best", 3, 24, 8, key="k", bind=BOUND)
        seed = right.number_input("Seed of the draw", 0, 9999, 0, key="seed", bind=BOUND)
    if text.strip():
        _typed(uri, chosen, (a, b), shared, text.strip(), top)
        return
    if way is None:
        st.info("No class has two items that both galleries hold: type a text to see both answers to it.")
        return
    found, table = _compared(a, b, shared, key, names[way], count, int(seed), top)
    _numbers(summarise(table))
    place = _queries(table)
    query = int(found.queries[place])
    st.subheader("Both answers")
    scores = [
        _scores_of_item(gallery, rows, query, found.candidates)
        for gallery, rows in ((a, shared.rows_a), (b, shared.rows_b))
    ]
    ranks = int(found.a.first[place]), int(found.b.first[place])
    _answers(chosen, (a, b), shared, found.candidates, scores, top, shared.labels[query], ranks, shared.ids[query])


def _chosen(able: dict[str, RunFacts]) -> tuple[RunFacts, RunFacts] | None:
    """The two runs, from the address or by hand."""
    asked = [each for each in st.query_params.get(RUNS, "").split(",") if each]
    missing = [each[:40] for each in asked if each not in able]
    if missing:
        st.warning(f"run {missing[0]}: expected a run with a gallery in this store, found none; choose another")
    ids = list(able)
    known = [each for each in asked if each in able]
    # The older of the newest two is A: what is asked is mostly whether the newer is better.
    defaults = (known + [each for each in (ids[1], ids[0]) if each not in known])[:2]
    for name, default in zip(("run A", "run B"), defaults, strict=True):
        if st.session_state.get(name) not in able:
            st.session_state[name] = default
    left, right = st.columns(2)
    a = left.selectbox("Run A", ids, format_func=lambda each: able[each].title, key="run A")
    b = right.selectbox("Run B", ids, format_func=lambda each: able[each].title, key="run B")
    st.query_params[RUNS] = f"{a},{b}"
    if a == b:
        st.info("A and B are the same run: choose another for one of them.")
        return None
    return able[a], able[b]


def _numbers(found: Summary) -> None:
    """The means of both runs and who wins."""
    cells = st.columns([2, 2, 1, 1, 1])
    pairs = {"Mean reciprocal rank of B": found.mrr, "Recall at 1 of B": found.recall_at_1}
    for cell, (name, (of_a, of_b)) in zip(cells, pairs.items(), strict=False):
        cell.metric(name, f"{of_b:.3f}", f"{of_b - of_a:+.3f} to A's {of_a:.3f}")
    cells[2].metric("B earlier", found.better)
    cells[3].metric("B later", found.worse)
    cells[4].metric("Same rank", found.equal)
    st.caption(found.sentence)


def _queries(table: pd.DataFrame) -> int:
    """The table of queries; the place of the chosen one, by a click or by the address."""
    left, right = st.columns([3, 2])
    shown = table.drop(columns="place")
    config = {
        "class": None if table["class"].equals(table["text"]) else "class",
        "rank_a": st.column_config.NumberColumn("rank in A"),
        "rank_b": st.column_config.NumberColumn("rank in B"),
        "change": st.column_config.NumberColumn("ranks won by B", format="%+d"),
        "outcome": "B is",
        "gain": st.column_config.NumberColumn("gain", format="%+.3f", help="1/rank in B − 1/rank in A"),
        "top_shared": st.column_config.NumberColumn("in both", help="How many of the best both runs found"),
    }
    with left:
        state = st.dataframe(shown, hide_index=True, column_config=config, key="query rows", on_select="rerun",
                             selection_mode="single-row", height=300, column_order=ORDER)  # fmt: skip
        st.download_button("Download comparison as CSV", shown.to_csv(index=False), "comparison.csv", "text/csv",
                           on_click="ignore", key="comparison")  # fmt: skip
    right.altair_chart(change_chart(table), width="stretch")
    rows = [row for row in (state["selection"]["rows"] if state else []) if row < len(table)]
    ids = table["query"].tolist()
    asked = st.query_params.get(QUERY)
    row = rows[0] if rows else ids.index(asked) if asked in ids else 0
    if rows or asked is not None:
        st.query_params[QUERY] = ids[row]
    return int(table["place"][row])


def _scores_of_item(gallery: Gallery, rows: np.ndarray, query: int, candidates: np.ndarray) -> np.ndarray:
    """(M,) scores of one query; its own is −inf."""
    matrix = gallery.matrix()
    asked = matrix.vectors[rows[[query]]]
    scores = score_candidates(asked, matrix.vectors[rows[candidates]], gallery.binding.metric)[0]
    return np.where(candidates == query, np.float32(-np.inf), scores)


def _typed(
    uri: str,
    chosen: tuple[RunFacts, RunFacts],
    galleries: tuple[Gallery, Gallery],
    shared: SharedItems,
    text: str,
    top: int,
) -> None:
    """Both answers to a typed text, in pictures where there are any."""
    from cross_modal_mlflow.gallery_query import embed_queries

    candidates = np.flatnonzero(shared.kinds == ("image" if (shared.kinds == "image").any() else "text"))
    klass, scores, ranks = class_of_text(shared, text), [], []
    for run, gallery, rows in zip(chosen, galleries, (shared.rows_a, shared.rows_b), strict=True):
        twin = resources.model(uri, run.run_id).twin
        vector = embed_queries(gallery, twin, [MatchQuery(text).query(twin)], PLAIN)
        found = score_candidates(vector, gallery.matrix().vectors[rows[candidates]], gallery.binding.metric)[0]
        scores.append(found)
        right = np.flatnonzero(shared.labels[candidates] == klass) if klass is not None else np.zeros(0, np.int64)
        order = np.lexsort((np.arange(len(found)), -found))
        ranks.append(int(np.flatnonzero(np.isin(order, right))[0]) + 1 if len(right) else 0)
    st.subheader("Both answers")
    if klass is None:
        st.caption("No item of both galleries has this text or label: which answer is right is for you to say.")
    _answers(chosen, galleries, shared, candidates, scores, top, klass, (ranks[0], ranks[1]), None)


def _answers(
    chosen: tuple[RunFacts, RunFacts],
    galleries: tuple[Gallery, Gallery],
    shared: SharedItems,
    candidates: np.ndarray,
    scores: Sequence[np.ndarray],
    top: int,
    klass: str | None,
    ranks: tuple[int, int],
    query: str | None,
) -> None:
    """The best of both runs side by side, an arrow at each: how many ranks higher than in the other run."""
    if query is not None:
        st.markdown("Looked for")
        row = galleries[0].row([query], ["id", "kind", "label", "text", "image"]).to_pylist()[0]
        hit = Hit(0, 0.0, query, row["kind"], row["label"], row["text"], row["image"])
        words = row["text"] or row["label"] or query
        asked = ClickTile(query, row["label"] or query, words, alt=f"looked for: {words}; open in Matches",
                          picture=pictures_of(galleries[0], [hit]).get(query))  # fmt: skip
        if tiles([asked], key="asked") is not None:
            open_matches(chosen[0].run_id, query)
    columns = st.columns(2)
    for number, (run, gallery, column) in enumerate(zip(chosen, galleries, columns, strict=True)):
        table = top_table(shared, candidates, scores[number], scores[1 - number], top, "BA"[number])
        with column:
            st.markdown(f"**{'AB'[number]}**" + (f": the right class first at rank {ranks[number]:,}" if klass else ""))
            st.text(run.title)
            clicked = tiles(_tiles(gallery, table, klass), key=f"answers {'AB'[number]}")
            if clicked is not None:
                open_matches(run.run_id, clicked)
    st.caption("▲ stands so many ranks higher than in the other run, ▼ lower; green is of the right class. "
               "A click opens Matches of that run.")  # fmt: skip


def _tiles(gallery: Gallery, table: pd.DataFrame, klass: str | None) -> list[ClickTile]:
    kept = gallery.row(table["id"].tolist(), ["id", "image"]).to_pylist()
    images = {row["id"]: row["image"] for row in kept}
    rows: list[dict[Any, Any]] = table.to_dict("records")
    hits = [Hit(row["rank"], row["score"], row["id"], row["kind"], row["class"], row["text"], images[row["id"]])
            for row in rows]  # fmt: skip
    pictures = pictures_of(gallery, hits)
    return [
        ClickTile(
            id=row["id"],
            title=f"{row['rank']}. {row['class'] or row['text'] or row['id']}",
            words=row["text"] or "",
            score=f"{row['score']:.4f}",
            alt=f"rank {row['rank']}: {row['class'] or row['text'] or row['id']}, {row['arrow']}; open in Matches",
            picture=pictures.get(row["id"]),
            lines=(row["arrow"],),
            state="plain" if klass is None else "right" if row["class"] == klass else "wrong",
        )
        for row in rows
    ]
