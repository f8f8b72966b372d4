"""Endless passes: everything once a pass, nothing twice in a serving, each serving a function of its number."""

import numpy as np
import pytest

from cross_modal.data import passes as module
from cross_modal.data.passes import EndlessPasses, key_of, mix, shuffled

SIZES = [(5, 2), (7, 5), (97, 96), (150, 96), (192, 96), (300, 96), (3, 3), (1, 4), (10, 9), (2, 2), (6, 1)]


@pytest.mark.parametrize(("count", "take"), SIZES)
def test_servings(count, take):
    passes = EndlessPasses(count, take, key=3)
    servings = [passes.serving(step) for step in range(3 * count)]
    assert all(len(set(serving.tolist())) == min(count, take) for serving in servings)
    stream = np.concatenate(servings)
    whole = stream[: len(stream) // count * count].reshape(-1, count)
    assert (np.sort(whole, axis=1) == np.arange(count)).all()
    for step in (3 * count - 1, count // 2, 2 * count):  # any order of asking, and a fresh object, give the same
        assert (EndlessPasses(count, take, key=3).serving(step) == servings[step]).all()
        assert (passes.serving(step) == servings[step]).all()


def test_passes_and_keys_differ():
    one, other = (EndlessPasses(50, 50, key) for key in (0, 1))
    assert one.serving(0).tolist() != one.serving(1).tolist()
    assert one.serving(0).tolist() != other.serving(0).tolist()


def test_small_and_large_shuffles_are_the_same_numbers(monkeypatch):
    """The fast path for few things must not change the order when a class grows past it."""
    key = key_of(1, 2)
    hashes = [mix(key + module.GOLDEN * (place + 1)) for place in range(30)]
    assert shuffled(30, key).tolist() == sorted(range(30), key=hashes.__getitem__)
    assert shuffled(10, key).tolist() == sorted(range(10), key=hashes[:10].__getitem__)


def test_shuffles_are_fair():
    counts = np.zeros((6, 6))
    for key in range(3000):
        counts[np.arange(6), shuffled(6, key_of(key))] += 1
    assert np.abs(counts - 500).max() < 100  # five standard deviations
