"""Ranking metrics equal a brute-force loop; ties, labels and queries without a match are handled as said."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cross_modal.errors import CrossModalError
from cross_modal.retrieval.ranking import label_codes, rank, recall_at_1


def slow(queries, query_labels, candidates, candidate_labels, exclude_self=False):
    """Sorts each query's candidates by score, wrong ones first among equals; float32 scores of small integers."""
    found = {}
    for q, (vector, label) in enumerate(zip(queries, query_labels, strict=True)):
        if label is None:
            continue
        ranked = sorted(
            (-(2 * float(vector @ other) - float(other @ other)), other_label == label)
            for c, (other, other_label) in enumerate(zip(candidates, candidate_labels, strict=True))
            if not (exclude_self and c == q)
        )
        hits = [hit for _, hit in ranked]
        total = sum(hits)
        if not total:
            found[q] = None
            continue
        precision = sum(sum(hits[: i + 1]) / (i + 1) for i in range(total) if hits[i]) / total
        found[q] = (hits.index(True) + 1, precision)
    return found


@settings(max_examples=80, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    queries=st.integers(1, 12),
    candidates=st.integers(1, 15),
    labels=st.integers(1, 6),
    strings=st.booleans(),
    exclude_self=st.booleans(),
    chunk=st.sampled_from([1, 40, 1 << 23]),
)
def test_equals_brute_force(seed, queries, candidates, labels, strings, exclude_self, chunk):
    """Coordinates are small integers, so that scores are exact and ties are many."""
    generator = np.random.default_rng(seed)
    names = np.array([f"n{i}" for i in range(labels)], object) if strings else 2**60 + np.arange(labels)
    x = generator.integers(-2, 3, (queries, 2)).astype(np.float32)
    of_x = names[generator.integers(0, labels, queries)]
    y, of_y = x, of_x
    if not exclude_self:
        y = generator.integers(-2, 3, (candidates, 2)).astype(np.float32)
        of_y = names[generator.integers(0, labels, candidates)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cross_modal.retrieval.ranking.CHUNK_CELLS", chunk)
        found = rank(x, of_x, y, of_y, metric="euclidean", exclude_self=exclude_self)
    expected = slow(x, of_x, y, of_y, exclude_self)
    matched = {q: values for q, values in expected.items() if values}
    assert found.queries.tolist() == list(matched)
    assert found.first.tolist() == [first for first, _ in matched.values()]
    assert found.average_precision == pytest.approx([precision for _, precision in matched.values()])
    assert found.without_match == len(expected) - len(matched)


def test_a_perfect_index_is_perfect_and_an_off_by_one_is_zero():
    eye = np.eye(8, dtype=np.float32)
    labels = 2**24 + np.arange(8)  # float32 cannot tell these apart
    right = rank(eye, labels, eye, labels)
    assert right.recall_at(1).mean() == right.average_precision.mean() == right.reciprocal_rank.mean() == 1
    wrong = rank(eye, labels, eye, np.roll(labels, 1))
    assert wrong.recall_at(1).mean() == wrong.average_precision.mean() == 0
    assert recall_at_1(eye, labels, eye, labels) == 1


def test_collapsed_embeddings_find_nothing():
    same = np.ones((20, 4), np.float32)
    labels = np.arange(20)
    found = rank(same, labels, same, labels)
    assert (found.first == 20).all()
    assert found.recall_at(10).mean() == 0


def test_random_embeddings_find_by_chance():
    generator = np.random.default_rng(0)
    labels = np.arange(500)
    found = rank(generator.normal(size=(500, 8)), labels, generator.normal(size=(500, 8)), labels)
    assert found.recall_at(10).mean() == pytest.approx(0.02, abs=0.02)
    assert found.first.mean() == pytest.approx(250, abs=25)


def test_recall_deeper_than_the_candidates_and_rows_in_order():
    x = np.eye(3, dtype=np.float32)
    found = rank(x, ["a", "b", "c"], x[:2], ["b", "a"])
    assert found.queries.tolist() == [0, 1]
    assert found.recall_at(10).tolist() == [1, 1]


def test_queries_without_a_match_are_counted_and_reported():
    x = np.eye(4, dtype=np.float32)
    found = rank(x, np.array(["a", "b", "z", None], object), x, np.array(["a", "b", "c", None], object))
    metrics = found.metrics("retrieval/image_to_text")
    assert found.without_match == 1  # "z"; the row without a label asks nothing
    assert metrics["retrieval/image_to_text/queries_without_match"] == 1
    assert metrics["retrieval/image_to_text/recall_at_1"] == 1
    assert metrics["retrieval/image_to_text/recall_at_1/ci95"] == 0
    assert set(metrics) == {
        f"retrieval/image_to_text/{name}{end}"
        for name in ("recall_at_1", "recall_at_5", "recall_at_10", "map_at_r", "mrr")
        for end in ("", "/ci95")
    } | {"retrieval/image_to_text/queries_without_match"}


def test_without_any_match_only_the_count_is_left():
    x = np.eye(2, dtype=np.float32)
    assert rank(x, [0, 1], x, [2, 3]).metrics("r") == {"r/queries_without_match": 2.0}
    assert np.isnan(recall_at_1(x, np.array([0, 1]), x, np.array([2, 3])))


def test_labels_of_any_width_and_kind_compare_exactly():
    queries, candidates = label_codes(np.array([2**63 + 5], np.uint64), np.array([-5, 7], np.int64))
    assert queries[0] not in candidates
    mixed = np.array(["a", None], object)
    assert label_codes(mixed, np.array(["a"]))[0].tolist() == [0, -1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"query_labels": np.array([0.0, 1.0])}, "query labels: expected integers or strings, found float"),
        ({"query_labels": np.array(["0", "1"])}, "found both"),
        ({"query_labels": np.array([0])}, "2 queries but 1 labels"),
        ({"queries": np.eye(2, 3)}, "queries have 3 dimensions, candidates 2"),
        ({"queries": np.full((2, 2), np.nan)}, "queries: row 0 is not finite"),
        ({"candidates": np.eye(2)[:1], "candidate_labels": [0], "exclude_self": True}, "same rows"),
    ],
)
def test_bad_input_is_named(change, message):
    call = {
        "queries": np.eye(2),
        "query_labels": np.arange(2),
        "candidates": np.eye(2),
        "candidate_labels": np.arange(2),
    }
    with pytest.raises(CrossModalError, match=message):
        rank(**(call | change))
