"""Settings of a training that cannot be meant, refused before anything is read or built."""

from __future__ import annotations

import math

from cross_modal.configuration import TrainingConfig
from cross_modal.errors import CrossModalError


def check_settings(config: TrainingConfig) -> None:
    """Refuses them.

    Args:
        config: The settings of the loop.

    Raises:
        CrossModalError: Naming the first one.

    >>> check_settings(TrainingConfig())
    """
    if config.steps < 1:
        raise CrossModalError(f"training.steps: expected at least 1, found {config.steps}")
    for name in ("micro_batch", "checkpoint_every"):
        if getattr(config, name) < 0:
            raise CrossModalError(f"training.{name}: expected 0 or more, found {getattr(config, name)}")
    for name in ("learning_rate", "trunk_learning_rate", "weight_decay", "gradient_clip"):
        if not 0 <= getattr(config, name) < math.inf:
            raise CrossModalError(f"training.{name}: expected a number of 0 or more, found {getattr(config, name)}")
    if "eer" in config.monitor.split("/"):
        raise CrossModalError(
            "training.monitor: expected a metric that grows as the twin gets better (auto watches 1 − EER where there "
            f"are pairs), found {config.monitor!r}"
        )
