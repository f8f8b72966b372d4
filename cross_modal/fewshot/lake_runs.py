"""Lake's fixed one-shot runs: 20 runs of 20-way one-shot classification within one alphabet.

A table with the columns `run`, `test_image`, `support_image`: each row is one trial, with its test image and its true
support; the supports of a run are the run's candidates. Nothing is drawn, so results compare with the human and
machine figures of the paper (which gives the error, here is the accuracy).

Source: Lake, Salakhutdinov, Tenenbaum 2015, "Human-level concept learning through probabilistic program induction".
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from cross_modal.errors import CrossModalError
from cross_modal.fewshot.intervals import mean_and_interval
from cross_modal.fewshot.scoring import Metric, check_embeddings, compare, credit, place


@dataclass(frozen=True)
class LakeRuns:
    """The trials.

    Attributes:
        run: (T,) str name of each trial's run.
        test: (T,) str name of its test image.
        support: (T,) str name of its true support image.
    """

    run: np.ndarray
    test: np.ndarray
    support: np.ndarray

    @property
    def images(self) -> list[str]:
        """The distinct images that must be embedded, sorted."""
        return sorted({*self.test.tolist(), *self.support.tolist()})


@dataclass(frozen=True)
class LakeResult:
    """The outcome.

    Attributes:
        accuracy: Mean over runs, a fraction.
        interval: Half-width of its 95 % interval over runs (NaN for one run).
        of_run: Run → accuracy.
    """

    accuracy: float
    interval: float
    of_run: dict[str, float]


def read_lake_runs(
    path: Path | str, test_column: str = "test_image", support_column: str = "support_image"
) -> LakeRuns:
    """Reads the table.

    Args:
        path: A CSV file.
        test_column: Column of the test image.
        support_column: Column of the true support image.

    Returns:
        The trials.

    Raises:
        CrossModalError: A column is missing, a cell is empty, or a run names a support twice.
    """
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    names = ["run", test_column, support_column]
    missing = [name for name in names if name not in table.columns]
    if missing:
        raise CrossModalError(f"{path}: expected the columns {', '.join(names)}, found {', '.join(table.columns)}")
    for name in names:
        empty = np.flatnonzero((table[name] == "").to_numpy())
        if len(empty):
            raise CrossModalError(f"{path} row {empty[0] + 2}: {name} is empty, expected a name")
    if not len(table):
        raise CrossModalError(f"{path}: expected at least one trial, found none")
    return LakeRuns(*(table[name].to_numpy(object) for name in names))


def score_lake_runs(embeddings: np.ndarray, names: list[str], runs: LakeRuns, metric: Metric = "cosine") -> LakeResult:
    """Classifies each test image by the nearest support of its run; ties earn the chance of a fair guess.

    Args:
        embeddings: (M, dim) image embeddings.
        names: (M,) their image names, as in the table.
        runs: The trials.
        metric: "cosine" or "euclidean".

    Returns:
        Accuracy, interval over runs, and the accuracy of each run.

    Raises:
        CrossModalError: An image of the table has no embedding, or a run has one support only.
    """
    values = check_embeddings("image embeddings", embeddings)
    if len(names) != len(values):
        raise CrossModalError(f"Lake's runs: {len(values)} embeddings but {len(names)} names")
    row = {name: number for number, name in enumerate(names)}
    missing = [name for name in runs.images if name not in row]
    if missing:
        raise CrossModalError(
            f"Lake's runs: {missing[0]} has no embedding ({len(missing)} of {len(runs.images)} images)"
        )
    placed = torch.from_numpy(place(values, metric))
    of_run: dict[str, float] = {}
    for run in dict.fromkeys(runs.run.tolist()):
        trials = runs.run == run
        # Two trials may share a support; a candidate counts once.
        supports, truth = np.unique(runs.support[trials].astype(str), return_inverse=True)
        if len(supports) < 2:
            raise CrossModalError(f"Lake's runs: run {run} has {len(supports)} support, expected at least 2")
        tests = placed[[row[name] for name in runs.test[trials]]]
        scores = compare(tests, placed[[row[name] for name in supports]], metric)
        of_run[str(run)] = float(credit(scores.unsqueeze(0), torch.from_numpy(truth)).mean())
    accuracy, interval = mean_and_interval(np.array(list(of_run.values())))
    return LakeResult(accuracy, interval, of_run)
