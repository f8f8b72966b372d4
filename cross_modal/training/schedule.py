"""The learning rate over the steps: linear warm-up, then half a cosine down to a small rest."""

from __future__ import annotations

import math

REST = 0.02  # share of the peak that is left at the last step


def learning_rate_factor(step: int, *, steps: int, warm_up: int) -> float:
    """The factor on the peak learning rate.

    Args:
        step: The step about to be done, from 0.
        steps: All steps of the run.
        warm_up: Steps of linear warm-up.

    Returns:
        A factor in (0, 1]. Cosine annealing after Loshchilov & Hutter, "SGDR" (2017), equation 5, without restarts.

    Example:
        >>> [round(learning_rate_factor(step, steps=10, warm_up=2), 2) for step in (0, 1, 2, 9)]
        [0.5, 1.0, 1.0, 0.06]
    """
    if step < warm_up:
        return (step + 1) / warm_up
    done = (step - warm_up) / max(steps - warm_up, 1)
    return REST + (1 - REST) * 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))
