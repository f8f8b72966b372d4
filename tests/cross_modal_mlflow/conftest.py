"""A tracking store that is made once and copied: MLflow's migrations take seconds."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

TINY = """\
twin:
  width: 32
  image: {widths: [8, 8, 8], pools: 3}
  text: {width: 32, layers: 1, heads: 2}
batch: {classes: 16}
training: {steps: 3, validate_every: 2, warm_up: 1, log_every: 2}
evaluation: {episodes: 20}
"""
MLFLOW = ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME", "MLFLOW_EXPERIMENT_ID", "MLFLOW_RUN_ID")


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file without our experiment."""
    from mlflow import MlflowClient

    path = tmp_path_factory.mktemp("database") / "mlflow.db"
    MlflowClient(tracking_uri=f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, empty_database: Path) -> Iterator[Path]:
    """An empty working directory with the default store in place and no MLflow variables set."""
    with pytest.MonkeyPatch.context():
        for name in MLFLOW:
            monkeypatch.delenv(name, raising=False)
        monkeypatch.chdir(tmp_path)
        (tmp_path / "mlruns").mkdir()
        shutil.copy(empty_database, tmp_path / "mlruns" / "mlflow.db")
        yield tmp_path


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, empty_database: Path) -> Iterator[Path]:
    """A working directory in which a tiny demo has run; the module's tests share it. Its report is in report.json."""
    from cross_modal_mlflow.command_line import main

    folder = tmp_path_factory.mktemp("trained")
    (folder / "mlruns").mkdir()
    shutil.copy(empty_database, folder / "mlruns" / "mlflow.db")
    (folder / "tiny.yaml").write_text(TINY)
    before = Path.cwd()
    variables = {name: os.environ.pop(name) for name in MLFLOW if name in os.environ}
    os.chdir(folder)
    try:
        assert main(["demo", "--config", "tiny.yaml", "--json", "report.json"]) == 0
        yield folder
    finally:
        os.chdir(before)
        os.environ.update(variables)
