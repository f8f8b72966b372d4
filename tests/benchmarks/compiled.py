"""Whether `torch.compile` pays: a training step of compiled trunks against the same trunks as they are.

The demo's twin and a small ViT; losses are the same, the two take turns after compiling, and seconds of compiling are
told. Texts change their length from batch to batch, so shapes are compiled as dynamic.

    python tests/benchmarks/compiled.py
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path

import numpy as np

from cross_modal.configuration import Experiment, ImageTrunkConfig
from cross_modal.data.items import Items
from cross_modal.data.sources import read_items
from cross_modal.training.listener import Silence
from cross_modal.training.loop import Loop

STEPS, WARM_UP = 14, 4


def drawn(side: int, classes: int, items: int = 2) -> Items:
    """Noise: what is measured is speed."""
    random = np.random.default_rng(0)
    pictures = [random.integers(0, 256, (side, side, 3)).astype(np.uint8) for _ in range(items * classes)]
    names = [f"class number {row % classes}" for row in range(items * classes)]
    return Items.of(images=pictures, texts=names, labels=names, splits=["train"] * len(names), source="noise")


def settings() -> dict[str, tuple[Experiment, Items]]:
    """What is trained."""
    demo, vit = Experiment(), Experiment()
    vit.twin.image = ImageTrunkConfig(name="timm:vit_tiny_patch16_224", size=160, channels=3)
    vit.batch.classes, vit.batch.items = 8, 2
    for experiment in (demo, vit):
        experiment.training.accelerator, experiment.training.steps = "cpu", STEPS
        experiment.health.stop_on_collapse = False
    return {"the demo's twin": (demo, read_items("glyphs", demo.items)), "ViT-Ti/16": (vit, drawn(160, 8))}


def main() -> None:
    for name, (experiment, items) in settings().items():
        with tempfile.TemporaryDirectory() as folder:
            plain, compiled = (Loop(experiment, items, Path(folder), Silence()) for _ in range(2))
            for trunk in (compiled.twin.image, compiled.twin.text):
                trunk.compile(dynamic=True)  # type: ignore[union-attr]
            seconds: dict[str, list[float]] = {"plain": [], "compiled": []}
            stream = plain.task.stream(0, STEPS)
            began = time.perf_counter()
            for step, inputs in enumerate(stream):
                for which, loop in (("plain", plain), ("compiled", compiled)):
                    loop.twin.train()
                    start = time.perf_counter()
                    loop._step(step, inputs)
                    if step >= WARM_UP:
                        seconds[which].append(time.perf_counter() - start)
                if step == WARM_UP - 1:
                    print(
                        f"{name}: {time.perf_counter() - began:.0f} s for the first {WARM_UP} steps, compiling included"
                    )
        as_is, faster = (statistics.median(each) for each in seconds.values())
        print(
            f"{name}: {as_is * 1e3:.0f} ms a step, compiled {faster * 1e3:.0f} ms: {as_is / faster:.2f}× as fast",
            flush=True,
        )


if __name__ == "__main__":
    main()
