"""A worker of a sweep whose trials do nothing but take their time.

``python toy_worker.py STORAGE STUDY LIMIT SECONDS [HANGS]``: with HANGS, it never ends its so many-th trial.
"""

import sys
import time

import optuna
from optuna.trial import TrialState

from cross_modal.errors import CrossModalError
from cross_modal_mlflow.sweep.leases import Lease, Reaper
from cross_modal_mlflow.sweep.settings import StudySettings
from cross_modal_mlflow.sweep.storage import open_storage
from cross_modal_mlflow.sweep.study import Wait, create_study, load_study, take_trial, tell_trial

SETTINGS = StudySettings(
    kind="training", experiment={}, space={}, targets=["score"], sampler="random", sampler_seed=0, pruner="none",
    trials=0, digest="", tracking_uri="", experiment_id="", run_id="", version="",
)  # fmt: skip
HANGS = "hangs"  # what the trial that never ends says of itself


def join(storage: str, name: str) -> tuple[optuna.Study, optuna.storages.BaseStorage]:
    """The study, made by whoever comes first."""
    opened = open_storage(storage)
    try:
        return create_study(opened, name, SETTINGS), opened
    except CrossModalError:
        return load_study(opened, name), opened


def main(storage: str, name: str, limit: int, seconds: float, hangs: int = 0) -> None:
    study, opened = join(storage, name)
    reaper, done = Reaper(study, opened, grace=20.0), 0
    while True:
        reaper.reap()
        taken = take_trial(study, opened, limit)
        if taken is None:
            return
        if isinstance(taken, Wait):
            time.sleep(0.05)
            continue
        done += 1
        with Lease(study, taken, 0.5):
            x = taken.suggest_float("x", 0, 1)
            taken.set_user_attr("mlflow_run_id", taken.user_attrs.get("mlflow_run_id", f"run-{taken.number}"))
            if done == hangs:
                taken.set_user_attr(HANGS, True)
                time.sleep(600)
            time.sleep(seconds * (0.2 + x))
        assert tell_trial(study, taken, [x], TrialState.COMPLETE) is not None


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4]), *map(int, sys.argv[5:]))
