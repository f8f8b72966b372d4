"""Batches of judged pairs: every pair is reached, the rarer verdict has its share, a step is a function of itself."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cross_modal.data.pair_batches import PairBatches, of_each
from cross_modal.errors import CrossModalError
from cross_modal.pair_configuration import PairBatchConfig


@settings(max_examples=40, deadline=None)
@given(st.lists(st.booleans(), min_size=2, max_size=60), st.integers(1, 40), st.integers(0, 9))
def test_every_pair_is_reached_in_an_epoch_and_none_twice_in_a_step(
    verdicts: list[bool], pairs: int, seed: int
) -> None:
    same = np.array(verdicts)
    if same.all() or not same.any():
        return
    batches = PairBatches(len(same), PairBatchConfig(pairs=max(pairs, 2)), seed, same)
    steps = [batches.batch(step) for step in range(batches.steps_per_epoch)]
    assert {*np.concatenate(steps).tolist()} == {*range(len(same))}
    assert all(len(set(step.tolist())) == len(step) for step in steps)


def test_the_rarer_verdict_has_its_share_of_every_batch() -> None:
    same = np.arange(1000) < 100
    batches = PairBatches(1000, PairBatchConfig(pairs=64, same=0.25), 0, same)
    assert all(same[batches.batch(step)].sum() == 16 and len(batches.batch(step)) == 64 for step in range(5))


def test_without_a_share_pairs_come_as_they_are() -> None:
    same = np.arange(1000) < 100
    batches = PairBatches(1000, PairBatchConfig(pairs=100, same=None), 0, same)
    assert batches.steps_per_epoch == 10
    assert np.mean([same[batches.batch(step)].mean() for step in range(10)]) == pytest.approx(0.1)


def test_few_pairs_of_one_verdict_are_all_taken() -> None:
    same = np.arange(100) < 3
    assert same[PairBatches(100, PairBatchConfig(pairs=40), 0, same).batch(7)].sum() == 3


def test_a_step_is_a_function_of_seed_and_number() -> None:
    one, other, another = (PairBatches(500, PairBatchConfig(pairs=32), seed) for seed in (1, 1, 2))
    assert [one.batch(step).tolist() for step in (0, 9)] == [other.batch(step).tolist() for step in (9, 0)][::-1]
    assert one.batch(3).tolist() != another.batch(3).tolist()


def test_one_pair_a_step_is_legal_where_it_needs_no_share_of_either_verdict() -> None:
    same = np.arange(4) < 2
    assert len(PairBatches(4, PairBatchConfig(pairs=1, same=None), 0, same).batch(0)) == 1
    assert len(PairBatches(4, PairBatchConfig(pairs=1), 0).batch(0)) == 1
    with pytest.raises(
        CrossModalError, match=r"pairs\.batch\.pairs: expected at least 2, one of either verdict, found 1"
    ):
        PairBatches(4, PairBatchConfig(pairs=1), 0, same)


def test_a_batch_has_one_of_either_verdict_at_least() -> None:
    assert of_each(PairBatchConfig(pairs=2, same=0.01)) == of_each(PairBatchConfig(pairs=2, same=0.99)) == (1, 1)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (PairBatchConfig(pairs=0), r"pairs\.batch\.pairs: expected at least 1, found 0"),
        (PairBatchConfig(same=1.0), r"pairs\.batch\.same: expected a share between 0 and 1, or none, found 1\.0"),
    ],
)
def test_settings_out_of_range(config: PairBatchConfig, message: str) -> None:
    with pytest.raises(CrossModalError, match=message):
        PairBatches(4, config, 0)
