import subprocess
import sys
from pathlib import Path

import pytest

from cross_modal.errors import CrossModalError
from cross_modal_mlflow.store import open_store, tracking_uri


def test_the_default_is_a_file_in_mlruns(workplace: Path) -> None:
    assert tracking_uri() == f"sqlite:///{workplace}/mlruns/mlflow.db"
    store = open_store()
    experiment = store.client.get_experiment(store.experiment_id)
    assert experiment.name == "cross-modal"
    assert experiment.artifact_location == f"file://{workplace}/mlruns/artifacts"
    assert open_store().experiment_id == store.experiment_id


def test_a_set_uri_wins(workplace: Path, monkeypatch: pytest.MonkeyPatch, empty_database: Path) -> None:
    elsewhere = workplace / "elsewhere" / "runs.db"
    elsewhere.parent.mkdir()
    elsewhere.write_bytes(empty_database.read_bytes())
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{elsewhere}")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "mine")
    store = open_store()
    assert store.uri == f"sqlite:///{elsewhere}"
    experiment = store.client.get_experiment(store.experiment_id)
    assert experiment.name == "mine"
    assert experiment.artifact_location == f"file://{elsewhere.parent}/artifacts"
    assert store.show[0] == f"export MLFLOW_TRACKING_URI=sqlite:///{elsewhere}"
    assert store.show[1].startswith(f"mlflow server --backend-store-uri sqlite:///{elsewhere}")


@pytest.mark.parametrize(
    "uri", ["http://127.0.0.1:9", "sqlite:////proc/none/mlflow.db", "file:///tmp/store", "postgresql://127.0.0.1:9/x"]
)
def test_a_store_that_does_not_answer_is_one_line(uri: str, workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    with pytest.raises(CrossModalError) as caught:
        open_store()
    assert str(caught.value).startswith(f"tracking store {uri}: ")
    assert len(str(caught.value).splitlines()) == 1


def test_mlflow_opens_our_experiment_on_training_runs(workplace: Path) -> None:
    store = open_store()
    tags = store.client.get_experiment(store.experiment_id).tags
    assert tags["mlflow.experimentKind"] == "custom_model_development"


def test_a_deleted_experiment_is_said(workplace: Path) -> None:
    store = open_store()
    store.client.delete_experiment(store.experiment_id)
    with pytest.raises(CrossModalError, match="deleted"):
        open_store()


def test_a_missing_driver_is_named(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"mssql+nodriver://127.0.0.1:{server.getsockname()[1]}/x")
        with pytest.raises(CrossModalError, match="tracking store mssql"):
            open_store()


@pytest.mark.slow
def test_concurrent_first_starts_survive(tmp_path: Path) -> None:
    code = "from cross_modal_mlflow.store import open_store; print(open_store().experiment_id)"
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    starts = [
        subprocess.Popen(
            [sys.executable, "-c", code],
            cwd=tmp_path,
            env=environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for _ in range(3)
    ]
    answers = [start.communicate(timeout=300) for start in starts]
    assert {out for out, _ in answers} == {"1\n"}, answers
    assert {errors for _, errors in answers} == {""}
