"""Joining a study: the storage, the study with this worker's own sampler, the data, the objective, then trials."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

from cross_modal_mlflow.phases import working
from cross_modal_mlflow.store import Store, impatient, knock, quiet
from cross_modal_mlflow.sweep.objective import build_objective, read_study_items
from cross_modal_mlflow.sweep.settings import StudySettings
from cross_modal_mlflow.sweep.storage import open_storage
from cross_modal_mlflow.sweep.study import load_study
from cross_modal_mlflow.sweep.worker import Worker
from cross_modal_mlflow.tracking import tracking_for

if TYPE_CHECKING:
    from rich.console import Console


def join(
    name: str,
    storage: str | None,
    *,
    console: Console,
    data: str | None = None,
    trials: int = 0,
    threads: int = 0,
    number: int = 0,
) -> int:
    """Runs trials of a study that was started elsewhere.

    Args:
        name: The study.
        storage: Where it lives; None takes the default file.
        console: Where progress goes.
        data: Where the data is on this machine, if elsewhere.
        trials: Leave after so many; 0 stays until the study has all of its own.
        threads: Threads of torch; 0 takes its default.
        number: Which worker this is: its sampler's seed counts on from the study's. 0 takes the process's number.

    Returns:
        How many trials were done.

    Raises:
        CrossModalError: If there is no such study, its data is another, or the tracking store does not answer.
    """
    if threads:
        import torch

        torch.set_num_threads(threads)
    opened = open_storage(storage)
    settings = StudySettings.of(load_study(opened, name))
    before = len(load_study(opened, name).trials)  # a worker of a resumed study draws anew
    study = load_study(opened, name, settings, seed=settings.sampler_seed + (number or os.getpid()) + 1000 * before)
    store = store_of(settings)
    with working(console, f"reading {data or settings.experiment['data']}"):
        items = read_study_items(settings, data)

    def said(trial: object) -> None:
        console.print(f"trial {trial.number}: {trial.state.name.lower()}", highlight=False)  # type: ignore[attr-defined]

    stop = threading.Event()
    if number:
        threading.Thread(target=_watch_parent, args=(stop,), name="parent-watch", daemon=True).start()
    with tracking_for(store.uri):  # a model of a study of heads is looked for there too
        objective = build_objective(settings, study, items)
        return Worker(study, opened, objective, store.client, stop=stop, most=trials).work(said)


def _watch_parent(stop: threading.Event) -> None:
    """Lets a worker that a sweep has started leave after its trial when the sweep is gone, killed without a word."""
    parent = os.getppid()
    while os.getppid() == parent:
        if stop.wait(5.0):
            return
    stop.set()


def store_of(settings: StudySettings) -> Store:
    """The tracking store of a study: ``MLFLOW_TRACKING_URI`` wins, as a machine may reach it by another name."""
    from mlflow import MlflowClient

    uri = os.environ.get("MLFLOW_TRACKING_URI") or settings.tracking_uri
    quiet()
    with impatient():
        knock(uri)
        client = MlflowClient(tracking_uri=uri)
        client.get_experiment(settings.experiment_id)
    return Store(uri, settings.experiment_id, client)
