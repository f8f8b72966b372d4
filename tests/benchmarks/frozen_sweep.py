"""Wall time of fifty head-only trials on a frozen ViT-B-32, against what the first one costs before it trains.

    python tests/benchmarks/frozen_sweep.py [--trials 50] [--model ViT-B-32]

A trial that shares nothing pays for imports, reading, a trunk and its features every time. Goal: wall(50 trials) ≤ 3 ×
that fixed cost + 50 × the seconds that a trial optimises. Either run is a process of its own with an empty feature
store. The weights are random but come from a checkpoint (no download), which costs what pretrained ones cost. Margin
and learning rate differ from trial to trial, as in a sweep. Prints one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

CLASSES, VALIDATION_CLASSES, STEPS, EVERY = 16, 8, 20, 10
WARM = "import lightning_fabric, open_clip, pytorch_metric_learning.losses, optuna"


def trials(count: int, model: str, checkpoint: str) -> list[dict[str, float]]:
    """Runs trials one after the other, as a worker does; their seconds by phase."""
    from cross_modal.configuration import BatchConfig, DataConfig, Experiment, PartConfig
    from cross_modal.data.sources import read_items
    from cross_modal.training.shared_parts import SharedParts
    from cross_modal_mlflow.sweep.trial_training import run_training_trial

    items = read_items("glyphs", DataConfig())
    parts = [items.split("train"), items.split("validation")]
    chosen = [part.classes[:number] for part, number in zip(parts, (CLASSES, VALIDATION_CLASSES), strict=True)]
    items = items.take(np.flatnonzero(np.isin(items.labels.astype(str), chosen[0] + chosen[1])))
    shared, spent = SharedParts(), []
    for number in range(count):
        settings = Experiment(batch=BatchConfig(classes=CLASSES // 2, items=2))
        twin, training = settings.twin, settings.training
        twin.image.name = twin.text.name = f"open_clip:{model}"
        twin.image.pretrained, twin.image.channels, twin.freeze = checkpoint, 3, "trunk"
        settings.objective.loss = PartConfig("TripletMarginLoss", {"margin": 0.05 + 0.01 * number})
        settings.augmentation.views = 1
        settings.health.stop_on_collapse = False  # random trunks
        training.steps, training.warm_up, training.validate_every = STEPS, 5, EVERY
        training.learning_rate = 1e-3 * (1 + number % 5)
        with tempfile.TemporaryDirectory() as folder:
            outcome = run_training_trial(
                settings, items, lambda value, step: None, lambda: False, shared=shared, folder=Path(folder)
            )
        spent.append(outcome.seconds)
    return spent


def timed(count: int, model: str, checkpoint: str) -> tuple[float, list[dict[str, float]]]:
    """Wall seconds of a process of its own, from its start to its end, and its trials' seconds."""
    with tempfile.TemporaryDirectory() as folder:
        words = [sys.executable, __file__, "--trials", str(count), "--model", model, "--checkpoint", checkpoint]
        began = time.perf_counter()
        done = subprocess.run(
            words, env={**os.environ, "CROSS_MODAL_CACHE": folder}, stdout=subprocess.PIPE, check=True, text=True
        )
        return time.perf_counter() - began, json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--trials", type=int, default=50)
    parser.add_argument("--model", default="ViT-B-32")
    parser.add_argument("--checkpoint", help="run the trials here, on this checkpoint, and print their seconds")
    given = parser.parse_args()
    if given.checkpoint:
        print(json.dumps(trials(given.trials, given.model, given.checkpoint)))
        return
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = str(Path(folder) / "random.safetensors")
        save_random(given.model, checkpoint)
        subprocess.run([sys.executable, "-c", WARM], check=True)  # neither run reads libraries from a cold disk
        single, _ = timed(1, given.model, checkpoint)
        wall, spent = timed(given.trials, given.model, checkpoint)
    own = {name: float(np.median([each[name] for each in spent[1:]])) for name in spent[0]}
    # On a busy machine either may come out too large, which would flatter: the smaller one counts.
    fixed = min(single - own["training"], wall - sum(sum(each.values()) for each in spent[1:]) - own["training"])
    goal = 3 * fixed + given.trials * own["training"]
    facts = {
        "trials": given.trials,
        "wall": wall,
        "fixed": fixed,
        "setup": own["setup"],
        "optimisation": own["training"],
        "validation": own["validation"],
        "goal": goal,
        "share_of_goal": wall / goal,
        "alone_each": single * given.trials,
    }
    print(json.dumps({name: round(value, 3) for name, value in facts.items()} | {"reached": wall <= goal}))


def save_random(model: str, path: str) -> None:
    """Random weights of an open_clip model as a checkpoint."""
    import open_clip
    import torch
    from safetensors.torch import save_file

    torch.manual_seed(0)
    state = open_clip.create_model(model).state_dict()
    save_file({name: tensor.contiguous().clone() for name, tensor in state.items()}, path)


if __name__ == "__main__":
    main()
