"""Batches of judged pairs, as a function of the step: every pair is reached, and the rarer verdict is not drowned.

Pairs come in shuffled passes, each pair once a pass. Where they have verdicts, same and different ones are passed
through apart, and a batch takes its share of either: of data with one same pair in ten, the same pairs are seen nine
times as often. Graded pairs and triplets have one pass.
"""

from __future__ import annotations

import numpy as np

from cross_modal.data.passes import EndlessPasses, key_of
from cross_modal.errors import CrossModalError
from cross_modal.pair_configuration import PairBatchConfig


def check_pair_batches(config: PairBatchConfig, verdicts: bool) -> None:
    """Refuses settings that leave a batch, or one of the verdicts in it, empty.

    Args:
        config: What a batch holds.
        verdicts: Whether it takes a share of same and one of different pairs.

    Raises:
        CrossModalError: Out of range.
    """
    if config.pairs < 1:
        raise CrossModalError(f"pairs.batch.pairs: expected at least 1, found {config.pairs}")
    if verdicts and config.pairs < 2:
        raise CrossModalError(
            f"pairs.batch.pairs: expected at least 2, one of either verdict, found {config.pairs}; a model that sees "
            "one verdict only learns that all pairs are alike"
        )
    if config.same is not None and not 0 < config.same < 1:
        raise CrossModalError(f"pairs.batch.same: expected a share between 0 and 1, or none, found {config.same}")


def of_each(config: PairBatchConfig) -> tuple[int, int]:
    """Same and different pairs of a batch of two or more; at least one of either.

    >>> of_each(PairBatchConfig(pairs=10, same=0.3))
    (3, 7)
    """
    share = 0.5 if config.same is None else config.same
    same = min(max(round(share * config.pairs), 1), config.pairs - 1)
    return same, config.pairs - same


class PairBatches:
    """The endless sequence of batches.

    Args:
        count: M, how many pairs or triplets there are, at least 1.
        config: What a batch holds.
        seed: The run's seed.
        same: (M,) bool verdicts; None for graded pairs and triplets.

    Attributes:
        steps_per_epoch: Steps in which every pair is seen.

    Raises:
        CrossModalError: Settings out of range.

    >>> batches = PairBatches(6, PairBatchConfig(pairs=4), 0, np.array([True, False, False, False, False, True]))
    >>> sorted(batches.batch(0).tolist())[0], len(batches.batch(0)), batches.steps_per_epoch
    (0, 4, 2)
    """

    def __init__(self, count: int, config: PairBatchConfig, seed: int, same: np.ndarray | None = None) -> None:
        check_pair_batches(config, verdicts=same is not None and config.same is not None)
        if same is None or config.same is None:
            parts = [(np.arange(count), config.pairs)]
        else:
            parts = list(zip((np.flatnonzero(same), np.flatnonzero(~same)), of_each(config), strict=True))
        self._parts = [
            (rows, EndlessPasses(len(rows), take, key_of(seed, 6, number)))
            for number, (rows, take) in enumerate(parts)
            if len(rows) and take
        ]
        self.steps_per_epoch = max(-(-passes.count // passes.take) for _, passes in self._parts)

    def batch(self, step: int) -> np.ndarray:
        """The pairs of one step, each at most once: (B,) int64, same ones first."""
        return np.concatenate([rows[passes.serving(step)] for rows, passes in self._parts])
