"""The run of a whole study: the parent of its trials' runs, started once and taken up again by every resumed sweep."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from cross_modal.errors import CrossModalError
from cross_modal_mlflow.tracking import TrackedRun, tracked_run

if TYPE_CHECKING:
    from cross_modal_mlflow.store import Store


@contextmanager
def parent_run(
    store: Store, study: str, storage: str, *, run_id: str | None = None, about: Mapping[str, str] | None = None
) -> Iterator[TrackedRun]:
    """Starts the run of a study, or attaches to it again; ends it FINISHED, FAILED, or KILLED by Ctrl-C.

    Args:
        store: The tracking store, which has answered.
        study: The study's name.
        storage: Its storage, for people: without a password.
        run_id: The run of a study that goes on; None starts one.
        about: Tags of this run and of every run that is started inside it.

    Yields:
        The run.

    Raises:
        CrossModalError: If the store has no such run any more.
    """
    if run_id is not None:
        _refuse_lost(store, study, run_id)
    tags = {"optuna.study": study, "optuna.storage": storage}
    with tracked_run("sweep", store, name=f"sweep {study}"[:80], about=about, run_id=run_id, tags=tags) as run:
        yield run


def _refuse_lost(store: Store, study: str, run_id: str) -> None:
    from mlflow.exceptions import MlflowException

    try:
        stage = store.client.get_run(run_id).info.lifecycle_stage
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        stage = "none of that id"
    if stage != "active":
        raise CrossModalError(
            f"study {study}: expected its run {run_id} in the tracking store {store.uri}, found {stage} "
            "(MLFLOW_TRACKING_URI takes another store; `mlflow runs restore` brings a deleted run back)"
        )
