"""Seconds that a sweep and MLflow add to a trial that reports five values; the goal is at most 0.1 s.

    python tests/benchmarks/sweep_overhead.py          # some ten seconds

One worker runs a study of trials that do nothing but draw four settings and report, as `cross-modal sweep` runs them:
asked for under the lock, with a lease, sampled by TPE, each an MLflow run; the study in a journal, the runs in SQLite.
The same objective is called bare in the same process. MLflow's part of the difference is timed in its client's calls.
"""

from __future__ import annotations

import dataclasses
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from typing import Any, cast

import optuna
from mlflow import MlflowClient

from cross_modal import __version__
from cross_modal.configuration import Experiment
from cross_modal_mlflow.store import open_store, quiet
from cross_modal_mlflow.sweep.settings import StudySettings
from cross_modal_mlflow.sweep.storage import open_storage
from cross_modal_mlflow.sweep.study import create_study
from cross_modal_mlflow.sweep.sweep_run import parent_run
from cross_modal_mlflow.sweep.trial_run import TrialRun
from cross_modal_mlflow.sweep.worker import Worker

TRIALS, REPORTS = 50, 5
GOAL = 0.1


class Nothing:
    """An objective that only draws and reports."""

    def __call__(self, trial: optuna.Trial, run: TrialRun) -> Sequence[float]:
        drawn = {name: trial.suggest_float(name, 0.0, 1.0) for name in ("margin", "scale", "rate", "queries")}
        run.parameters({"objective": drawn, "training": {f"setting_{number}": number for number in range(8)}})
        for step in range(REPORTS):
            trial.report(drawn["margin"], step)
            run.report(drawn["margin"], step)
            trial.should_prune()
        run.metrics({f"validation/measure_{number}": drawn["margin"] for number in range(10)})
        return [drawn["margin"]]

    def keep(self, trial: optuna.Trial, run: TrialRun, values: Sequence[float]) -> None:
        """Nothing."""


class Silent(optuna.trial.FixedTrial):
    """A trial without a study, and a run without a store."""

    def parameters(self, values: object) -> None: ...

    def metrics(self, values: object) -> None: ...


class Timed:
    """A client of MLflow's that adds up the seconds of its calls."""

    def __init__(self, client: MlflowClient) -> None:
        self._client, self.seconds = client, 0.0

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._client, name)
        return self._timed(found) if callable(found) else found

    def _timed(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*arguments: Any, **named: Any) -> Any:
            start = time.perf_counter()
            try:
                return call(*arguments, **named)
            finally:
                self.seconds += time.perf_counter() - start

        return timed


def main() -> None:
    quiet()
    start = time.perf_counter()
    for _ in range(TRIALS):
        silent = Silent(dict.fromkeys(("margin", "scale", "rate", "queries"), 0.5))
        Nothing()(cast(optuna.Trial, silent), cast(TrialRun, silent))
    bare = (time.perf_counter() - start) / TRIALS
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        store, storage = open_store(), open_storage(None)
        with parent_run(store, "overhead", "journal") as run:
            settings = StudySettings(
                kind="training", experiment=dataclasses.asdict(Experiment()), space={}, targets=["score"],
                sampler="tpe", sampler_seed=0, pruner="median", trials=TRIALS, digest="", tracking_uri=store.uri,
                experiment_id=store.experiment_id, run_id=run.run_id, version=__version__,
            )  # fmt: skip
            study, client = create_study(storage, "overhead", settings), Timed(store.client)
            settings.keep(study)
            start, processor = time.perf_counter(), time.process_time()
            done = Worker(study, storage, Nothing(), cast(MlflowClient, client)).work()
            whole = (time.perf_counter() - start) / done
            processor = (time.process_time() - processor) / done  # of it; far less where others use the cores
        os.chdir("/")
    tracking = client.seconds / done
    print(
        f"sweep + MLflow add {whole - bare:.3f} s to a trial of {REPORTS} reported values (goal: at most {GOAL}): "
        f"MLflow {tracking:.3f}, study {whole - bare - tracking:.3f}; "
        f"processor time {processor:.3f}, bare {bare:.4f} s; {done} trials"
    )


if __name__ == "__main__":
    main()
