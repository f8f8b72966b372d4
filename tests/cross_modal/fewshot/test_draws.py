"""Random numbers are a function of (seed, stream, episode, counter); draws are distinct and uniform."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cross_modal.errors import CrossModalError
from cross_modal.fewshot.draws import Stream, random_bits, uniforms, without_replacement


def test_a_number_depends_on_its_four_coordinates_and_on_nothing_else():
    table = random_bits(3, Stream.ITEM, np.arange(50)[:, None], np.arange(7))
    assert np.array_equal(table[12:13, 2:5], random_bits(3, Stream.ITEM, np.array([[12]]), np.arange(2, 5)))
    assert len(np.unique(table)) == table.size
    assert not np.isin(random_bits(4, Stream.ITEM, np.arange(50)[:, None], np.arange(7)), table).any()
    assert not np.isin(random_bits(3, Stream.UNIT, np.arange(50)[:, None], np.arange(7)), table).any()


def test_uniforms_are_uniform_and_neighbours_uncorrelated():
    draws = uniforms(0, Stream.CLASS, np.arange(20_000)[:, None], np.arange(4))
    counts = np.histogram(draws, bins=20, range=(0, 1))[0]
    assert draws.min() >= 0
    assert draws.max() < 1
    assert abs(counts - 4000).max() < 300
    correlation = np.corrcoef(np.concatenate([draws[:-1].T, draws[1:].T]))
    assert abs(correlation - np.eye(8)).max() < 0.03


@given(st.lists(st.integers(0, 9), min_size=1, max_size=8), st.integers(1, 8), st.integers(0, 10**6))
def test_draws_are_distinct_positions_below_the_size(sizes, count, seed):
    draws = uniforms(seed, Stream.ITEM, np.arange(len(sizes))[:, None], np.arange(count))
    for size, row in zip(sizes, without_replacement(np.array(sizes), draws), strict=True):
        found = row[row >= 0]
        assert len(found) == len(set(found.tolist())) == min(size, count)
        assert (row[: len(found)] >= 0).all()
        assert (found < size).all()


def test_every_order_is_as_likely():
    draws = uniforms(1, Stream.ITEM, np.arange(60_000)[:, None], np.arange(3))
    orders = without_replacement(np.full(60_000, 4), draws)
    counts = [int((orders == order).all(1).sum()) for order in permutations(range(4), 3)]
    assert len(counts) == 24
    assert sum(counts) == 60_000
    assert max(abs(count - 2500) for count in counts) < 250


def test_a_negative_seed_is_named():
    with pytest.raises(CrossModalError, match=r"seed.*-1"):
        random_bits(-1, Stream.ITEM, np.arange(1), np.arange(1))
