"""Processes that differ in what they must share do not start, and all say the same difference."""

from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import nn

from cross_modal.configuration import Experiment, TrainingConfig
from cross_modal.errors import CrossModalError
from cross_modal.training.alike import start_alike
from cross_modal.training.launched import Launched
from cross_modal.training.processes import Processes


class Together(Processes):
    """Process `rank` of two, which hears what the other one said."""

    def __init__(self, rank: int, spoken: dict[int, dict[str, Any]]) -> None:
        super().__init__(Launched())
        self.rank, self.size, self.spoken = rank, 2, spoken

    def collected(self, content: Mapping[str, Any]) -> list[dict[str, Any]]:
        self.spoken[self.rank] = dict(content)
        return [self.spoken.get(rank, dict(content)) for rank in range(2)]

    def share_weights(self, *modules: nn.Module) -> None:
        pass


def started(first: dict[str, Any], second: dict[str, Any]) -> list[str]:
    """What each of two says, started with these."""
    spoken: dict[int, dict[str, Any]] = {}
    said = ["", ""]
    for rank, given in ((0, first), (1, second), (0, first)):  # the first one hears the second at last
        about = {"steps": 10, "items": 100, "width": 3} | given
        experiment = Experiment(training=TrainingConfig(steps=about["steps"]))
        try:
            start_alike(
                Together(rank, spoken), experiment, about["items"], nn.Linear(about["width"], 2), nn.Linear(1, 1)
            )
        except CrossModalError as error:
            said[rank] = str(error)
    return said


def test_the_same_start_together() -> None:
    assert started({}, {}) == ["", ""]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"items": 99}, "process 1 of 2: expected number of items 100 as in process 0, found 99"),
        ({"steps": 11}, "process 1 of 2: expected settings "),
        ({"width": 4}, "process 1 of 2: expected weights "),
    ],
)
def test_a_difference_is_named_by_both(given: dict[str, Any], words: str) -> None:
    one, other = started({}, given)
    assert one == other
    assert one.startswith(words)


def test_each_draws_its_own_dropout() -> None:
    draws = []
    for rank in range(2):
        torch.manual_seed(0)
        start_alike(Together(rank, {}), Experiment(), 1, nn.Linear(1, 1), nn.Linear(1, 1))
        draws.append(torch.rand(4).tolist())
    assert draws[0] != draws[1]
