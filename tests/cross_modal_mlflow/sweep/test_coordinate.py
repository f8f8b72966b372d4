"""A whole sweep whose study lives in PostgreSQL: nothing of its password is seen anywhere."""

import sqlite3
from pathlib import Path

import optuna
import pytest
from toys.shapes_on_disk import write_shapes

from cross_modal_mlflow.command_line import main
from cross_modal_mlflow.sweep.storage import open_storage


@pytest.mark.slow
def test_a_study_in_postgresql_is_swept_and_its_password_is_seen_nowhere(
    workplace: Path, database: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    write_shapes(workplace)
    monkeypatch.setenv("CROSS_MODAL_STORAGE", database)
    words = ["--losses", "CircleLoss", "--miners", "none", "--trials", "4", "--workers", "2", "--study", "far"]
    assert main(["sweep", "--config", "shapes.yaml", *words, "--json", "report.json"]) == 0
    out, err = capfd.readouterr()
    study = optuna.load_study(study_name="far", storage=open_storage(database))
    assert [trial.state.is_finished() for trial in study.trials] == [True] * 4
    logs = "".join(path.read_text() for path in (workplace / "mlruns" / "sweeps" / "far").glob("*.log"))
    kept = "".join(sqlite3.connect(workplace / "mlruns" / "mlflow.db").iterdump())
    for where in (out, err, logs, kept, (workplace / "report.json").read_text()):
        assert "pass:word" not in where
        assert "pass%3Aword" not in where
    assert "sweeper:***@" in out
