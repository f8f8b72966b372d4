"""The rate climbs in a straight line, peaks once, and falls to its rest."""

import itertools

import pytest

from cross_modal.training.schedule import REST, learning_rate_factor


def test_warm_up_is_linear_and_the_cosine_falls() -> None:
    factors = [learning_rate_factor(step, steps=100, warm_up=10) for step in range(100)]
    assert factors[:10] == pytest.approx([(step + 1) / 10 for step in range(10)])
    assert all(after < before for before, after in itertools.pairwise(factors[10:]))
    assert factors[55] == pytest.approx(REST + (1 - REST) / 2)
    assert REST < factors[-1] < REST + 0.01


def test_no_warm_up_and_more_warm_up_than_steps() -> None:
    assert learning_rate_factor(0, steps=5, warm_up=0) == 1
    assert [learning_rate_factor(step, steps=2, warm_up=4) for step in range(2)] == [0.25, 0.5]
