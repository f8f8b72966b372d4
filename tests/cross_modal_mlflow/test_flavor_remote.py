"""A twin goes to a tracking server that keeps the artifacts itself, and comes back over HTTP; processes may be many."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest

from cross_modal_mlflow.models import model_folder
from cross_modal_mlflow.store import open_store

LOG = """
import sys
sys.path.insert(0, sys.argv[1])
from cross_modal_mlflow.flavor import load_model, log_model
from cross_modal_mlflow.store import open_store
from cross_modal_mlflow.tracking import tracked_run
from toys.tiny_twin import tiny_twin
store = open_store()
with tracked_run("train", store) as run:
    info = log_model(tiny_twin(), registered_model_name="glyphs")
    after = load_model(info.model_uri)
print(run.run_id)
"""
TESTS = str(Path(__file__).parents[1])


def log(folder: Path, uri: str | None) -> subprocess.Popen[str]:
    """A process that logs, registers and loads a twin."""
    variables = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}
    variables |= {} if uri is None else {"MLFLOW_TRACKING_URI": uri}
    command = [sys.executable, "-c", LOG, TESTS]
    return subprocess.Popen(
        command, cwd=folder, env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory, empty_database: Path) -> Iterator[str]:
    """A tracking server with artifacts of its own, in a folder that the client never sees."""
    folder = tmp_path_factory.mktemp("server")
    shutil.copy(empty_database, folder / "mlflow.db")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    store = ["--backend-store-uri", "sqlite:///mlflow.db", "--artifacts-destination", "kept"]
    command = [sys.executable, "-m", "mlflow", "server", *store, "--port", str(port), "--workers", "1"]
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(command, cwd=folder, stdout=quiet, stderr=quiet, start_new_session=True)
    try:
        for _ in range(120):
            try:
                urlopen(f"http://127.0.0.1:{port}/health", timeout=1).close()
                break
            except OSError:
                time.sleep(0.5)
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, signal.SIGTERM)  # its workers too
        process.wait(timeout=30)


@pytest.mark.slow
def test_a_remote_store_keeps_the_model(server: str, workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    process = log(workplace, server)
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    run_id = out.split()[-1]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
    store = open_store()
    (output,) = store.client.get_run(run_id).outputs.model_outputs
    assert store.client.get_logged_model(output.model_id).artifact_location.startswith("mlflow-artifacts:")
    assert not list(workplace.rglob("*.safetensors"))  # all of it went over HTTP
    for reference in (f"runs:/{run_id}/model", "models:/glyphs/1", f"models:/{output.model_id}"):
        found = model_folder(reference, open_store)
        assert {path.name for path in found.iterdir()} == {"model.safetensors", "twin.json"}


@pytest.mark.slow
def test_two_processes_log_to_a_fresh_store(tmp_path: Path) -> None:
    processes = [log(tmp_path, None) for _ in range(2)]
    ended = [process.communicate(timeout=300) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], [err for _, err in ended]
    runs = {out.split()[-1] for out, _ in ended}
    assert len(runs) == 2
    models = list((tmp_path / "mlruns" / "artifacts" / "models").glob("*/artifacts/twin/model.safetensors"))
    assert len(models) == 2
