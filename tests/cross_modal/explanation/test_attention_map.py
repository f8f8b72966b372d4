"""The pooling's weights lie on the picture where the trunk's tokens lie."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from toys.tiny_twin import tiny_twin

from cross_modal.errors import CrossModalError
from cross_modal.explanation.attention_map import attention_map, relative, token_weights


def test_tokens_are_places_row_by_row() -> None:
    weights = np.zeros((2, 3, 7), np.float32)
    weights[:, :, 1 + 2] = 0.75  # the third place: left in the second row of two
    weights[:, :, 0] = 0.25
    found = attention_map(weights[:, :, :5], prefix=1)
    assert found.mean.tolist() == [[0, 0], [0.75, 0]]
    assert found.queries.shape == (2, 2, 2)
    assert found.inside == pytest.approx(0.75)
    assert found.relative.tolist() == [[0, 0], [1, 0]]


def test_queries_are_told_apart_and_heads_averaged() -> None:
    weights = np.zeros((2, 2, 4), np.float32)
    weights[0, 0, 0], weights[0, 1, 1], weights[1, :, 3] = 1, 1, 1
    found = attention_map(weights, prefix=0)
    assert found.queries[0].tolist() == [[0.5, 0.5], [0, 0]]
    assert found.queries[1].tolist() == [[0, 0], [0, 1]]
    np.testing.assert_allclose(found.mean, found.queries.mean(0))


@torch.no_grad()
def test_the_place_a_convolution_reads_is_the_place_on_the_map() -> None:
    """A bright corner changes the token of that corner most."""
    trunk = tiny_twin().image
    assert trunk is not None
    dark, bright = torch.zeros(1, 1, 16, 16), torch.zeros(1, 1, 16, 16)
    bright[..., :4, 12:] = 5
    change = (trunk(bright).values - trunk(dark).values).abs().sum(-1).numpy()[0]
    found = attention_map(change[None, None], trunk.prefix_tokens).mean
    assert np.unravel_index(found.argmax(), found.shape) == (0, found.shape[1] - 1)


@pytest.mark.parametrize(("tokens", "prefix"), [(6, 0), (5, 0), (4, None), (1, 1)])
def test_what_is_no_square_grid_is_refused(tokens: int, prefix: int | None) -> None:
    with pytest.raises(CrossModalError, match=r"^map: expected .+ found"):
        attention_map(np.ones((1, 1, tokens)), prefix)


def test_weights_of_real_tokens_sum_to_one() -> None:
    weights = np.zeros((1, 2, 4), np.float32)
    weights[0, 0, :2], weights[0, 1, 1] = 0.5, 1
    assert token_weights(weights, np.array([True, True, False, False])).tolist() == [0.25, 0.75]


def test_a_map_without_anything_is_nought() -> None:
    assert relative(np.array([[-1.0, 0.0]])).tolist() == [[0, 0]]
