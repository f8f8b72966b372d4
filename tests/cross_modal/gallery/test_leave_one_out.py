"""Who is nearest to whom, each row left out of its own question, restated row by row."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cross_modal.fewshot.scoring import Metric
from cross_modal.gallery import leave_one_out
from cross_modal.gallery.leave_one_out import rivals


def plainly(
    vectors: np.ndarray, labels: np.ndarray, kinds: np.ndarray, genuine: np.ndarray, metric: Metric
) -> list[tuple[float, float]]:
    judged = [label is not None and real for label, real in zip(labels, genuine, strict=True)]
    shown = "image" if any(j and k == "image" for j, k in zip(judged, kinds, strict=True)) else "text"
    found = []
    for i in range(len(vectors)):
        best = {True: -np.inf, False: -np.inf}
        for j in range(len(vectors)) if judged[i] else []:
            if j == i or not judged[j] or kinds[j] != shown:
                continue
            a, b = vectors[i].astype(float), vectors[j].astype(float)
            score = float(a @ b) if metric == "cosine" else -float(np.linalg.norm(a - b))
            best[labels[i] == labels[j]] = max(best[labels[i] == labels[j]], score)
        found.append((best[True], best[False]))
    return found


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), count=st.integers(1, 24), euclidean=st.booleans(), texts=st.floats(0, 1))
def test_it_is_what_a_loop_over_all_pairs_finds(seed: int, count: int, euclidean: bool, texts: float) -> None:
    generator = np.random.default_rng(seed)
    vectors = generator.normal(size=(count, 6))
    if not euclidean:
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors = vectors.astype(np.float32)
    labels = generator.choice(np.array(["a", "b", "c", None], object), count)
    kinds = np.where(generator.random(count) < texts, "text", "image").astype(object)
    genuine = generator.random(count) < 0.8
    metric: Metric = "euclidean" if euclidean else "cosine"
    found = rivals(vectors, labels, kinds, genuine, metric)
    expected = np.array(plainly(vectors, labels, kinds, genuine, metric))
    expected[np.isinf(expected)] = np.nan
    assert np.column_stack([found.own, found.other]) == pytest.approx(expected, abs=1e-4, nan_ok=True)
    assert (found.known == np.isfinite(expected).all(axis=1)).all()


def test_a_row_never_finds_itself_even_among_equal_rows() -> None:
    vectors = np.array([[1, 0], [0, 1], [1, 0]], np.float32)
    found = rivals(vectors, np.array(["a", "a", "b"], object), np.array(["image"] * 3))
    assert found.own[:2].tolist() == [0.0, 0.0]
    assert found.other[0] == 1.0
    assert found.error.tolist() == [True, False, False]  # the last one is alone in its class: not known


def test_pieces_make_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(0)
    vectors = generator.normal(size=(50, 4)).astype(np.float32)
    labels, kinds = generator.choice(np.array(["a", "b"], object), 50), np.full(50, "image", object)
    whole = rivals(vectors, labels, kinds)
    monkeypatch.setattr(leave_one_out, "_CELLS", 120)
    parts = rivals(vectors, labels, kinds)
    assert parts.own == pytest.approx(whole.own, abs=1e-6)
    assert parts.other == pytest.approx(whole.other, abs=1e-6)
