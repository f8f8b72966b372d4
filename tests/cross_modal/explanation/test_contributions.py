"""Contributions add up: nothing of the score is left out, nothing is counted twice."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from toys.tiny_twin import tiny_twin

from cross_modal.encoders.twin import TwinEncoder
from cross_modal.explanation.contributions import contribution_map, image_scorer, text_scorer, word_contributions

GENERATOR = np.random.default_rng(0)
PIXELS = GENERATOR.integers(0, 256, (1, 16, 16), dtype=np.uint8)


def unit(dim: int) -> np.ndarray:
    vector = GENERATOR.normal(size=dim).astype(np.float32)
    return vector / np.linalg.norm(vector)


def twin_of(normalise: bool) -> TwinEncoder:
    twin = tiny_twin()
    twin.normalise = normalise
    return twin


@pytest.mark.parametrize("normalise", [True, False])
@pytest.mark.parametrize("grid", [(1, 1), (4, 4), (5, 3), (32, 32)])
def test_places_add_up_to_the_score_less_the_blanks(normalise: bool, grid: tuple[int, int]) -> None:
    twin, other = twin_of(normalise), unit(16)
    found = contribution_map(twin, PIXELS, other, grid, steps=256)
    blank = np.full_like(PIXELS, round(float(PIXELS.mean())))
    scores = image_scorer(twin, other)(np.stack([PIXELS, blank]))
    assert found.shape == grid
    assert float(found.sum()) == pytest.approx(float(scores[0] - scores[1]), abs=2e-2)


def test_what_has_the_mean_colour_contributes_nothing() -> None:
    half = np.full((1, 16, 16), 100, np.uint8)
    half[:, :8, :4], half[:, :8, 4:8] = 60, 140  # the mean stays 100
    found = contribution_map(tiny_twin(), half, unit(16), (2, 2))
    assert found[0, 0] != 0
    assert found.reshape(-1)[1:].tolist() == [0, 0, 0]


def test_no_gradient_is_left_behind() -> None:
    twin = tiny_twin()
    with torch.no_grad():
        contribution_map(twin, PIXELS, unit(16), (4, 4))
    assert all(parameter.grad is None for parameter in twin.parameters())


def test_a_words_contribution_is_the_score_less_the_score_without_it() -> None:
    twin, other = tiny_twin(), unit(16)
    words = ["greek", "small", "letter"]
    score = text_scorer(twin, other)
    found = word_contributions(twin, words, other)
    for place in range(3):
        rest = " ".join(word for i, word in enumerate(words) if i != place)
        expected = score([" ".join(words)])[0] - score([rest])[0]
        assert found[place] == pytest.approx(expected, abs=1e-5)
    assert word_contributions(twin, ["greek"], other).tolist() == [0]


@pytest.mark.parametrize("normalise", [True, False])
@torch.no_grad()
def test_scorers_score_as_the_twin_does(normalise: bool) -> None:
    twin, other = twin_of(normalise), unit(16)
    assert twin.text is not None
    texts = [f"letter {number}" for number in range(40)]  # more than one batch
    embedded = twin.encode_text(twin.text.tokenize(texts))
    expected = twin.score(embedded, torch.from_numpy(other)[None])[:, 0]
    np.testing.assert_allclose(text_scorer(twin, other)(texts), expected.numpy(), atol=1e-5)
