"""Half precision in the trunks, float32 in the loss; scaled gradients that overflow cost one step and no more."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from toys.shapes import experiment, shapes

from cross_modal.training.checkpoint import load_checkpoint
from cross_modal.training.listener import Silence
from cross_modal.training.loop import LAST, Loop, train

HALVES = ["bf16-mixed", "16-mixed"]
SCALE = 1024.0


class Losses(Silence):
    """Keeps the loss of every step."""

    def __init__(self) -> None:
        self.found: dict[int, float] = {}

    def on_step(self, step: int, metrics: dict[str, float]) -> None:
        self.found[step] = metrics["train/loss"]


def one_step(folder: Path, **training: object) -> tuple[Loop, dict[str, float], list[Tensor]]:
    """The first step; what the loss was given and gave."""
    loop = Loop(experiment(**training), shapes(), folder, Silence())
    loop.twin.train()
    if training.get("precision") == "16-mixed":  # its first scale is found by overflows
        scaler = loop.fabric.strategy.precision.scaler
        scaler.load_state_dict(scaler.state_dict() | {"scale": SCALE})
    seen: list[Tensor] = []
    criterion = loop.criterion.forward

    def noted(*given: Any, **named: Any) -> Any:
        found = criterion(*given, **named)
        seen.extend(each for each in given if torch.is_tensor(each) and each.is_floating_point())
        seen.append(found.loss)
        return found

    loop.criterion.forward = noted  # type: ignore[method-assign]
    return loop, loop._step(0, next(iter(loop.task.stream(0, 1)))), seen


@pytest.mark.parametrize("precision", HALVES)
@pytest.mark.parametrize("micro_batch", [0, 5])
def test_the_loss_is_float32_and_so_are_its_gradients(precision: str, micro_batch: int, tmp_path: Path) -> None:
    loop, metrics, seen = one_step(tmp_path, precision=precision, micro_batch=micro_batch)
    _, exact, _ = one_step(tmp_path, micro_batch=micro_batch)
    assert len(seen) >= 3  # pictures, texts, and the loss
    assert {tensor.dtype for tensor in seen} == {torch.float32}
    gradients = [p.grad for p in loop.twin.parameters() if p.grad is not None]
    assert gradients
    assert all(gradient.dtype == torch.float32 and gradient.isfinite().all() for gradient in gradients)
    assert metrics["train/loss"] == pytest.approx(exact["train/loss"], rel=0.02)
    assert metrics["train/loss"] != exact["train/loss"]  # the trunks did compute in half precision
    # unscaled, and once
    assert metrics["train/gradient_norm"] == pytest.approx(exact["train/gradient_norm"], rel=0.2)


@pytest.mark.parametrize("precision", HALVES)
def test_a_twin_learns(precision: str, tmp_path: Path) -> None:
    losses = Losses()
    train(experiment(steps=30, precision=precision, validate_every=30), shapes(), folder=tmp_path, listener=losses)
    assert sum(losses.found[step] for step in range(26, 31)) < 0.8 * sum(losses.found[step] for step in range(1, 6))


def test_an_overflow_skips_its_step_and_scales_by_less(tmp_path: Path) -> None:
    loop = Loop(experiment(precision="16-mixed"), shapes(), tmp_path, Silence())
    loop.twin.train()
    scaler = loop.fabric.strategy.precision.scaler
    scaler.load_state_dict(scaler.state_dict() | {"scale": 2.0**127})
    before = {name: value.clone() for name, value in loop.twin.named_parameters()}
    metrics = loop._step(0, next(iter(loop.task.stream(0, 1))))
    assert "train/gradient_norm" not in metrics  # it is no number, and no reason to stop
    assert all(torch.equal(value, before[name]) for name, value in loop.twin.named_parameters())
    assert scaler.get_scale() == 2.0**126


def test_scaled_training_goes_on_bit_for_bit(tmp_path: Path) -> None:
    settings = experiment(steps=8, precision="16-mixed", validate_every=4)
    whole, half = Losses(), Losses()
    unbroken = train(settings, shapes(), folder=tmp_path / "whole", listener=whole)

    class Broken(Exception):
        pass

    class Breaks(Losses):
        def on_step(self, step: int, metrics: dict[str, float]) -> None:
            if step == 6:
                raise Broken

    with pytest.raises(Broken):
        train(settings, shapes(), folder=tmp_path / "half", listener=Breaks())
    assert load_checkpoint(tmp_path / "half" / LAST)["precision"]["scale"] > 1
    resumed = train(settings, shapes(), folder=tmp_path / "half", listener=half, resume=True)
    assert half.found == {step: loss for step, loss in whole.found.items() if step > 4}
    for name, weight in unbroken.twin.state_dict().items():
        assert torch.equal(weight, resumed.twin.state_dict()[name]), name
