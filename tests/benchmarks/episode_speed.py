"""Seconds for 10,000 20-way one-shot episodes on stored embeddings; the goal is 10 s on 2 cores.

    python tests/benchmarks/episode_speed.py

Drawn and scored with pictures, names and both, over as many items as the evaluation part of Omniglot has (659 classes
of 20) in 256 dimensions; then the same with support and query of different drawers.
"""

from __future__ import annotations

import time

import numpy as np
import torch

from cross_modal.fewshot.episodes import sample_episodes
from cross_modal.fewshot.intervals import mean_and_interval
from cross_modal.fewshot.mixture import Mixture, MixtureWeights
from cross_modal.fewshot.scoring import score_episodes

CLASSES, ITEMS, DIM, EPISODES = 659, 20, 256, 10_000


def main() -> None:
    torch.set_num_threads(2)
    generator = np.random.default_rng(0)
    ids = np.repeat(np.arange(CLASSES), ITEMS)
    drawers = np.tile(np.arange(ITEMS), CLASSES)
    centres = generator.normal(size=(CLASSES, DIM))
    images = (centres[ids] + 2 * generator.normal(size=(len(ids), DIM))).astype(np.float32)
    texts = (centres + 3 * generator.normal(size=centres.shape)).astype(np.float32)
    mixture = Mixture({1: MixtureWeights(20.0, 10.0, False, False, {})}, (0.0,) * DIM, (0.0,) * DIM)
    for name, groups in (("items", None), ("drawers", drawers)):
        start = time.perf_counter()
        drawn = sample_episodes(ids, ways=20, shots=1, queries=5, episodes=EPISODES, seed=0, groups=groups)
        sampled = time.perf_counter()
        pictures = score_episodes(images, None, drawn)
        scored = time.perf_counter()
        result = score_episodes(images, texts, drawn, mixture)
        end = time.perf_counter()
        print(
            f"support and query of different {name}: draw {sampled - start:.2f} s, pictures {scored - sampled:.2f} s, "
            f"pictures + names + both {end - scored:.2f} s"
        )
        for kind, values in (("pictures", pictures.image), ("names", result.text), ("both", result.both)):
            mean, half = mean_and_interval(values)
            print(f"  {kind}: {100 * mean:.2f} ± {100 * half:.2f} %")


if __name__ == "__main__":
    main()
