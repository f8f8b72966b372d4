"""What the training loop costs over a hand-written one: same model, same loss, same batch sizes, plain PyTorch.

The two take turns, step by step, on the same two cores; the figure is the ratio of the median seconds a step.
Goal: at most 1.05.

    python tests/benchmarks/step_cost.py
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from cross_modal.configuration import Experiment
from cross_modal.data.sources import read_items
from cross_modal.encoders.build import build_twin
from cross_modal.training.loop import Loop, Silence

STEPS, WARM_UP = 40, 5


def supervised_contrastive(a: Tensor, b: Tensor, ids_a: Tensor, ids_b: Tensor, same: bool = False) -> Tensor:
    """SupCon (Khosla et al. 2020, equation 2), written down once more."""
    logits = a @ b.T / 0.07
    positive = ids_a[:, None] == ids_b[None]
    if same:
        itself = torch.eye(len(a), dtype=torch.bool)
        logits, positive = logits.masked_fill(itself, float("-inf")), positive & ~itself
    log_probability = logits - logits.logsumexp(1, keepdim=True)
    return -(torch.where(positive, log_probability, 0.0).sum(1) / positive.sum(1)).mean()


class HandWritten:
    """The loop that one would write in a notebook."""

    def __init__(self, experiment: Experiment, loop: Loop) -> None:
        items = read_items("glyphs", experiment.items).split("train")
        self.pixels = torch.from_numpy(np.stack(list(items.images)))[:, None]
        self.ids = items.class_ids
        self.rows = [np.flatnonzero(self.ids == c) for c in range(int(self.ids.max()) + 1)]
        self.twin = build_twin(experiment.twin, [str(text) for text in items.texts]).train()
        self.twin.load_state_dict(loop.twin.state_dict())
        self.tokens = self.twin.text.tokenize([str(items.texts[rows[0]]) for rows in self.rows])
        self.optimizer = torch.optim.AdamW(self.twin.parameters(), lr=2e-3, fused=True)
        self.batch = experiment.batch
        self.random = np.random.default_rng(0)

    def step(self) -> None:
        classes = self.random.choice(len(self.rows), self.batch.classes, replace=False)
        rows = np.concatenate([self.random.choice(self.rows[c], self.batch.items, replace=False) for c in classes])
        pixels = (self.pixels[rows].float() / 255 - 0.5) / 0.5
        angle, size, shift = (
            torch.randn(len(rows)) * 0.06,
            torch.exp(torch.randn(len(rows)) * 0.08),
            torch.randn(len(rows), 2) * 0.05,
        )
        cosine, sine = angle.cos() * size, angle.sin() * size
        maps = torch.stack([cosine, -sine, shift[:, 0], sine, cosine, shift[:, 1]], 1).view(-1, 2, 3)
        pixels = F.grid_sample(
            pixels,
            F.affine_grid(maps, list(pixels.shape), align_corners=False),
            padding_mode="border",
            align_corners=False,
        )
        tokens = self.tokens[classes]
        tokens = tokens[:, : int((tokens != 0).sum(1).max())]
        image, text = self.twin(pixels, tokens)
        ids, text_ids = torch.from_numpy(self.ids[rows]), torch.from_numpy(classes)
        loss = (
            supervised_contrastive(image, text, ids, text_ids)
            + supervised_contrastive(text, image, text_ids, ids)
            + supervised_contrastive(image, image, ids, ids, same=True)
        )
        self.optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.twin.parameters(), 1.0)
        self.optimizer.step()
        loss.item()


def main() -> None:
    experiment = Experiment()
    items = read_items("glyphs", experiment.items)
    with tempfile.TemporaryDirectory() as folder:
        loop = Loop(experiment, items, Path(folder), Silence())
        hand = HandWritten(experiment, loop)
        loop.twin.train()
        stream = loop.task.stream(0, STEPS)
        seconds: dict[str, list[float]] = {"ours": [], "hand": []}
        for step in range(STEPS):
            began = time.perf_counter()
            loop._step(step, next(stream))
            middle = time.perf_counter()
            hand.step()
            if step >= WARM_UP:
                seconds["ours"].append(middle - began)
                seconds["hand"].append(time.perf_counter() - middle)
    ours, hand_written = (statistics.median(seconds[name]) for name in ("ours", "hand"))
    print(f"cross-modal {ours * 1e3:.0f} ms a step, by hand {hand_written * 1e3:.0f} ms: {ours / hand_written:.3f}×")
    print("goal: at most 1.05×")


if __name__ == "__main__":
    main()
