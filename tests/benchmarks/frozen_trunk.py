"""Seconds of a training step on a frozen ViT-B-32: from the feature store, and encoding in every step.

    python tests/benchmarks/frozen_trunk.py

An epoch is the same number of steps either way, so the ratio of steps is the ratio of epochs; the goal is 30. The
weights are random (no download), which costs the same. Both runs see the same views, so their losses must agree.
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from cross_modal.configuration import BatchConfig, DataConfig, Experiment
from cross_modal.data.sources import read_items
from cross_modal.training.loop import Silence, train

CLASSES, STEPS, FILLED = 24, 8, 40


class Clock(Silence):
    """Notes when each step ended, and its loss."""

    def __init__(self) -> None:
        self.times: list[float] = []
        self.losses: list[float] = []

    def on_step(self, step: int, metrics: dict[str, float]) -> None:
        self.times.append(time.perf_counter())
        self.losses.append(metrics["train/loss"])

    def on_message(self, text: str) -> None:
        if text.startswith("feature store"):
            print(f"  {text}")


def settings(store: bool, steps: int) -> Experiment:
    """A head on a frozen open_clip ViT-B-32."""
    experiment = Experiment(batch=BatchConfig(classes=CLASSES, items=2), items=DataConfig(feature_store=store))
    twin, training = experiment.twin, experiment.training
    twin.image.name = twin.text.name = "open_clip:ViT-B-32"
    twin.image.channels, twin.freeze = 3, "trunk"
    training.steps, training.warm_up, training.validate_every = steps, 1, 10**6
    experiment.augmentation.views = 1
    experiment.health.stop_on_collapse = False  # random trunks
    return experiment


def main() -> None:
    torch.set_num_threads(2)
    items = read_items("glyphs", DataConfig()).split("train")
    chosen = np.flatnonzero(items.class_ids < 2 * CLASSES)
    chosen = chosen[np.argsort(items.class_ids[chosen], kind="stable")]
    items = items.take(chosen)
    print(f"{len(items)} pictures of {len(items.classes)} classes, {2 * CLASSES} pictures and {CLASSES} texts a step")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["CROSS_MODAL_CACHE"] = str(Path(folder) / "features")
        seconds, losses = {}, {}
        runs = (("fill", True, FILLED), ("store", True, FILLED), ("encode", False, STEPS), ("again", True, STEPS))
        for name, store, steps in runs:
            clock = Clock()
            train(settings(store, steps), items, folder=folder, listener=clock)
            seconds[name] = float(np.median(np.diff(clock.times)))
            losses[name] = np.array(clock.losses)
            print(f"{name}: {seconds[name]:.3f} s a step (median of {len(clock.times) - 1})", flush=True)
    apart = np.abs(losses["again"] - losses["encode"]) / np.abs(losses["encode"])
    print(f"the store makes a step {seconds['encode'] / seconds['store']:.0f} times faster (goal: 30)")
    print(f"losses of {STEPS} steps apart by at most {float(apart.max()):.1e} relative (goal: 1e-3)")


if __name__ == "__main__":
    main()
