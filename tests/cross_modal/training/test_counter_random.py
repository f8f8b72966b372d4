"""Random numbers depend on their coordinates only, and look random."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from cross_modal.training.counter_random import normal, uniform

ROWS = np.arange(5000)


@given(seed=st.integers(0, 2**40), step=st.integers(0, 10**6), order=st.permutations(list(range(12))))
def test_a_row_does_not_depend_on_its_neighbours(seed: int, step: int, order: list[int]) -> None:
    whole = uniform(seed, step, np.arange(12), 3)
    shuffled = uniform(seed, step, np.array(order), 3)
    assert (shuffled == whole[order]).all()
    assert (uniform(seed, step, np.arange(12), 2) == whole[:, :2]).all()


def test_other_coordinates_give_other_numbers() -> None:
    base = uniform(1, 2, ROWS, 1)
    for other in (uniform(2, 2, ROWS, 1), uniform(1, 3, ROWS, 1), uniform(1, 2, ROWS, 1, stream=1)):
        assert abs(np.corrcoef(base[:, 0], other[:, 0])[0, 1]) < 0.06
    assert len(np.unique(base)) == len(ROWS)


def test_uniform_and_normal_have_their_distributions() -> None:
    draws = uniform(3, 4, ROWS, 4)
    assert draws.min() >= 0
    assert draws.max() < 1
    assert stats.kstest(draws.ravel(), "uniform").pvalue > 1e-3
    assert stats.kstest(normal(3, 4, ROWS, 4).ravel(), "norm").pvalue > 1e-3
    assert np.abs(np.corrcoef(draws.T) - np.eye(4)).max() < 0.06
