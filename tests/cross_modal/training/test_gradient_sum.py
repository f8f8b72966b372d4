"""Gradients are added up whole and in their places; two real processes do so in test_processes.py."""

from collections.abc import Iterator

import pytest
import torch
import torch.distributed as dist
from torch import nn

from cross_modal.training import gradient_sum
from cross_modal.training.gradient_sum import summed_gradients


@pytest.fixture(autouse=True)
def one_process() -> Iterator[None]:
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    yield
    dist.destroy_process_group()


def parameters() -> list[nn.Parameter]:
    torch.manual_seed(0)
    found = [nn.Parameter(torch.randn(shape)) for shape in ((3, 4), (), (7,), (2, 2, 2))]
    for parameter in found:
        parameter.grad = torch.randn_like(parameter)
    return found


@pytest.mark.parametrize("bucket", [1, 5, 12, 1 << 24])
def test_every_gradient_comes_back_to_its_own_parameter(bucket: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gradient_sum, "BUCKET", bucket)
    given = parameters()
    before = [parameter.grad.clone() for parameter in given]
    summed_gradients(given, [], 1)
    assert all(torch.equal(parameter.grad, grad) for parameter, grad in zip(given, before, strict=True))


def test_those_of_the_loss_are_a_mean() -> None:
    given = parameters()
    before = [parameter.grad.clone() for parameter in given]
    summed_gradients(given[:2], given[2:], 2)  # as if another had added zeros
    for parameter, grad, share in zip(given, before, (1, 1, 0.5, 0.5), strict=True):
        torch.testing.assert_close(parameter.grad, grad * share)


def test_what_no_process_has_a_gradient_of_keeps_none() -> None:
    given = parameters()
    given[1].grad = None
    summed_gradients(given, [], 1)
    assert given[1].grad is None


def test_a_gradient_is_laid_out_as_its_parameter() -> None:
    weight = nn.Parameter(torch.randn(2, 3, 4, 4).to(memory_format=torch.channels_last))
    weight.grad = torch.randn(2, 3, 4, 4)
    before = weight.grad.clone()
    summed_gradients([weight], [], 1)
    assert torch.equal(weight.grad, before)


def test_types_do_not_mix_and_nothing_is_nothing() -> None:
    halves = nn.Parameter(torch.randn(3, dtype=torch.float64))
    halves.grad = torch.full((3,), 1e-9, dtype=torch.float64)
    summed_gradients([*parameters(), halves], [], 1)
    assert halves.grad.tolist() == [1e-9] * 3
    summed_gradients([], [], 1)
