"""A pair's score: cosine, minus a distance, or the head's; the same from either side to the last bit."""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from toys.tiny_twin import tiny_twin

from cross_modal.encoders.saved_twin import save_twin
from cross_modal.errors import CrossModalError
from cross_modal.objectives.pair_head import DifferenceHead, SimilarityHead
from cross_modal.objectives.pair_head_file import FILE, save_pair_head
from cross_modal.verification import pair_scorer
from cross_modal.verification.pair_scorer import PairScorer, load_pair_scorer


def head(dim: int) -> DifferenceHead:
    """A head with a weight of its own in each dimension."""
    made = DifferenceHead(dim)
    with torch.no_grad():
        made.weight.copy_(-torch.rand(dim, generator=torch.Generator().manual_seed(0)))
    return made


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 99), st.integers(1, 70), st.sampled_from(["cosine", "euclidean", "head"]))
def test_score_is_symmetric_to_the_last_bit(seed: int, dim: int, name: str) -> None:
    a, b = np.random.default_rng(seed).normal(size=(2, 9, dim)).astype(np.float32)
    scorer = PairScorer("cosine", head(dim)) if name == "head" else PairScorer(name)  # type: ignore[arg-type]
    assert scorer.name == name
    assert np.array_equal(scorer.score(a, b), scorer.score(b, a))
    assert np.array_equal(scorer.score(np.asfortranarray(a), b), scorer.score(b, a))
    assert np.array_equal(scorer.score(a, b)[4:5], scorer.score(a[4:5], b[4:5]))  # alone or in company


def test_equal_items_score_highest() -> None:
    a = np.random.default_rng(0).normal(size=(50, 8)).astype(np.float32)
    for scorer in (PairScorer("cosine"), PairScorer("euclidean"), PairScorer("cosine", head(8))):
        assert (scorer.score(a, a) >= scorer.score(a, a[::-1])).all()


def test_many_pairs_are_scored_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = np.random.default_rng(0).normal(size=(2, 100, 8)).astype(np.float32)
    whole = PairScorer("cosine", head(8)).score(a, b)
    monkeypatch.setattr(pair_scorer, "ROWS", 7)
    assert np.array_equal(PairScorer("cosine", head(8)).score(a, b), whole)
    assert PairScorer("cosine").score(a[:0], b[:0]).shape == (0,)


def test_pairs_of_items_are_gathered_in_parts_too(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(0)
    embeddings = generator.normal(size=(20, 8)).astype(np.float32)
    a, b = generator.integers(0, 20, (2, 100))
    for scorer in (PairScorer("cosine"), PairScorer("euclidean"), PairScorer("cosine", head(8))):
        whole = scorer.score(embeddings[a], embeddings[b])
        monkeypatch.setattr(pair_scorer, "ROWS", 7)
        assert np.array_equal(scorer.score_items(embeddings, a, b), whole)
        assert scorer.score_items(embeddings, a[:0], b[:0]).shape == (0,)
        monkeypatch.undo()


def test_scoring_needs_memory_for_some_pairs_and_not_for_all() -> None:
    """Two sides of 200,000 pairs of 256 numbers are 400 MB."""
    embeddings = np.random.default_rng(0).normal(size=(100, 256)).astype(np.float32)
    a, b = np.random.default_rng(1).integers(0, 100, (2, 200_000))
    tracemalloc.start()
    PairScorer("cosine").score_items(embeddings, a, b)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 250e6


def test_a_head_that_only_scales_leaves_the_twins_own_score() -> None:
    twin = tiny_twin()
    scorer = PairScorer.of(twin, SimilarityHead(twin.dim))
    assert (scorer.name, scorer.verify_only) == ("cosine", False)
    assert PairScorer.of(twin, head(twin.dim)).verify_only


def test_a_saved_twin_comes_with_its_scorer(tmp_path: Path) -> None:
    twin = tiny_twin()
    folder = save_twin(twin, tmp_path / "model")
    assert load_pair_scorer(folder).name == "cosine"
    made = head(twin.dim)
    save_pair_head(made, folder)
    loaded = load_pair_scorer(folder)
    a, b = np.random.default_rng(0).normal(size=(2, 5, twin.dim)).astype(np.float32)
    assert np.array_equal(loaded.score(a, b), PairScorer("cosine", made).score(a, b))
    (folder / FILE).write_bytes(b"rubbish")
    with pytest.raises(CrossModalError, match="expected a verification head"):
        load_pair_scorer(folder)


def test_a_twin_that_keeps_magnitudes_scores_by_distance(tmp_path: Path) -> None:
    twin = tiny_twin()
    twin.config.normalise = twin.normalise = False
    assert load_pair_scorer(save_twin(twin, tmp_path / "model")).metric == "euclidean"


def test_what_does_not_fit_is_said(tmp_path: Path) -> None:
    a = np.zeros((3, 8), np.float32)
    with pytest.raises(CrossModalError, match=r"both sides, found \(3, 8\) and \(2, 8\)"):
        PairScorer("cosine").score(a, a[:2])
    with pytest.raises(CrossModalError, match=r"expected embeddings \(M, 4\), found \(3, 8\)"):
        PairScorer("cosine", head(4)).score(a, a)
    with pytest.raises(CrossModalError, match="expected one for embeddings of 16 numbers, found 4"):
        PairScorer.of(tiny_twin(), head(4))
    with pytest.raises(CrossModalError, match="expected a saved twin"):
        load_pair_scorer(tmp_path)
