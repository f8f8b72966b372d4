"""What a second process gives: two with one thread each against one with one thread, on the same global batch.

The demo's twin on pictures of 64 pixels side; the settings take turns, and the figure is the ratio of the medians of
the pictures and texts a second. Goal: at least 1.6 on two cores. One process with two threads, what a small machine
does by itself, is measured beside them.

    python tests/benchmarks/two_ranks.py
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from cross_modal.configuration import BatchConfig, Experiment, ImageTrunkConfig, TrainingConfig
from cross_modal.data.items import Items
from cross_modal.training.listener import Silence
from cross_modal.training.loop import Loop
from cross_modal.training.processes import joined_processes

STEPS, WARM_UP, ROUNDS, CLASSES, SIDE = 12, 3, 3, 64, 64
ALONE, TOGETHER, THREADED = (1, 1), (2, 1), (1, 2)  # processes, threads of each


def drawn() -> Items:
    """Noise: what is measured is speed."""
    random = np.random.default_rng(0)
    pictures = [random.integers(0, 256, (SIDE, SIDE)).astype(np.uint8) for _ in range(4 * CLASSES)]
    names = [f"class number {row % CLASSES}" for row in range(4 * CLASSES)]
    return Items.of(images=pictures, texts=names, labels=names, splits=["train"] * len(names), source="noise")


def measure(folder: Path, threads: int) -> None:
    """Seconds of each step, of process 0, into a file."""
    torch.set_num_threads(threads)
    experiment = Experiment(
        batch=BatchConfig(classes=48, items=4), training=TrainingConfig(steps=STEPS, accelerator="cpu")
    )
    experiment.twin.image = ImageTrunkConfig(size=SIDE)
    experiment.health.stop_on_collapse = False
    with joined_processes() as processes:
        loop = Loop(experiment, drawn(), folder, Silence(), processes=processes)
        loop.twin.train()
        speeds = []
        for step, inputs in enumerate(loop.task.stream(0, STEPS)):
            began = time.perf_counter()
            loop._step(step, inputs)
            loop.result.steps = step + 1
            speeds.append(inputs.size / (time.perf_counter() - began))
        if processes.leads:
            (folder / "speed").write_text(str(statistics.median(speeds[WARM_UP:])))


def speed(processes: int, threads: int) -> float:
    """Items a second of one start."""
    with tempfile.TemporaryDirectory() as folder:
        launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
        command = [sys.executable, *(launcher if processes > 1 else []), __file__, folder, str(threads)]
        subprocess.run(command, check=True, env=os.environ | {"OMP_NUM_THREADS": str(threads)})
        return float((Path(folder) / "speed").read_text())


def main() -> None:
    """Takes turns."""
    found: dict[tuple[int, int], list[float]] = {setting: [] for setting in (ALONE, TOGETHER, THREADED)}
    for _ in range(ROUNDS):
        for setting, speeds in found.items():
            speeds.append(speed(*setting))
    items = {setting: statistics.median(speeds) for setting, speeds in found.items()}
    for (processes, threads), each in items.items():
        print(f"{processes} × {threads} thread(s): {each:,.0f} items/s, {each / items[ALONE]:.2f}×")
    print(f"two processes against one: {items[TOGETHER] / items[ALONE]:.2f}× (goal 1.6×)")


if __name__ == "__main__":
    measure(Path(sys.argv[1]), int(sys.argv[2])) if len(sys.argv) > 2 else main()
