"""Optuna's own tools work on a sweep's storage: its dashboard serves the study, `load_study` reads it."""

import json
from pathlib import Path
from typing import Any
from wsgiref.util import setup_testing_defaults

import optuna
import pytest
from toys.sweep_studies import training_study

from cross_modal_mlflow.sweep.storage import open_storage


@pytest.fixture
def journal(tmp_path: Path) -> str:
    path = str(tmp_path / "sweeps.journal")
    training_study(12, storage=open_storage(path), name="birds")
    return path


def answer(app: Any, path: str) -> Any:
    """What a GET request is answered with."""
    said: list[str] = []
    environment: dict[str, Any] = {"PATH_INFO": path, "REQUEST_METHOD": "GET"}
    setup_testing_defaults(environment)
    body = b"".join(app(environment, lambda status, headers, error=None: said.append(status)))
    assert said == ["200 OK"]
    return json.loads(body)


def test_optuna_dashboard_shows_the_study_and_its_trials(journal: str) -> None:
    dashboard = pytest.importorskip("optuna_dashboard", reason="optuna-dashboard is not installed")
    app = dashboard.wsgi(open_storage(journal))
    (summary,) = answer(app, "/api/studies")["study_summaries"]
    assert (summary["study_name"], summary["directions"]) == ("birds", ["maximize"])
    study = answer(app, f"/api/studies/{summary['study_id']}")
    assert [trial["number"] for trial in study["trials"]] == list(range(12))
    assert {trial["state"] for trial in study["trials"]} == {"Complete", "Pruned", "Fail"}
    names = {parameter["name"] for parameter in study["trials"][0]["params"]}
    assert {"objective.loss", "training.learning_rate"} <= names
    assert study["has_intermediate_values"]


def test_load_study_reads_it_without_this_package(journal: str) -> None:
    storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(journal))
    study = optuna.load_study(study_name="birds", storage=storage)
    assert len(study.trials) == 12
    assert study.best_trial.params["objective.loss"]
