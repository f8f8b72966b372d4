"""Do margins decide? One sweep a loss on glyphs, then the winner with its margins and with the loss's own ones.

For triplet, contrastive and circle: 30 short trials over margins, scale, distance, miner, learning rate and queries;
the winner, and the winner with *only its margins* put back to the loss's default, are each trained on three seeds that
the sweep never saw; the difference is paired by seed, with Student's t interval over seeds (n = 3: t = 4.30). Trials
see train and validation classes; the retrained twins are measured on test classes: the mean of 20-way one-shot and
zero-shot accuracy.

    python tests/benchmarks/margins.py                 # all three, some 45 minutes
    python tests/benchmarks/margins.py TripletMarginLoss
"""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from cross_modal.configuration import EvaluationConfig, Experiment
from cross_modal.data.items import Items
from cross_modal.data.sources import read_items
from cross_modal.embed_items import embed_items, open_pictures
from cross_modal.evaluation import evaluate_embeddings
from cross_modal.fewshot.intervals import mean_and_interval
from cross_modal.rebuild import rebuild
from cross_modal.training.loop import train
from cross_modal.training.shared_parts import SharedParts
from cross_modal_mlflow.sweep.space import with_default_margins

LOSSES = ("TripletMarginLoss", "ContrastiveLoss", "CircleLoss")
SEEDS = (101, 102, 103)
TRIALS, STEPS = 30, 60
ONE, ZERO = "episodes/20way_1shot/accuracy", "episodes/20way_0shot/accuracy"


def swept(loss: str, folder: Path) -> tuple[Experiment, dict]:
    """The winner of one sweep, with what the sweep reported."""
    report = folder / f"{loss}.json"
    budget = ["--training.steps", str(STEPS), "--training.validate-every", str(STEPS // 4), "--training.warm-up", "10"]
    words = ["--losses", loss, "--trials", str(TRIALS), "--workers", "2", "--study", loss, *budget]
    subprocess.run(
        [sys.executable, "-m", "cross_modal_mlflow", "sweep", *words, "--json", str(report)], cwd=folder, check=True
    )
    content = json.loads(report.read_text())
    return rebuild(Experiment, content["protocol"]["best_experiment"]), content


def measured(experiment: Experiment, seed: int, items: Items, shared: SharedParts) -> float:
    """Trains on a seed; returns the mean of one-shot and zero-shot accuracy on test classes."""
    own = dataclasses.replace(experiment, training=dataclasses.replace(experiment.training, seed=seed))
    with tempfile.TemporaryDirectory() as folder:
        twin = train(own, items, folder=folder, shared=shared).twin
    test = items.split("test")
    embedded = embed_items(twin, test, open_pictures(test, twin, own.items))
    config = EvaluationConfig(ways=[20], shots=[0, 1], episodes=2000)
    metrics = evaluate_embeddings(embedded, config, metric=twin.metric).metrics
    return (metrics[ONE] + metrics[ZERO]) / 2


def main() -> None:
    items, shared = read_items("glyphs"), SharedParts()
    for loss in [name for name in sys.argv[1:] if name in LOSSES] or LOSSES:
        with tempfile.TemporaryDirectory() as name:
            began = time.perf_counter()
            winner, report = swept(loss, Path(name))
            minutes = (time.perf_counter() - began) / 60
        plain = with_default_margins(winner)
        pairs = np.array([[measured(one, seed, items, shared) for one in (winner, plain)] for seed in SEEDS])
        difference, half = mean_and_interval(pairs[:, 0] - pairs[:, 1])
        about = report["protocol"]
        print(f"{loss}: {TRIALS} trials of {STEPS} steps in {minutes:.1f} minutes (goal for 30 trials: 20)")
        objective = winner.objective
        print(f"  best on validation {about['best_values'][0]:.4f}: {objective.loss.arguments}, {objective.miner}")
        print(f"  with default margins: {plain.objective.loss.arguments}")
        ours, theirs = 100 * pairs.mean(axis=0)
        print(f"  test, 3 new seeds: winner {ours:.2f} %, margins put back {theirs:.2f} %")
        excludes = abs(difference) > half
        print(
            f"  paired difference {100 * difference:+.2f} ± {100 * half:.2f} points: "
            f"{'excludes' if excludes else 'does not exclude'} zero",
            flush=True,
        )


if __name__ == "__main__":
    main()
