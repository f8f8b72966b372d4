import contextlib
import json
import os
from pathlib import Path

import pytest

from cross_modal.errors import CrossModalError
from cross_modal_mlflow.run_context import VARIABLE
from cross_modal_mlflow.store import Store, open_store
from cross_modal_mlflow.sweep.sweep_run import parent_run


@pytest.fixture
def store(workplace: Path) -> Store:
    return open_store()


@pytest.mark.parametrize(
    ("error", "status"), [(None, "FINISHED"), (CrossModalError("no trial"), "FAILED"), (KeyboardInterrupt(), "KILLED")]
)
def test_the_parent_says_how_the_sweep_ended(store: Store, error: BaseException | None, status: str) -> None:
    with contextlib.suppress(CrossModalError, KeyboardInterrupt), parent_run(store, "birds", "sweeps.journal") as run:
        if error is not None:
            raise error
    logged = store.client.get_run(run.run_id)
    assert (logged.info.status, logged.info.run_name) == (status, "sweep birds")
    wanted = {"optuna.study": "birds", "optuna.storage": "sweeps.journal", "cross_modal.command": "sweep"}
    assert wanted.items() <= logged.data.tags.items()


def test_workers_inherit_what_the_sweep_is_about(store: Store) -> None:
    with parent_run(store, "birds", "sweeps.journal", about={"trunk": "conv4"}) as run:
        assert json.loads(os.environ[VARIABLE])["cross_modal.trunk"] == "conv4"
    assert store.client.get_run(run.run_id).data.tags["cross_modal.trunk"] == "conv4"
    assert VARIABLE not in os.environ


def test_a_resumed_sweep_goes_on_with_its_run(store: Store) -> None:
    with contextlib.suppress(CrossModalError), parent_run(store, "birds", "sweeps.journal") as first:
        first.parameters({"trials": 3})
        raise CrossModalError("worker 1 ended with code 1")
    assert "cross_modal.error" in store.client.get_run(first.run_id).data.tags
    with parent_run(store, "birds", "elsewhere.journal", run_id=first.run_id) as again:
        assert again.run_id == first.run_id
        assert store.client.get_run(again.run_id).info.status == "RUNNING"
        again.metrics({"best": 1.0})
    logged = store.client.get_run(first.run_id)
    assert (logged.info.status, logged.data.metrics, logged.data.params) == ("FINISHED", {"best": 1.0}, {"trials": "3"})
    assert "cross_modal.error" not in logged.data.tags
    assert logged.data.tags["optuna.storage"] == "elsewhere.journal"  # the file may have moved


@pytest.mark.parametrize("deleted", [True, False])
def test_a_lost_run_is_named(store: Store, deleted: bool) -> None:
    run_id = "0" * 32
    if deleted:
        with parent_run(store, "birds", "sweeps.journal") as run:
            run_id = run.run_id
        store.client.delete_run(run_id)
    found = "deleted" if deleted else "none of that id"
    with (
        pytest.raises(CrossModalError, match=f"study birds: expected its run {run_id} .*, found {found}"),
        parent_run(store, "birds", "sweeps.journal", run_id=run_id),
    ):
        pass
