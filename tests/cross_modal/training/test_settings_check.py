"""What cannot be meant is refused by its name, before any work."""

import math

import pytest

from cross_modal.configuration import TrainingConfig
from cross_modal.errors import CrossModalError
from cross_modal.training.settings_check import check_settings


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("steps", 0, "expected at least 1, found 0"),
        ("micro_batch", -1, "expected 0 or more, found -1"),
        ("checkpoint_every", -3, "expected 0 or more, found -3"),
        ("learning_rate", math.nan, "expected a number of 0 or more, found nan"),
        ("trunk_learning_rate", math.inf, "expected a number of 0 or more, found inf"),
        ("weight_decay", -0.1, "expected a number of 0 or more, found -0.1"),
        ("gradient_clip", -1.0, "expected a number of 0 or more, found -1.0"),
        ("monitor", "verification/eer", "expected a metric that grows"),
    ],
)
def test_it_is_named(name: str, value: float | str, expected: str) -> None:
    with pytest.raises(CrossModalError, match=rf"training\.{name}: {expected}"):
        check_settings(TrainingConfig(**{name: value}))


def test_switched_off_is_no_fault() -> None:
    check_settings(TrainingConfig(micro_batch=0, checkpoint_every=0, gradient_clip=0.0, weight_decay=0.0))
