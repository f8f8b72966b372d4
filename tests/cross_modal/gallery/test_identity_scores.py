"""Scores with identities, restated one pair at a time."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toys.identities import identities

from cross_modal.errors import CrossModalError
from cross_modal.fewshot.scoring import Metric
from cross_modal.gallery import identity_scores
from cross_modal.gallery.identity_scores import How, enrol


def slowly(query: np.ndarray, references: np.ndarray, metric: Metric, how: How) -> float:
    """One query, one identity."""
    query, references = query.astype(np.float64), references.astype(np.float64)
    if metric == "cosine":
        query = query / np.linalg.norm(query)
        references = references / np.linalg.norm(references, axis=1, keepdims=True)
    targets = references.mean(axis=0)[None] if how == "mean" else references
    if metric == "euclidean":
        return float(-np.linalg.norm(query - targets, axis=1).min())
    return float((targets / np.linalg.norm(targets, axis=1, keepdims=True) @ query).max())


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("how", ["mean", "best"])
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 999), cells=st.sampled_from([1, 20, 1 << 20]))
def test_scores_are_those_of_each_pair(metric: Metric, how: How, seed: int, cells: int) -> None:
    generator = np.random.default_rng(seed)
    labels = generator.choice(["b", "a", "c"], 8).astype(object)
    vectors, queries = generator.normal(size=(8, 4)), generator.normal(size=(5, 4))
    enrolment = enrol(vectors, labels, metric)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(identity_scores, "_CELLS", cells)
        table = np.concatenate([part for _, part in enrolment.scores(queries, how)])
    expected = [[slowly(q, vectors[labels == who], metric, how) for who in enrolment.identities] for q in queries]
    np.testing.assert_allclose(table, expected, atol=2e-5)
    _places, scores = enrolment.best_two(queries, how)
    np.testing.assert_allclose(scores[:, 0], np.max(expected, axis=1), atol=2e-5)
    if len(enrolment) > 1:
        np.testing.assert_allclose(scores[:, 1], np.sort(expected, axis=1)[:, -2], atol=2e-5)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("how", ["mean", "best"])
def test_leaving_a_reference_out_is_enrolling_without_it(metric: Metric, how: How) -> None:
    vectors, labels = identities(4, 3, 5)
    vectors, labels = np.concatenate([vectors, vectors[:1] * 0.9 + 0.1]), np.append(labels, "single")
    enrolment = enrol(vectors, labels, metric)
    left = enrolment.left_out(how)
    for place, row in enumerate(enrolment.rows):
        rest = np.arange(len(vectors)) != row
        fellows = vectors[rest & (labels == labels[row])]
        expected = slowly(vectors[row], fellows, metric, how) if len(fellows) else -np.inf
        assert left.own[place] == pytest.approx(expected, abs=2e-5)
        others = {who: slowly(vectors[row], vectors[labels == who], metric, how) for who in set(labels) - {labels[row]}}
        assert left.others[place] == pytest.approx(max(others.values()), abs=2e-5)
        assert enrolment.identities[left.nearest[place]] == max(others, key=lambda who: others[who])


def test_one_identity_has_no_runner_up() -> None:
    places, scores = enrol(np.eye(2), np.array(["a", "a"], object)).best_two(np.eye(2))
    assert (places[:, 1] == -1).all()
    assert np.isneginf(scores[:, 1]).all()


def test_ties_go_to_the_first_name() -> None:
    enrolment = enrol(np.ones((3, 2)), np.array(["c", "a", "b"], object))
    assert enrolment.best_two(np.ones((1, 2)))[0].tolist() == [[0, 1]]


def test_rows_without_a_label_and_rows_left_out_are_nobodys() -> None:
    enrolment = enrol(np.eye(3), np.array(["a", None, "b"], object), keep=np.array([True, True, False]))
    assert (enrolment.identities.tolist(), enrolment.rows.tolist()) == (["a"], [0])
    with pytest.raises(CrossModalError, match="expected references with a label, found none"):
        enrol(np.eye(1), np.array([None], object))


def test_queries_of_another_size_are_refused() -> None:
    with pytest.raises(CrossModalError, match="expected size 3 as the references, found 2"):
        enrol(np.eye(3), np.array(["a", "b", "c"], object)).best_two(np.eye(2))
