"""Two runs on the same queries: the same candidates, ranks counted query by query, and who wins."""

import numpy as np
import pandas as pd
import pytest
from toys.shapes import shapes
from toys.tiny_twin import tiny_twin
from toys.toy_gallery import PLAIN, memory_gallery

from cross_modal.errors import CrossModalError
from cross_modal.fewshot.intervals import mean_and_interval
from cross_modal.gallery.binding import Binding
from cross_modal.gallery.gallery import Gallery
from cross_modal.gallery.matrix import Matrix
from cross_modal.gallery.schema import reference_table
from cross_modal.retrieval.ranking import rank
from cross_modal_dashboards.candidate_ranking import score_candidates
from cross_modal_dashboards.run_comparison import (
    arrow,
    class_of_text,
    compare,
    comparison_table,
    directions,
    draw_queries,
    shared_items,
    summarise,
    top_table,
)

BINDING = Binding("1a2b", "cosine", 8, True)


def matrix(
    ids: list[str], labels: list[str | None], *, seed: int = 0, kinds: list[str] | None = None,
    contents: list[str] | None = None, genuine: list[bool] | None = None,
) -> Matrix:  # fmt: skip
    vectors = np.random.default_rng(seed).normal(size=(len(ids), 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    gallery = Gallery.create("memory", BINDING)
    gallery.upsert(
        reference_table(
            ids, vectors, kinds=kinds or "image", contents=contents or [f"of {each}" for each in ids],  # type: ignore[arg-type]
            binding=BINDING, labels=labels, texts=[f"the {label}" for label in labels], genuine=genuine,
        )
    )  # fmt: skip
    return gallery.matrix()


def many(seed: int, count: int = 60) -> Matrix:
    return matrix([f"item {row:03d}" for row in range(count)], [f"class {row % 7}" for row in range(count)], seed=seed)


def test_items_are_matched_by_id_and_content_and_the_rest_is_counted() -> None:
    a = matrix(["a", "b", "c", "d"], ["x", "x", "y", None])
    b = matrix(["b", "c", "d", "e", "f"], ["x", "y", None, "z", "z"], contents=["of b", "new", "of d", "of e", "of f"])
    shared = shared_items(a, b)
    assert shared.ids.tolist() == ["b", "d"]
    assert a.ids[shared.rows_a].tolist() == b.ids[shared.rows_b].tolist() == ["b", "d"]
    assert (shared.only_a, shared.only_b, shared.changed) == (1, 2, 1)
    assert shared.labels.tolist() == ["x", None]
    assert "2 items are in both galleries" in shared.sentence


def test_galleries_of_other_items_are_refused_in_one_line() -> None:
    with pytest.raises(CrossModalError, match="expected galleries with items in common") as caught:
        shared_items(matrix(["a"], ["x"]), matrix(["b"], ["x"]))
    assert "\n" not in str(caught.value)


def test_forgeries_are_neither_queries_nor_right() -> None:
    a = matrix(["a", "b", "c"], ["x", "x", "x"], genuine=[True, True, False])
    shared = shared_items(a, a)
    assert draw_queries(shared, "image", "image", 9, 0).tolist() == [0, 1]
    assert shared.labels.tolist() == ["x", "x", None]


def test_queries_have_another_right_answer_and_a_seed_draws_the_same() -> None:
    a = matrix(["a", "b", "c", "t"], ["x", "x", "lonely", "lonely"], kinds=["image", "image", "image", "text"])
    shared = shared_items(a, a)
    assert shared.ids[draw_queries(shared, "image", "image", 9, 0)].tolist() == ["a", "b"]
    assert shared.ids[draw_queries(shared, "text", "image", 9, 0)].tolist() == ["t"]
    assert directions(shared) == [("text", "image"), ("image", "image"), ("image", "text")]
    with pytest.raises(CrossModalError, match="whose class has another text item"):
        draw_queries(shared, "text", "text", 9, 0)
    big = shared_items(many(0), many(0))
    drawn = draw_queries(big, "image", "image", 20, 3)
    assert len(set(drawn.tolist())) == 20
    assert drawn.tolist() == draw_queries(big, "image", "image", 20, 3).tolist()
    assert drawn.tolist() != draw_queries(big, "image", "image", 20, 4).tolist()


def test_ranks_are_those_of_the_retrieval_of_each_run() -> None:
    a, b = many(1), many(2)
    shared = shared_items(a, b)
    queries = np.arange(len(shared))
    found = compare(a, b, ("cosine", "cosine"), shared, queries, "image", 5)
    for side, of in ((found.a, a), (found.b, b)):
        truth = rank(of.vectors, of.column("label"), of.vectors, of.column("label"), exclude_self=True)
        assert side.first.tolist() == truth.first.tolist()
    numbers = summarise(comparison_table(shared, found))
    assert numbers.mrr == pytest.approx(((1 / found.a.first).mean(), (1 / found.b.first).mean()))
    assert numbers.recall_at_1 == pytest.approx(((found.a.first == 1).mean(), (found.b.first == 1).mean()))
    assert (numbers.gain, numbers.gain_ci95) == pytest.approx(mean_and_interval(1 / found.b.first - 1 / found.a.first))
    assert numbers.better == (found.b.first < found.a.first).sum()
    assert numbers.better + numbers.worse + numbers.equal == numbers.queries == 60


def test_a_run_against_itself_changes_nothing_and_swapping_two_turns_the_signs() -> None:
    a, b = many(1), many(2)
    shared = shared_items(a, b)
    queries = draw_queries(shared, "image", "image", 30, 0)
    same = comparison_table(shared, compare(a, a, ("cosine", "cosine"), shared_items(a, a), queries, "image", 5))
    assert set(same["outcome"]) == {"equal"}
    assert set(same["top_shared"]) == {5}
    assert "alike on all 30 queries" in summarise(same).sentence
    there = summarise(comparison_table(shared, compare(a, b, ("cosine", "cosine"), shared, queries, "image", 5)))
    turned = shared_items(b, a)
    back = summarise(comparison_table(turned, compare(b, a, ("cosine", "cosine"), turned, queries, "image", 5)))
    assert (there.better, there.worse) == (back.worse, back.better)
    assert there.gain == pytest.approx(-back.gain)


def test_only_what_both_hold_is_ranked() -> None:
    """A gallery with a hundred distractors more is no handicap."""
    a, whole = many(1), many(1, 160)
    alone = shared_items(a, a)
    shared = shared_items(a, whole)
    vectors = dict(zip(whole.ids.tolist(), whole.vectors, strict=True))
    assert all((vectors[name] == vector).all() for name, vector in zip(a.ids, a.vectors, strict=True))
    queries = np.arange(20)
    first = compare(a, a, ("cosine", "cosine"), alone, queries, "image", 5).a.first
    assert compare(a, whole, ("cosine", "cosine"), shared, queries, "image", 5).b.first.tolist() == first.tolist()


def test_the_table_leads_with_the_greatest_gain_whoever_wins() -> None:
    a, b = many(1), many(2)
    shared = shared_items(a, b)
    found = compare(a, b, ("cosine", "cosine"), shared, np.arange(60), "image", 5)
    table = comparison_table(shared, found)
    assert table["gain"].abs().is_monotonic_decreasing
    assert (table["change"] == table["rank_a"] - table["rank_b"]).all()
    assert table["query"].tolist() == shared.ids[found.queries[table["place"]]].tolist()
    for row in table.head(10).itertuples():
        tops = (set(found.a.top[row.place]), set(found.b.top[row.place]))
        assert row.top_shared == len(tops[0] & tops[1])


def test_the_best_of_one_run_say_where_they_stand_in_the_other() -> None:
    a, b = many(1), many(2)
    shared = shared_items(a, b)
    candidates = np.arange(60)
    scores = [score_candidates(each.vectors[:1], each.vectors, "cosine")[0] for each in (a, b)]
    scores = [np.where(candidates == 0, -np.inf, each) for each in scores]
    here = top_table(shared, candidates, scores[0], scores[1], 60, "B")
    there = top_table(shared, candidates, scores[1], scores[0], 60, "A")
    assert len(here) == 59
    assert "item 000" not in here["id"].tolist()
    joined = pd.merge(here, there, on="id", suffixes=("_a", "_b"))
    assert (joined["other_rank_a"] == joined["rank_b"]).all()
    assert (joined["other_rank_b"] == joined["rank_a"]).all()
    assert here["arrow"][0] == arrow(1, here["other_rank"][0], "B")


def test_a_typed_text_names_the_class_whose_text_or_label_it_is() -> None:
    a = matrix(["a", "b"], ["Greek alpha", None])
    shared = shared_items(a, a)
    assert class_of_text(shared, " the greek ALPHA") == "Greek alpha"
    assert class_of_text(shared, "greek alpha ") == "Greek alpha"
    assert class_of_text(shared, "beta") is None
    assert class_of_text(shared, "") is None


def test_real_galleries_of_two_twins_are_compared() -> None:
    items = shapes(3).split("test")
    a = memory_gallery(items, "each")
    other = tiny_twin()
    b = Gallery.create("memory", Binding.of(other))
    from cross_modal.gallery.indexing import IndexConfig, index_items

    index_items(b, other, items, IndexConfig(of="each"), PLAIN)
    shared = shared_items(a.matrix(), b.matrix())
    assert len(shared) == len(a)
    queries = draw_queries(shared, "text", "image", 50, 0)
    found = compare(a.matrix(), b.matrix(), (a.binding.metric, b.binding.metric), shared, queries, "image", 5)
    assert (found.a.first >= 1).all()
    assert (shared.kinds[found.candidates] == "image").all()
