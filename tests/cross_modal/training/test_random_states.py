"""Random states go back where they came from, and a machine with fewer GPUs takes what it can."""

import pytest
import torch

from cross_modal.training.random_states import random_states, restore_random_states


def test_a_machine_of_fewer_gpus_takes_the_states_of_those_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = random_states() | {"cuda": [torch.tensor([device]) for device in range(3)]}
    put: dict[int, int] = {}
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_rng_state", lambda state, device: put.update({device: int(state)}))
    restore_random_states(kept)
    assert put == {0: 0, 1: 1}
