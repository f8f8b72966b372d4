"""Attention pooling equals nn.MultiheadAttention, ignores what is masked, and says what is wrong with its input."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from cross_modal.encoders.attention_pooling import AttentionPooling
from cross_modal.errors import CrossModalError


def as_multihead(pooling: AttentionPooling) -> nn.MultiheadAttention:
    """The same weights in PyTorch's own layer, which projects every token."""
    attention = nn.MultiheadAttention(pooling.width, pooling.heads, batch_first=True)
    with torch.no_grad():
        attention.in_proj_weight.copy_(
            torch.cat([pooling.query_projection.weight, pooling.key_weight, pooling.value.weight])
        )
        zero = torch.zeros(pooling.width)
        attention.in_proj_bias.copy_(torch.cat([pooling.query_projection.bias, zero, pooling.value.bias]))
        attention.out_proj.weight.copy_(pooling.output.weight)
        attention.out_proj.bias.copy_(pooling.output.bias)
    return attention


@settings(max_examples=30, deadline=None)
@given(
    heads=st.sampled_from([1, 2, 4]),
    queries=st.integers(1, 5),
    tokens=st.integers(1, 9),
    batch=st.integers(1, 4),
    seed=st.integers(0, 1000),
)
def test_equals_multihead_attention(heads: int, queries: int, tokens: int, batch: int, seed: int) -> None:
    torch.manual_seed(seed)
    pooling = AttentionPooling(8, queries, heads)
    for bias in (pooling.query_projection.bias, pooling.value.bias, pooling.output.bias):
        nn.init.normal_(bias)
    values = torch.randn(batch, tokens, 8) * 3
    mask = torch.rand(batch, tokens) < 0.7
    mask[:, 0] = True
    pooled, weights = pooling(values, mask)
    query = pooling.query.expand(batch, -1, -1)
    expected, expected_weights = as_multihead(pooling)(
        query, values, values, key_padding_mask=~mask, average_attn_weights=False
    )
    torch.testing.assert_close(pooled, expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(weights.transpose(1, 2), expected_weights, atol=1e-5, rtol=1e-5)


def test_gradients_equal_multihead_attention() -> None:
    torch.manual_seed(0)
    pooling = AttentionPooling(8, 3, 2)
    attention = as_multihead(pooling)
    values = torch.randn(4, 6, 8)
    pooling(values)[0].square().sum().backward()
    attention(pooling.query.detach().expand(4, -1, -1), values, values)[0].square().sum().backward()
    query, key, value = attention.in_proj_weight.grad.chunk(3)
    torch.testing.assert_close(pooling.query_projection.weight.grad, query, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(pooling.key_weight.grad, key, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(pooling.value.weight.grad, value, atol=1e-4, rtol=1e-4)


def test_masked_tokens_change_nothing() -> None:
    pooling = AttentionPooling(8, 2, 2)
    values = torch.randn(2, 5, 8)
    mask = torch.tensor([[1, 1, 1, 0, 0], [1, 1, 0, 0, 0]], dtype=torch.bool)
    before = pooling(values, mask)[0]
    after, weights = pooling(values.masked_fill(~mask[..., None], 1e4), mask)
    torch.testing.assert_close(before, after)
    assert weights[0, :, :, 3:].eq(0).all()
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 2, 2))


@pytest.mark.parametrize(
    ("values", "mask", "found"),
    [((2, 5, 7), None, "(2, 5, 7)"), ((2, 8), None, "(2, 8)"), ((2, 5, 8), (2, 4), "(2, 4)")],
)
def test_wrong_shapes_are_named(values: tuple[int, ...], mask: tuple[int, ...] | None, found: str) -> None:
    pooling = AttentionPooling(8, 2, 2)
    with pytest.raises(CrossModalError, match="expected") as error:
        pooling(torch.zeros(values), None if mask is None else torch.ones(mask, dtype=torch.bool))
    assert found in str(error.value)


def test_heads_must_divide_the_width() -> None:
    with pytest.raises(CrossModalError, match="divisor of the width 10, found 4"):
        AttentionPooling(10, 2, 4)
