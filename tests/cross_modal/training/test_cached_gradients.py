"""Micro-batches meet in one loss: losses and gradients are those of the undivided batch."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from toys.shapes import experiment, shapes

from cross_modal.configuration import Experiment, MemoryConfig, PartConfig
from cross_modal.encoders.tokens import Tokens
from cross_modal.training.cached_gradients import CachedEmbeddings
from cross_modal.training.listener import Silence
from cross_modal.training.loop import Loop
from cross_modal.training.task import StepOutput


class TwoTowers(nn.Module):
    """A picture tower and a text tower that takes tokens, with dropout between."""

    def __init__(self, dropout: float = 0.0) -> None:
        super().__init__()
        self.image = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Dropout(dropout), nn.Linear(8, 4))
        self.text = nn.Sequential(nn.Linear(5, 4), nn.Dropout(dropout))

    def forward(self, image: Tensor | None, text: Tokens | None) -> tuple[Tensor | None, Tensor | None]:
        return (
            None if image is None else self.image(image),
            None if text is None else self.text((text.values * text.mask[..., None]).sum(1)),
        )


def contrast(image: Tensor | None, text: Tensor | None) -> Tensor:
    """A loss in which every row meets every other."""
    rows = torch.cat([part for part in (image, text) if part is not None])
    return torch.logsumexp(rows @ rows.T, 1).sum() / 10


@settings(max_examples=40, deadline=None)
@given(
    pictures=st.integers(0, 9), texts=st.integers(0, 9), size=st.integers(1, 12), seed=st.integers(0, 99),
    pooled=st.booleans(),
)  # fmt: skip
def test_any_division_gives_the_gradients_of_the_whole(
    pictures: int, texts: int, size: int, seed: int, pooled: bool
) -> None:
    if not pictures and not texts:
        return
    torch.manual_seed(seed)
    model = TwoTowers()
    image = torch.randn(pictures, 6) if pictures else None
    text = Tokens(
        torch.randn(texts, 3, 5), torch.ones(texts, 3, dtype=torch.bool), torch.randn(texts, 2) if pooled else None
    )
    given_text = text if texts else None
    whole = contrast(*model(image, given_text))
    whole.backward()
    wanted = [None if p.grad is None else p.grad.clone() for p in model.parameters()]
    model.zero_grad()
    cached = CachedEmbeddings(model, image, given_text, size)
    loss = contrast(cached.image, cached.text)
    loss.backward()
    cached.backward()
    assert torch.allclose(loss, whole, atol=1e-5)
    for parameter, gradient in zip(model.parameters(), wanted, strict=True):
        assert (parameter.grad is None) == (gradient is None)
        assert gradient is None or torch.allclose(parameter.grad, gradient, atol=1e-5)


def test_the_second_pass_drops_what_the_first_dropped() -> None:
    model, image = TwoTowers(dropout=0.5), torch.randn(8, 6)
    torch.manual_seed(3)
    parts = [model(image[start : start + 3], None)[0] for start in (0, 3, 6)]  # graphs kept, the same draws
    contrast(torch.cat(parts), None).backward()
    wanted = [p.grad.clone() for p in model.image.parameters()]
    model.zero_grad()
    torch.manual_seed(3)
    cached = CachedEmbeddings(model, image, None, 3)
    after = torch.get_rng_state()
    contrast(cached.image, None).backward()
    cached.backward()
    assert torch.equal(torch.get_rng_state(), after)  # the second pass draws nothing of its own
    for parameter, gradient in zip(model.image.parameters(), wanted, strict=True):
        assert torch.allclose(parameter.grad, gradient, atol=1e-6)


def test_a_graph_is_kept_for_one_micro_batch_at_a_time() -> None:
    model, image = TwoTowers(), torch.randn(64, 6)
    alive, most = 0, 0

    def pack(tensor: Tensor) -> Tensor:
        nonlocal alive, most
        alive += len(tensor) if tensor.ndim and len(tensor) > 8 else 0
        most = max(most, alive)
        return tensor

    def unpack(tensor: Tensor) -> Tensor:
        nonlocal alive
        alive -= len(tensor) if tensor.ndim and len(tensor) > 8 else 0
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, unpack):
        model(image, None)[0].sum().backward()
        whole, alive, most = most, 0, 0
        cached = CachedEmbeddings(model, image, None, 16)
        assert most == 0  # the first pass keeps nothing
        cached.image.sum().backward()
        cached.backward()
    assert most <= whole / 4


def plain(settings: Experiment) -> Experiment:
    return settings


def with_memory_and_miner(settings: Experiment) -> Experiment:
    settings.objective.loss = PartConfig("TripletMarginLoss", {"margin": 0.2})
    settings.objective.miner = PartConfig("TripletMarginMiner", {"margin": 0.3, "type_of_triplets": "all"})
    settings.objective.memory = MemoryConfig(size=64, warm_up=0)
    return settings


def with_pairs(settings: Experiment) -> Experiment:
    settings.pairs.from_classes = True
    return settings


def parts_of(step: StepOutput) -> dict[str, float]:
    return {name: float(value) for name, value in step.output.parts.items()}


@pytest.mark.parametrize("size", [1, 5, 1000])
@pytest.mark.parametrize("kind", [plain, with_memory_and_miner, with_pairs], ids=lambda kind: kind.__name__)
def test_a_step_of_the_loop_is_the_step_of_the_undivided_batch(
    kind: Callable[[Experiment], Experiment], size: int, tmp_path: Path
) -> None:
    found = []
    for micro_batch in (0, size):
        settings = kind(experiment(steps=3, micro_batch=micro_batch))
        loop = Loop(settings, shapes(), tmp_path, Silence())
        loop.twin.train()
        for layer in loop.twin.modules():  # statistics of a batch would differ: here they are those of the start
            if isinstance(layer, nn.BatchNorm2d):
                layer.eval()
        inputs = list(loop.task.stream(0, 2))
        outputs = [loop._backward(each) for each in inputs]
        gradients = [p.grad for p in loop.twin.parameters() if p.grad is not None]
        found.append(([float(each.output.loss.detach()) for each in outputs], gradients, parts_of(outputs[-1])))
    (losses, gradients, parts), (divided, of_divided, of_parts) = found
    assert divided == pytest.approx(losses, abs=1e-5)
    assert of_parts == pytest.approx(parts, abs=1e-5)
    assert len(gradients) == len(of_divided) > 0
    for one, other in zip(gradients, of_divided, strict=True):
        assert torch.allclose(one, other, atol=1e-5)
