"""What the training loop costs over a bare PyTorch loop on a ViT-B-32 twin in bfloat16, on a GPU where there is one.

Same model, same loss, same pictures; both read inputs that lie ready in memory, send them to the device, and take
turns, step by step. The figure is the bare loop's median seconds a step over ours. Goal: at least 0.95 on a GPU.

    python tests/benchmarks/large_trunk_step.py [--device cuda|cpu] [--pictures 128] [--steps 30]

Without a GPU nothing is measured unless `--device cpu` asks for it. Weights are random: they cost as much.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cross_modal.configuration import Experiment, ImageTrunkConfig, TextTrunkConfig
from cross_modal.data.items import Items
from cross_modal.training.listener import Silence
from cross_modal.training.loop import Loop
from cross_modal.training.optimizer import build_optimizer

NAME, SIDE, WARM_UP = "open_clip:ViT-B-32", 224, 3


def experiment_of(device: str, pictures: int, steps: int) -> Experiment:
    """Two pictures and a name of each class."""
    experiment = Experiment()
    experiment.twin.image = ImageTrunkConfig(name=NAME, size=SIDE, channels=3)
    experiment.twin.text = TextTrunkConfig(name=NAME)
    experiment.batch.classes, experiment.batch.items = pictures // 2, 2
    experiment.training.accelerator = device  # type: ignore[assignment]
    experiment.training.precision, experiment.training.steps = "bf16-mixed", steps
    experiment.health.stop_on_collapse = False  # random weights make embeddings alike
    return experiment


def drawn(classes: int) -> Items:
    """Noise: what is measured is speed."""
    random = np.random.default_rng(0)
    pictures = [random.integers(0, 256, (SIDE, SIDE, 3)).astype(np.uint8) for _ in range(2 * classes)]
    names = [f"a photo of thing number {row % classes}" for row in range(2 * classes)]
    return Items.of(images=pictures, texts=names, labels=names, splits=["train"] * len(names), source="noise")


def supervised_contrastive(a: Tensor, b: Tensor, ids_a: Tensor, ids_b: Tensor, same: bool = False) -> Tensor:
    """SupCon (Khosla et al. 2020, equation 2), written down once more."""
    logits = a @ b.T / 0.07
    positive = ids_a[:, None] == ids_b[None]
    if same:
        itself = torch.eye(len(a), dtype=torch.bool, device=a.device)
        logits, positive = logits.masked_fill(itself, float("-inf")), positive & ~itself
    log_probability = logits - logits.logsumexp(1, keepdim=True)
    return -(torch.where(positive, log_probability, 0.0).sum(1) / positive.sum(1)).mean()


class Bare:
    """The loop that one would write by hand."""

    def __init__(self, loop: Loop, experiment: Experiment) -> None:
        self.twin = copy.deepcopy(loop.twin).train()
        self.optimizer = build_optimizer(self.twin, torch.nn.Identity(), experiment.training)
        self.device = loop.fabric.device

    def step(self, inputs: Any) -> None:
        given = (inputs.image, inputs.text, inputs.image_ids, inputs.text_ids)
        pixels, tokens, ids, text_ids = (each.to(self.device) for each in given)
        self.optimizer.zero_grad()
        with torch.autocast(self.device.type, torch.bfloat16):
            image, text = self.twin(pixels, tokens)
        loss = (
            supervised_contrastive(image, text, ids, text_ids)
            + supervised_contrastive(text, image, text_ids, ids)
            + supervised_contrastive(image, image, ids, ids, same=True)
        )
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.twin.parameters(), 1.0)
        self.optimizer.step()
        loss.item()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--pictures", type=int, default=128)
    parser.add_argument("--steps", type=int, default=30)
    given = parser.parse_args()
    if given.device == "cuda" and not torch.cuda.is_available():
        print("no GPU at hand: nothing measured")
        return
    name = torch.cuda.get_device_name() if given.device == "cuda" else "CPU"
    experiment = experiment_of(given.device, given.pictures, given.steps)
    with tempfile.TemporaryDirectory() as folder:
        loop = Loop(experiment, drawn(given.pictures // 2), Path(folder), Silence())
        loop.twin.train()
        bare = Bare(loop, experiment)
        inputs = list(loop.task.stream(0, 2))
        seconds: dict[str, list[float]] = {"ours": [], "bare": []}
        for step in range(given.steps):
            moments = [now(given.device)]
            loop._step(step, inputs[step % 2])
            moments.append(now(given.device))
            bare.step(inputs[step % 2])
            moments.append(now(given.device))
            if step >= WARM_UP:
                for each, before, after in zip(seconds, moments[:2], moments[1:], strict=True):
                    seconds[each].append(after - before)
    ours, by_hand = (statistics.median(each) for each in seconds.values())
    print(f"{name}, {NAME}, {given.pictures} pictures, bf16-mixed: {given.pictures / ours:,.0f} pictures/s")
    print(f"cross-modal {ours * 1e3:.0f} ms a step, bare {by_hand * 1e3:.0f} ms: {by_hand / ours:.3f} (goal 0.95)")


def now(device: str) -> float:
    """Seconds, when the device has done all that it was given."""
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


if __name__ == "__main__":
    main()
