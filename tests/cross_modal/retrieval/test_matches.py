"""Example matches: nearest candidates with their scores, failures among them, the same ones for the same seed."""

import numpy as np
import pytest

from cross_modal.retrieval.matches import example_matches

GENERATOR = np.random.default_rng(0)
CENTRES = GENERATOR.normal(size=(30, 6))
LABELS = np.repeat(np.arange(30), 4)
IMAGES = (CENTRES[LABELS] + 0.8 * GENERATOR.normal(size=(120, 6))).astype(np.float32)


def test_shows_the_best_candidates_with_their_cosines():
    found = example_matches(IMAGES, LABELS, CENTRES, np.arange(30), count=10, top=3)
    assert found.candidates.shape == found.scores.shape == found.right.shape == (10, 3)
    unit = lambda rows: rows / np.linalg.norm(rows, axis=1, keepdims=True)  # noqa: E731
    cosines = unit(IMAGES) @ unit(CENTRES).T
    for row, candidates, scores, right in zip(found.queries, found.candidates, found.scores, found.right, strict=True):
        assert candidates.tolist() == np.argsort(-cosines[row])[:3].tolist()
        assert scores == pytest.approx(cosines[row, candidates], abs=1e-5)
        assert right.tolist() == (candidates == LABELS[row]).tolist()
    assert (found.first[:5] > 1).all()
    assert (found.first[5:] == 1).all()


def test_all_right_when_nothing_fails_and_the_same_for_the_same_seed():
    perfect = example_matches(CENTRES, np.arange(30), CENTRES, np.arange(30), count=8)
    assert len(perfect.queries) == 8
    assert perfect.right[:, 0].all()
    again = example_matches(CENTRES, np.arange(30), CENTRES, np.arange(30), count=8)
    assert perfect.queries.tolist() == again.queries.tolist()
    other = example_matches(CENTRES, np.arange(30), CENTRES, np.arange(30), count=8, seed=1)
    assert perfect.queries.tolist() != other.queries.tolist()


def test_a_query_is_no_candidate_of_its_own_and_distance_is_negative():
    found = example_matches(IMAGES, LABELS, IMAGES, LABELS, exclude_self=True, metric="euclidean")
    assert (found.candidates != found.queries[:, None]).all()
    assert (found.scores < 0).all()
    distance = np.linalg.norm(IMAGES[found.queries[0]] - IMAGES[found.candidates[0, 0]])
    assert found.scores[0, 0] == pytest.approx(-distance, rel=1e-3)


def test_fewer_candidates_than_asked():
    found = example_matches(IMAGES[:2], LABELS[:2], IMAGES[:3], LABELS[:3], top=5, count=9)
    assert found.candidates.shape == (2, 3)
