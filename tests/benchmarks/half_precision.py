"""What half precision gives on this processor: a training step under bf16-mixed against the same step in float32.

The demo's twin, the twin of `omniglot.yaml` and a small ViT; float32 and bfloat16 take turns, step by step. Processors
that multiply bfloat16 (avx512_bf16, amx_bf16) gain; others have to convert it. What this one has is printed.

    python tests/benchmarks/half_precision.py
"""

from __future__ import annotations

import copy
import statistics
import tempfile
import time
from pathlib import Path

import yaml
from compiled import drawn

from cross_modal.configuration import Experiment, ImageTrunkConfig
from cross_modal.data.items import Items
from cross_modal.data.sources import read_items
from cross_modal.training.listener import Silence
from cross_modal.training.loop import Loop

STEPS, WARM_UP = 24, 4
FLAGS = ("avx512_bf16", "amx_bf16")


def settings() -> dict[str, tuple[Experiment, Items]]:
    """What is trained."""
    demo, omniglot, vit = Experiment(), Experiment(), Experiment()
    asked = yaml.safe_load(Path(__file__).with_name("omniglot.yaml").read_text())
    omniglot.twin.image = ImageTrunkConfig(**asked["twin"]["image"])
    omniglot.twin.text.name, omniglot.twin.width = "none", asked["twin"]["width"]
    omniglot.objective.terms.image_to_image, omniglot.objective.terms.image_to_text = 1.0, 0.0
    omniglot.objective.terms.text_to_image = 0.0
    omniglot.batch.classes, omniglot.batch.items = asked["batch"]["classes"], asked["batch"]["items"]
    vit.twin.image = ImageTrunkConfig(name="timm:vit_tiny_patch16_224", size=160, channels=3)
    vit.batch.classes, vit.batch.items = 8, 2
    return {
        "the demo's twin": (demo, read_items("glyphs", demo.items)),
        "Omniglot's twin": (omniglot, drawn(32, 160, items=3)),
        "ViT-Ti/16": (vit, drawn(160, 8)),
    }


def main() -> None:
    processor = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    print("bfloat16 on this processor:", ", ".join(flag for flag in FLAGS if flag in processor) or "none seen")
    for name, (experiment, items) in settings().items():
        experiment.training.accelerator, experiment.training.steps = "cpu", STEPS
        experiment.health.stop_on_collapse = False
        with tempfile.TemporaryDirectory() as folder:
            loops = {}
            for precision in ("32-true", "bf16-mixed"):
                experiment.training.precision = precision
                loops[precision] = Loop(copy.deepcopy(experiment), items, Path(folder), Silence())
            seconds: dict[str, list[float]] = {precision: [] for precision in loops}
            for step, inputs in enumerate(loops["32-true"].task.stream(0, STEPS)):
                for precision, loop in loops.items():
                    loop.twin.train()
                    start = time.perf_counter()
                    loop._step(step, inputs)
                    if step >= WARM_UP:
                        seconds[precision].append(time.perf_counter() - start)
        whole, half = (statistics.median(each) for each in seconds.values())
        print(
            f"{name}: {whole * 1e3:.0f} ms a step in float32, {half * 1e3:.0f} ms under bf16-mixed: "
            f"{whole / half:.2f}× as fast",
            flush=True,
        )


if __name__ == "__main__":
    main()
