"""A plane of embeddings: classes stay together, the sample stands for all, and what it is worth is measured."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cross_modal.errors import CrossModalError
from cross_modal.gallery.projection import ProjectionConfig, gap, landmark_rows, project

QUICK = ProjectionConfig(landmarks=120, iterations=300)


def clusters(classes: int, each: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    centres = generator.normal(size=(classes, 24))
    labels = np.repeat(np.arange(classes), each)
    vectors = centres[labels] + 0.15 * generator.normal(size=(len(labels), 24))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32), labels


def purity(xy: np.ndarray, labels: np.ndarray) -> float:
    """How many rows have a row of their own class next to them on the plane."""
    squares = ((xy[:, None] - xy[None]) ** 2).sum(axis=2)
    np.fill_diagonal(squares, np.inf)
    return float((labels[squares.argmin(axis=1)] == labels).mean())


def test_classes_that_are_apart_are_apart_on_the_plane_whether_all_rows_are_laid_out_or_a_sample() -> None:
    vectors, labels = clusters(8, 15)
    for config, method in ((QUICK, "t-SNE"), (ProjectionConfig(landmarks=60, iterations=300), "t-SNE of a sample")):
        made = project(vectors, config=config)
        assert made.method == method
        assert made.landmarks == min(config.landmarks, len(vectors))
        assert purity(made.xy, labels) > 0.95
        assert made.trustworthiness is not None
        assert made.trustworthiness > 0.9


def test_the_plane_is_in_the_square_in_proportion_and_the_same_each_time() -> None:
    vectors, _ = clusters(4, 20)
    first, second = project(vectors, config=QUICK), project(vectors, config=QUICK)
    assert np.array_equal(first.xy, second.xy)
    assert first.xy.dtype == np.float32
    assert first.xy.min() >= 0
    assert first.xy.max() <= 1
    assert np.ptp(first.xy, axis=0).max() == pytest.approx(1.0, abs=1e-6)
    other = project(vectors, config=ProjectionConfig(landmarks=40, iterations=300, seed=1))
    assert other.seed == 1
    assert not np.array_equal(other.xy, first.xy)


def test_the_share_of_neighbours_kept_is_that_of_a_plain_count() -> None:
    vectors, _ = clusters(3, 12)
    made = project(vectors, config=QUICK)
    lists = []
    for space in (vectors.astype(float), made.xy.astype(float)):
        squares = ((space[:, None] - space[None]) ** 2).sum(axis=2)
        np.fill_diagonal(squares, np.inf)
        lists.append(np.argsort(squares, axis=1)[:, :10])
    expected = np.mean([len(set(a) & set(b)) / 10 for a, b in zip(*lists, strict=True)])
    assert made.kept == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize("count", [1, 2, 3, 9, 10, 11, 12, 21, 22])
def test_few_rows_have_a_plane_too(count: int) -> None:
    made = project(clusters(1, count)[0], config=QUICK)
    assert made.xy.shape == (count, 2)
    assert np.isfinite(made.xy).all()
    assert (made.method == "PCA") == (count < 10)


@settings(max_examples=15, deadline=None)
@given(count=st.integers(1, 40), dim=st.integers(1, 5), same=st.booleans())
def test_no_finite_input_is_refused(count: int, dim: int, same: bool) -> None:
    vectors = np.ones((count, dim), np.float32) if same else np.random.default_rng(count).normal(size=(count, dim))
    made = project(vectors.astype(np.float32), config=QUICK)
    assert np.isfinite(made.xy).all()
    assert made.xy.min() >= 0
    assert made.xy.max() <= 1


def test_many_equal_rows_among_others_do_no_harm() -> None:
    vectors, _ = clusters(4, 30)
    vectors[:70] = vectors[0]
    assert np.isfinite(project(vectors, config=ProjectionConfig(landmarks=40, iterations=300)).xy).all()


@pytest.mark.parametrize("bad", [np.zeros((0, 4)), np.array([[1.0, np.nan]]), np.zeros(4)])
def test_what_cannot_be_laid_out_is_named(bad: np.ndarray) -> None:
    with pytest.raises(CrossModalError, match="expected \\(N, D\\) finite embeddings, found"):
        project(bad)


def test_a_setting_that_means_nothing_is_refused() -> None:
    with pytest.raises(CrossModalError, match="expected iterations of at least 300, found 10"):
        ProjectionConfig(iterations=10)


@given(pictures=st.integers(0, 400), texts=st.integers(0, 60))
def test_the_sample_has_texts_however_few_they_are(pictures: int, texts: int) -> None:
    kinds = np.array(["image"] * pictures + ["text"] * texts, object)
    rows = landmark_rows(len(kinds), kinds, ProjectionConfig(landmarks=80))
    assert len(rows) == min(80, len(kinds))
    assert (np.diff(rows) > 0).all()
    assert (kinds[rows] == "text").sum() >= min(texts, 20)
    assert (kinds[rows] == "image").sum() >= min(pictures, 20)


def test_the_gap_is_the_distance_of_the_centres() -> None:
    vectors, labels = clusters(2, 50)
    kinds = np.where(labels == 0, "image", "text")
    expected = np.linalg.norm(vectors[labels == 0].mean(0) - vectors[labels == 1].mean(0))
    assert gap(vectors, kinds) == pytest.approx(expected, abs=1e-6)
    assert gap(vectors, np.full(len(vectors), "image")) is None
