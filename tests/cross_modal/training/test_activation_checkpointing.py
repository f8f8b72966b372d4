"""Checkpointed blocks keep less and compute the same, dropout included."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from toys.shapes import experiment, shapes
from toys.tiny_open_clip import open_clip_experiment

from cross_modal.configuration import Experiment, ImageTrunkConfig
from cross_modal.training.listener import Silence
from cross_modal.training.loop import Loop


def vit() -> Experiment:
    settings = experiment(steps=2)
    settings.twin.image = ImageTrunkConfig(name="timm:test_vit", size=32, channels=3)
    settings.health.stop_on_collapse = False
    return settings


def deep_text() -> Experiment:
    settings = experiment(steps=2)
    settings.twin.text.layers, settings.twin.text.dropout = 4, 0.3
    return settings


def open_clip() -> Experiment:
    settings = vit()
    settings.twin.image = ImageTrunkConfig(name="open_clip:test-checkpointed", size=32, channels=3)
    settings.twin.text.name = "open_clip:test-checkpointed"
    return settings


def in_micro_batches() -> Experiment:
    settings = vit()
    settings.training.micro_batch = 5
    return settings


def timm_last_block() -> Experiment:
    settings = vit()
    settings.twin.text.layers = 3
    settings.training.last_blocks = 1
    return settings


def low_rank() -> Experiment:
    pytest.importorskip("peft")
    settings = open_clip_experiment(steps=2)
    settings.training.lora.rank = 2
    return settings


def last_block() -> Experiment:
    settings = open_clip()
    settings.training.last_blocks = 1
    return settings


@pytest.fixture(autouse=True, scope="module")
def model_config(tmp_path_factory: pytest.TempPathFactory) -> None:
    import json

    import open_clip

    folder = tmp_path_factory.mktemp("configs")
    vision = {"image_size": 32, "layers": 3, "width": 64, "head_width": 32, "patch_size": 16}
    text = {"context_length": 77, "vocab_size": 49408, "width": 64, "heads": 2, "layers": 3}
    (folder / "test-checkpointed.json").write_text(
        json.dumps({"embed_dim": 32, "vision_cfg": vision, "text_cfg": text})
    )
    open_clip.add_model_config(folder)


def two_steps(settings: Experiment, folder: Path) -> tuple[list[float], dict[str, Tensor], int]:
    """Losses, the last gradients, and the bytes that the first forward pass kept for the backward one."""
    loop = Loop(settings, shapes(), folder, Silence())
    loop.twin.train()
    kept: dict[int, int] = {}
    forward = loop._embedded

    def counted(*given: Any) -> Any:
        def keep(tensor: Tensor) -> Tensor:
            kept[tensor.data_ptr()] = tensor.numel() * tensor.element_size()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            return forward(*given)

    torch.manual_seed(5)
    losses = []
    for step, inputs in enumerate(loop.task.stream(0, 2)):
        loop._embedded = counted if step == 0 and not settings.training.micro_batch else forward  # type: ignore
        losses.append(loop._step(step, inputs)["train/loss"])
        loop.result.steps = step + 1
    gradients = {name: p.grad.clone() for name, p in loop.twin.named_parameters() if p.grad is not None}
    return losses, gradients, sum(kept.values())


@pytest.mark.parametrize("kind", [vit, deep_text, open_clip, in_micro_batches, last_block, timm_last_block, low_rank])
def test_losses_and_gradients_stay_and_less_is_kept(kind: Any, tmp_path: Path) -> None:
    plain, settings = kind(), kind()
    settings.training.activation_checkpointing = True
    losses, gradients, kept = two_steps(plain, tmp_path)
    again, same, less = two_steps(settings, tmp_path)
    assert again == pytest.approx(losses, abs=1e-5)
    assert same.keys() == gradients.keys()
    for name, gradient in gradients.items():
        torch.testing.assert_close(same[name], gradient, atol=1e-5, rtol=1e-4)
    if kind is not in_micro_batches:
        assert less < 0.9 * kept


def residual() -> Experiment:
    settings = vit()
    settings.twin.image.name = "timm:test_resnet"
    return settings


@pytest.mark.parametrize(("kind", "layer"), [(experiment, "BatchNorm2d"), (residual, "BatchNormAct2d|BatchNorm2d")])
def test_blocks_that_count_batches_are_left_alone_and_that_is_said(kind: Any, layer: str, tmp_path: Path) -> None:
    settings = kind()
    settings.training.steps, settings.training.activation_checkpointing = 2, True
    loop = Loop(settings, shapes(), tmp_path, Silence())
    loop.twin.train()
    for step, inputs in enumerate(loop.task.stream(0, 2)):
        loop._step(step, inputs)
    counted = [value for name, value in loop.twin.state_dict().items() if name.endswith("num_batches_tracked")]
    assert counted
    assert all(int(value) == 2 for value in counted)
    image, text = loop.messages
    assert re.fullmatch(rf"training\.activation_checkpointing: twin\.image .*({layer}) would count .* twice", image)
    assert text.endswith("twin.text saves no memory, as it has 1 block, expected at least 2")


@pytest.mark.parametrize("precision", ["bf16-mixed", "16-mixed"])
def test_half_precision_is_computed_again_in_half_precision(precision: str, tmp_path: Path) -> None:
    plain, settings = deep_text(), deep_text()
    for each in (plain, settings):
        each.training.precision = precision
    settings.training.activation_checkpointing = True
    losses, gradients, kept = two_steps(plain, tmp_path)
    again, same, less = two_steps(settings, tmp_path)
    assert again == pytest.approx(losses, abs=1e-5)
    for name, gradient in gradients.items():  # float16's scale begins too large: both overflow alike
        torch.testing.assert_close(same[name], gradient, atol=1e-4, rtol=1e-3, equal_nan=True)
    assert less < 0.9 * kept


def test_the_weights_keep_their_names(tmp_path: Path) -> None:
    settings = vit()
    names = Loop(settings, shapes(), tmp_path, Silence()).twin.state_dict().keys()
    settings.training.activation_checkpointing = True
    assert Loop(settings, shapes(), tmp_path, Silence()).twin.state_dict().keys() == names
