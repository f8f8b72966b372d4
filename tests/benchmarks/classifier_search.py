"""Seconds of every hyper-parameter search at 100 classes × 16 shots × 512 dimensions, validation of 4 a class.

    python tests/benchmarks/classifier_search.py [--threads 2]

Beside each search stands what the plain loop would take, which fits anew at every point of the grid: measured on a few
points (of the probe: on a few hundred steps) and multiplied, since some of them take minutes. LP++ has one training and
nothing to loop over. Goals on 2 cores: Tip-Adapter 3 s, GDA 0.3 s, LP++ 5 s, cross-modal probe 20 s. The classes are
too noisy to be told apart without error, so that no search ends early.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from cross_modal.fewshot.classifiers.classifier import FewShotClassifier, grid_points
from cross_modal.fewshot.classifiers.cross_modal_probe import CrossModalProbe
from cross_modal.fewshot.classifiers.gaussian_discriminant import GaussianDiscriminant
from cross_modal.fewshot.classifiers.linear_probe_plus_plus import LinearProbePlusPlus
from cross_modal.fewshot.classifiers.tip_adapter import TipAdapter
from cross_modal.fewshot.classifiers.tip_adapter_f import TipAdapterF
from cross_modal.fewshot.search import search

CLASSES, SHOTS, DIM, VALIDATION = 100, 16, 512, 4
LOOP_POINTS, LOOP_STEPS = 10, 300
GOALS = {"TipAdapter": 3.0, "GaussianDiscriminant": 0.3, "LinearProbePlusPlus": 5.0, "CrossModalProbe": 20.0}


def embeddings() -> tuple[np.ndarray, ...]:
    """Texts, support with labels, validation with labels."""
    generator = np.random.default_rng(0)
    centres = generator.normal(size=(CLASSES, DIM))
    texts = centres + 4 * generator.normal(size=centres.shape)
    parts: list[np.ndarray] = [texts.astype(np.float32)]
    for count in (SHOTS, VALIDATION):
        labels = np.repeat(np.arange(CLASSES), count)
        parts += [(centres[labels] + 4 * generator.normal(size=(len(labels), DIM))).astype(np.float32), labels]
    return tuple(parts)


def seconds(run: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    result = run()
    return time.perf_counter() - start, result


def plain_loop(model: FewShotClassifier, data: tuple[np.ndarray, ...]) -> float | None:
    """Seconds of fitting and scoring at every point, from a few of them."""
    points = list(grid_points(model.grid))
    if isinstance(model, LinearProbePlusPlus):
        return None
    if isinstance(model, CrossModalProbe):
        steps = model.steps
        model = CrossModalProbe(model.texts, stop=LOOP_STEPS)
        few = {"lr": model.grid["lr"][:1], "weight_decay": model.grid["weight_decay"][:1], "batch": model.grid["batch"]}
        factor = len(points) / 2 * steps / LOOP_STEPS
    else:
        few = {name: values[:LOOP_POINTS] for name, values in model.grid.items()}
        few = {name: values[: 1 if name == "beta" else None] for name, values in few.items()}
        factor = len(points) / len(list(grid_points(few)))
    return factor * seconds(lambda: FewShotClassifier._search(model, *data, few))[0]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--threads", type=int, default=2)
    torch.set_num_threads(parser.parse_args().threads)
    texts, *rest = embeddings()
    data = tuple(rest)
    print(
        f"{'':22}{'points':>8}{'search s':>10}{'goal s':>8}{'with fit s':>12}{'plain loop s':>14}{'times':>8}{'val':>7}"
    )
    for method in (TipAdapter, TipAdapterF, GaussianDiscriminant, LinearProbePlusPlus, CrossModalProbe):
        model = method(texts)
        model.set_params(**{name: 2 for name in ("steps", "epochs") if name in model.get_params()}).fit(*data[:2])
        model = method(texts)
        alone, trials = seconds(lambda model=model: model._search(*data, model.grid))
        whole, found = seconds(lambda model=model: search(model, *data)) if alone < 5 else (None, None)
        if whole is None:  # long searches are not run twice: the final fit is added
            best = max(trials, key=lambda trial: trial[1])
            whole = alone + seconds(lambda best=best, model=model: model.set_params(**best[0]).fit(*data[:2]))[0]
        accuracy = found.accuracy if found else best[1]
        loop = plain_loop(method(texts), data)
        times = f"{loop:14.1f}{loop / alone:8.0f}" if loop else f"{'–':>14}{'–':>8}"
        goal = f"{GOALS[method.__name__]:8.1f}" if method.__name__ in GOALS else f"{'–':>8}"
        print(f"{method.__name__:22}{len(trials):8}{alone:10.2f}{goal}{whole:12.2f}{times}{accuracy:7.2f}", flush=True)


if __name__ == "__main__":
    main()
