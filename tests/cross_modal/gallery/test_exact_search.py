"""Exact search gives what sorting every score gives: filtered or not, alone or in a batch, with ties, at any size."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cross_modal.errors import CrossModalError
from cross_modal.gallery import exact_search
from cross_modal.gallery.blas_threads import BLAS
from cross_modal.gallery.exact_scores import halved_squares, product_error
from cross_modal.gallery.exact_search import nearest

METRICS = ["cosine", "euclidean"]


def plainly(vectors, queries, k, metric, rows=None):
    """The same, written down once more: all scores in float64, one query after the other, sorted by score and row."""
    rows = np.arange(len(vectors)) if rows is None else np.sort(rows)
    found, scores = np.full((len(queries), k), -1), np.full((len(queries), k), -np.inf, np.float32)
    some = vectors[rows].astype(float)
    for number, query in enumerate(queries.astype(float)):
        exact = (some * query).sum(1) if metric == "cosine" else 0 - np.sqrt(((some - query) ** 2).sum(1))
        order = np.lexsort((rows, -exact.astype(np.float32)))[:k]
        found[number, : len(order)], scores[number, : len(order)] = rows[order], exact[order]
    return found, scores


def cloud(random, count, dim, metric, ties=False):
    vectors = random.standard_normal((count, dim)).astype(np.float32)
    if ties and count:
        vectors = vectors[random.integers(0, max(count // 20, 1), count)]
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True) if metric == "cosine" else vectors


def assert_equal(found, expected):
    np.testing.assert_array_equal(found[0], expected[0])
    np.testing.assert_array_equal(found[1], expected[1])
    assert found[0].dtype == np.int64
    assert found[1].dtype == np.float32


@pytest.mark.parametrize("metric", METRICS)
@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    count=st.integers(0, 300),
    dim=st.integers(1, 40),
    queries=st.integers(0, 12),
    k=st.integers(1, 40),
    share=st.sampled_from([None, 0.0, 0.1, 0.5, 0.9, 1.0]),
    ties=st.booleans(),
)
def test_is_what_sorting_all_scores_gives(metric, seed, count, dim, queries, k, share, ties):
    random = np.random.default_rng(seed)
    vectors, asked = cloud(random, count, dim, metric, ties), cloud(random, queries, dim, metric)
    rows = None if share is None else np.flatnonzero(random.random(count) < share)
    assert_equal(nearest(vectors, asked, k, metric, rows), plainly(vectors, asked, k, metric, rows))


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("k", [1, 10, 2500])
@pytest.mark.parametrize("share", [None, 0.2, 0.8])
def test_galleries_of_several_blocks(metric, k, share):
    random = np.random.default_rng(k)
    vectors, asked = cloud(random, 13_001, 24, metric, ties=True), cloud(random, 30, 24, metric)
    rows = None if share is None else np.flatnonzero(random.random(len(vectors)) < share)
    assert_equal(nearest(vectors, asked, k, metric, rows), plainly(vectors, asked, k, metric, rows))


@pytest.mark.parametrize("metric", METRICS)
def test_a_large_gallery_read_by_several_threads(metric, monkeypatch):
    monkeypatch.setattr(exact_search, "_LARGE", 1)
    random = np.random.default_rng(5)
    vectors, asked = cloud(random, 40_000, 16, metric), cloud(random, 1, 16, metric)
    few = np.flatnonzero(random.random(len(vectors)) < 0.4)
    assert_equal(nearest(vectors, asked, 10, metric), plainly(vectors, asked, 10, metric))
    assert_equal(nearest(vectors, asked, 10, metric, few), plainly(vectors, asked, 10, metric, few))


@pytest.mark.parametrize("metric", METRICS)
def test_the_order_of_the_gallery_hides_nothing(metric):
    """From the worst to the best: every block beats the threshold of those before."""
    random = np.random.default_rng(6)
    vectors, asked = cloud(random, 20_000, 16, metric), cloud(random, 8, 16, metric)
    vectors = np.ascontiguousarray(vectors[plainly(vectors, asked[:1], len(vectors), metric)[0][0][::-1]])
    assert_equal(nearest(vectors, asked, 10, metric), plainly(vectors, asked, 10, metric))


@pytest.mark.parametrize("metric", METRICS)
def test_one_answer_alone_and_in_company(metric):
    random = np.random.default_rng(7)
    vectors, asked = cloud(random, 9000, 33, metric, ties=True), cloud(random, 50, 33, metric)
    rows, scores = nearest(vectors, asked, 7, metric)
    for number in range(0, 50, 7):
        assert_equal(nearest(vectors, asked[number : number + 1], 7, metric), (rows[[number]], scores[[number]]))


@pytest.mark.parametrize("queries", [1, 40])
def test_equal_vectors_come_by_row(queries, monkeypatch):
    """Also where masses of them tie, and where the products of equal vectors differ in the last bit."""
    monkeypatch.setattr(exact_search, "_CROWD", 1000)
    one = np.random.default_rng(8).standard_normal(37).astype(np.float32)
    vectors = np.repeat(one[None] / np.linalg.norm(one), 5000, axis=0)
    rows, scores = nearest(vectors, vectors[:queries], 20, "cosine")
    np.testing.assert_array_equal(rows, np.tile(np.arange(20), (queries, 1)))
    assert len(np.unique(scores)) == 1
    some = np.arange(1, 5000, 2)
    np.testing.assert_array_equal(nearest(vectors, vectors[:queries], 3, "cosine", some)[0], [[1, 3, 5]] * queries)


@pytest.mark.parametrize("queries", [1, 9])
def test_distances_far_from_the_origin_keep_their_order(queries):
    """Squares of lengths swallow such differences in float32: the candidates are many, the answer exact."""
    random = np.random.default_rng(9)
    vectors = (1000 + random.standard_normal((4000, 12))).astype(np.float32)
    asked = (1000 + random.standard_normal((queries, 12))).astype(np.float32)
    assert_equal(nearest(vectors, asked, 10, "euclidean"), plainly(vectors, asked, 10, "euclidean"))
    asked = (1e5 * random.standard_normal((queries, 12))).astype(np.float32)  # all about as far: ties by rounding
    assert_equal(nearest(vectors, asked, 10, "euclidean"), plainly(vectors, asked, 10, "euclidean"))


def test_halves_at_hand_change_nothing():
    random = np.random.default_rng(10)
    vectors, asked = cloud(random, 500, 6, "euclidean"), cloud(random, 5, 6, "euclidean")
    rows = np.arange(100, 300)
    expected = plainly(vectors, asked, 4, "euclidean", rows)
    assert_equal(nearest(vectors, asked, 4, "euclidean", rows, halved_squares(vectors)), expected)


def test_read_only_and_unaligned_galleries():
    random = np.random.default_rng(11)
    vectors = cloud(random, 300, 7, "cosine")
    apart = np.frombuffer(b"x" + vectors.tobytes(), np.uint8)[1:].view(np.float32).reshape(vectors.shape)
    assert not apart.flags.writeable
    asked = cloud(random, 6, 7, "cosine")
    assert_equal(nearest(apart, asked, 5, "cosine"), plainly(vectors, asked, 5, "cosine"))


def test_fewer_rows_than_asked_for():
    rows, scores = nearest(np.eye(2, dtype=np.float32), np.eye(2, dtype=np.float32), 3, "cosine")
    assert rows.tolist() == [[0, 1, -1], [1, 0, -1]]
    assert scores.tolist() == [[1, 0, -np.inf], [1, 0, -np.inf]]
    rows, scores = nearest(np.zeros((0, 2), np.float32), np.eye(2, dtype=np.float32), 1, "cosine")
    assert rows.tolist() == [[-1], [-1]]


@pytest.mark.parametrize(
    ("k", "width", "said"), [(0, 3, "k of at least 1, found 0"), (1, 4, r"queries \(Q, 3\), found \(1, 4\)")]
)
def test_refuses(k, width, said):
    with pytest.raises(CrossModalError, match=said):
        nearest(np.eye(3, dtype=np.float32), np.zeros((1, width), np.float32), k, "cosine")


def test_products_err_by_no_more_than_is_allowed_for():
    random = np.random.default_rng(12)
    for dim in (1, 7, 256, 1024):
        a, b = cloud(random, 200, dim, "cosine"), cloud(random, 200, dim, "cosine")
        error = np.abs(a @ b.T - a.astype(float) @ b.T.astype(float)).max()
        assert error <= product_error(dim)


def test_searches_at_once_leave_the_threads_as_they_were():
    with BLAS.single() as before:
        pass
    random = np.random.default_rng(13)
    vectors, asked = cloud(random, 5000, 16, "cosine"), cloud(random, 64, 16, "cosine")
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda count: nearest(vectors, asked[:count], 5, "cosine")[0], [1, 64, 2, 30] * 10))
    for answer in answers:
        np.testing.assert_array_equal(answer, answers[1][: len(answer)])
    with BLAS.single() as after:
        assert after == before


def test_an_error_inside_gives_the_threads_back():
    with BLAS.single() as before:
        pass
    with pytest.raises(ZeroDivisionError), BLAS.single():
        raise ZeroDivisionError
    with BLAS.single() as after:
        assert after == before


def test_imports_no_torch():
    modules = "cross_modal.gallery.exact_search, cross_modal.gallery.duplicates"
    code = f"import sys, {modules}; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
