"""Parallel efficiency: the same trials by two workers on two cores, and by one worker with one thread.

Every worker has one thread. The trials are those of a random sampler without pruning, so that both runs do the same
amount of work; the efficiency is (time of one worker) / (2 × time of two workers), from the first trial's start to the
last one's end, and with each worker's start-up included.

    python tests/benchmarks/sweep_workers.py           # some six minutes
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

TRIALS, STEPS = 8, 30
GOAL = 0.8


def seconds(folder: Path, workers: int) -> tuple[float, float]:
    """Runs the sweep; returns seconds between first start and last end of its trials, and of the phase "trials"."""
    name = f"workers-{workers}"
    words = [
        "--trials",
        str(TRIALS),
        "--study",
        name,
        "--sampler",
        "random",
        "--pruner",
        "none",
        "--losses",
        "SupConLoss",
    ]
    words += ["--miners", "none", "--training.steps", str(STEPS), "--training.validate-every", str(STEPS)]
    words += [
        "--training.warm-up",
        "5",
        "--storage",
        "sweep.journal",
        "--workers",
        str(workers),
        "--json",
        "report.json",
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    subprocess.run(
        [sys.executable, "-m", "cross_modal_mlflow", "sweep", *words], cwd=folder, env=environment, check=True
    )
    study = optuna.load_study(
        study_name=name, storage=JournalStorage(JournalFileBackend(str(folder / "sweep.journal")))
    )
    starts = [trial.datetime_start for trial in study.trials if trial.datetime_start]
    ends = [trial.datetime_complete for trial in study.trials if trial.datetime_complete]
    whole = json.loads((folder / "report.json").read_text())["seconds"]["trials"]
    return (max(ends) - min(starts)).total_seconds(), whole


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        alone, alone_whole = seconds(Path(name), 1)
        two, two_whole = seconds(Path(name), 2)
    print(f"{TRIALS} trials of {STEPS} steps: one worker {alone:.1f} s, two workers {two:.1f} s, one thread each")
    print(f"parallel efficiency {alone / (2 * two):.2f} (goal: at least {GOAL})")
    print(
        f"with the workers' start-up: {alone_whole / (2 * two_whole):.2f} ({alone_whole:.1f} s and {two_whole:.1f} s)"
    )


if __name__ == "__main__":
    main()
