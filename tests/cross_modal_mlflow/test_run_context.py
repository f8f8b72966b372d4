import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path

import mlflow
import pytest

from cross_modal_mlflow.run_context import VARIABLE, CrossModalContext, announced
from cross_modal_mlflow.store import open_store
from cross_modal_mlflow.tracking import tracked_run


def test_outside_our_runs_it_says_nothing(workplace: Path) -> None:
    store = open_store()
    mlflow.set_tracking_uri(store.uri)
    try:
        with mlflow.start_run(experiment_id=store.experiment_id) as somebody:
            assert not CrossModalContext().in_context()
    finally:
        mlflow.set_tracking_uri(None)  # type: ignore[arg-type]
        os.environ.pop("MLFLOW_TRACKING_URI", None)
    tags = store.client.get_run(somebody.info.run_id).data.tags
    assert not [name for name in tags if name.startswith("cross_modal")]


def test_our_runs_and_the_runs_inside_them_carry_the_tags(workplace: Path) -> None:
    from cross_modal import __version__

    store = open_store()
    with (
        tracked_run("train", store, about={"trunk": "conv4", "ways": "5 20"}) as run,
        mlflow.start_run(nested=True, experiment_id=store.experiment_id) as child,
    ):
        pass
    for run_id in (run.run_id, child.info.run_id):
        tags = store.client.get_run(run_id).data.tags
        assert tags["cross_modal.trunk"] == "conv4"
        assert tags["cross_modal.ways"] == "5 20"
        assert tags["cross_modal.version"] == __version__
    assert VARIABLE not in os.environ


def test_announcements_nest_and_end_with_an_exception() -> None:
    with announced({"ways": "5"}):
        with contextlib.suppress(ValueError), announced({"ways": "20"}):
            assert CrossModalContext().tags() == {"cross_modal.ways": "20"}
            raise ValueError
        assert CrossModalContext().tags() == {"cross_modal.ways": "5"}
    assert not CrossModalContext().in_context()


@pytest.mark.parametrize("said", ["{", "[1]", "3", "", "null"])
def test_nonsense_in_the_variable_is_no_tag(said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, said)
    assert CrossModalContext().tags() == {}


def test_only_our_own_tags_can_be_announced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, json.dumps({"mlflow.user": "mallory", "cross_modal.ways": 5}))
    assert CrossModalContext().tags() == {"cross_modal.ways": "5"}


@pytest.mark.parametrize("first", ["mlflow", "cross_modal_mlflow.run_context, mlflow"])
def test_mlflow_finds_it_whatever_is_imported_first(first: str) -> None:
    code = (
        f"import sys, {first}\n"
        "from mlflow.tracking.context.registry import _run_context_provider_registry as known\n"
        "print([type(each).__name__ for each in known if type(each).__module__.startswith('cross_modal')])\n"
        "print([name for name in ('torch', 'cross_modal', 'optuna') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error:Failure attempting", "-c", code], capture_output=True, text=True
    )
    assert done.stdout.splitlines() == ["['CrossModalContext']", "[]"], done.stderr
