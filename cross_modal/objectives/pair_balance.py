"""Weights of same and different pairs, so that the rarer verdict is not drowned.

Data of pairs is seldom balanced: every item differs from nearly all others. Weights are made from a step's own counts;
a step with one verdict only gives that verdict its share, not the whole.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from cross_modal.errors import CrossModalError


@dataclass(frozen=True)
class Balance:
    """A step's verdicts and what each counts.

    Attributes:
        same: Same pairs.
        different: Different pairs.
        same_factor: Factor of the mean over the same pairs; that of the different ones is 2 − this.
    """

    same: int
    different: int
    same_factor: float

    @property
    def different_factor(self) -> float:
        """Factor of the mean over the different pairs."""
        return 2 - self.same_factor

    @property
    def same_weight(self) -> float:
        """A same pair's weight, where a pair's weight is 1 on average."""
        return self.same_factor * (self.same + self.different) / (2 * max(self.same, 1))

    @property
    def different_weight(self) -> float:
        """A different pair's weight, where a pair's weight is 1 on average."""
        return self.different_factor * (self.same + self.different) / (2 * max(self.different, 1))

    def weights(self, same: Tensor) -> Tensor:
        """Each pair's weight, 1 on average over a step with both verdicts.

        Args:
            same: Bool (P,).

        Returns:
            Float32 (P,).
        """
        return same.float() * self.same_weight + (~same).float() * self.different_weight


def balance(same: Tensor, same_share: float | None) -> Balance:
    """The balance of a step.

    Args:
        same: Bool (P,).
        same_share: Share of the loss that falls to the same pairs; None gives each pair the same weight.

    >>> import torch
    >>> found = balance(torch.tensor([True, False, False, False]), 0.5)
    >>> found.same_weight, round(found.different_weight, 3)
    (2.0, 0.667)
    """
    positives = int(same.sum())
    share = positives / max(len(same), 1) if same_share is None else same_share
    return Balance(positives, len(same) - positives, 2 * share)


def check_same_share(same_share: float | None) -> None:
    """Refuses a share that leaves one verdict without weight.

    Raises:
        CrossModalError: Outside (0, 1).
    """
    if same_share is not None and not 0 < same_share < 1:
        raise CrossModalError(
            f"same_share must lie between 0 and 1 (0.5 balances the verdicts; none weighs all pairs alike), "
            f"found {same_share}"
        )
