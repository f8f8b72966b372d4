"""What micro-batches and activation checkpointing save, and what they cost: memory and seconds of a training step.

A small ViT on 64 pictures and 32 texts, each setting in a process of its own, one thread. Memory is what a step adds to
what the process held before it; all settings compute the same loss and gradients (to 1e-5, see the tests).

    python tests/benchmarks/micro_batch.py
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from cross_modal.configuration import Experiment, ImageTrunkConfig
from cross_modal.data.items import Items
from cross_modal.training.listener import Silence
from cross_modal.training.loop import Loop

TRUNK, SIDE, CLASSES, STEPS = "timm:vit_tiny_patch16_224", 160, 32, 4
SETTINGS = {
    "whole batch": (0, False),
    "micro-batch 32 (1/2)": (32, False),
    "micro-batch 16 (1/4)": (16, False),
    "micro-batch 8 (1/8)": (8, False),
    "activation checkpointing": (0, True),
    "micro-batch 16 and checkpointing": (16, True),
}


def drawn() -> Items:
    """Noise: what is measured is memory and speed."""
    random = np.random.default_rng(0)
    pictures = [random.integers(0, 256, (SIDE, SIDE, 3)).astype(np.uint8) for _ in range(2 * CLASSES)]
    names = [f"class number {row % CLASSES}" for row in range(2 * CLASSES)]
    return Items.of(images=pictures, texts=names, labels=names, splits=["train"] * len(names), source="noise")


def held(which: str) -> int:
    """Bytes of memory: VmRSS is now, VmHWM the most so far."""
    return 1024 * int(Path("/proc/self/status").read_text().split(f"{which}:")[1].split()[0])


def child(micro_batch: int, checkpointing: bool) -> None:
    """Some steps with a setting; prints memory and seconds of one."""
    torch.set_num_threads(1)
    experiment = Experiment()
    experiment.twin.image = ImageTrunkConfig(name=TRUNK, size=SIDE, channels=3)
    experiment.batch.classes, experiment.batch.items = CLASSES, 2
    experiment.training.accelerator, experiment.training.steps = "cpu", STEPS
    experiment.training.micro_batch, experiment.training.activation_checkpointing = micro_batch, checkpointing
    experiment.health.stop_on_collapse = False
    with tempfile.TemporaryDirectory() as folder:
        loop = Loop(experiment, drawn(), Path(folder), Silence())
        loop.twin.train()
        inputs = next(iter(loop.task.stream(0, 1)))
        before, seconds = held("VmRSS"), []
        for step in range(STEPS):
            began = time.perf_counter()
            loop._step(step, inputs)
            seconds.append(time.perf_counter() - began)
    print(json.dumps({"bytes": held("VmHWM") - before, "seconds": statistics.median(seconds[1:])}))


def main() -> None:
    """Prints each setting beside the whole batch."""
    whole: dict[str, float] = {}
    for name, setting in SETTINGS.items():
        words = [sys.executable, __file__, json.dumps(setting)]
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        ran = subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True, env=environment)
        told = json.loads(ran.stdout.splitlines()[-1])
        whole = whole or told
        memory, duration = (told[each] / whole[each] for each in ("bytes", "seconds"))
        print(
            f"{name:34} {told['bytes'] / 1e9:.2f} GB ({memory:.2f}×)  {told['seconds']:.2f} s a step ({duration:.2f}×)",
            flush=True,
        )


if __name__ == "__main__":
    child(*json.loads(sys.argv[1])) if len(sys.argv) > 1 else main()
