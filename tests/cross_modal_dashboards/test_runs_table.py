"""Runs as tables: what is listed, what is drawn together, and what a study says."""

import math
from pathlib import Path

import optuna
import pandas as pd
import pytest
from toys.sweep_studies import training_study

from cross_modal.errors import CrossModalError
from cross_modal_dashboards.catalogue import Catalogue, RunFacts
from cross_modal_dashboards.runs_table import curve_groups, curves, runs_frame, study_frames, study_of, trials_frame
from cross_modal_mlflow.store import open_store
from cross_modal_mlflow.sweep.importance import importances
from cross_modal_mlflow.sweep.storage import open_storage
from cross_modal_mlflow.sweep.trial_facts import targets_of
from cross_modal_mlflow.tracking import tracked_run


def facts(name: str, metrics: dict[str, float], **more: object) -> RunFacts:
    return RunFacts(name * 4, name, "train", "FINISHED", 1_700_000_000_000, "glyphs", metrics, **more)  # type: ignore[arg-type]


def test_runs_keep_their_order_and_show_the_metrics_that_any_of_them_has() -> None:
    found = runs_frame([facts("b", {"verification/eer": 0.2}), facts("a", {"validation/score": 0.7, "x": 1.0})])
    assert found["name"].tolist() == ["b", "a"]
    assert found.columns[6:].tolist() == ["validation/score", "verification/eer"]
    assert math.isnan(found["validation/score"][0])
    assert found["validation/score"][1] == 0.7
    assert found["started"][0] == pd.Timestamp("2023-11-14 22:13:20", tz="UTC")


def test_no_runs_are_an_empty_table_with_its_columns() -> None:
    assert runs_frame([]).columns.tolist() == ["run_id", "name", "command", "data", "status", "started"]


def test_metrics_of_one_scale_are_drawn_together_and_others_not_at_all() -> None:
    names = ["train/loss", "train/image_to_text", "train/learning_rate", "validation/score", "health/effective_rank",
             "health/text_gradient_norm", "health/spread", "seconds/setup"]  # fmt: skip
    assert curve_groups(dict.fromkeys(names, 0.0)) == {
        "loss": ["train/loss", "train/image_to_text"],
        "validation": ["validation/score"],
        "health: effective rank": ["health/effective_rank"],
        "health: gradients": ["health/text_gradient_norm"],
        "health: spread and gap": ["health/spread"],
    }


@pytest.fixture
def catalogue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Catalogue:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    return Catalogue()


def test_curves_are_what_was_logged_without_what_is_no_number(catalogue: Catalogue) -> None:
    with tracked_run("train", open_store(), name="one") as run:
        for step, value in ((1, 3.0), (2, math.nan), (3, 1.0)):
            run.metrics({"train/loss": value}, step=step)
    found = curves(catalogue, run.run_id, ["train/loss"])
    assert found.to_numpy().tolist() == [["train/loss", 1, 3.0], ["train/loss", 3, 1.0]]


def test_trials_come_best_first_with_what_differs() -> None:
    found = trials_frame(
        [
            facts("one", {"optuna/value": 0.5}, parameters={"margin": "0.1", "seed": "0"}),
            facts("two", {}, parameters={"seed": "0"}),
            facts("three", {"optuna/value": 0.9}, parameters={"margin": "0.3", "seed": "0"}),
        ]
    )
    assert found["trial"].tolist() == ["three", "one", "two"]
    assert found["margin"].tolist() == ["0.3", "0.1", ""]
    assert "seed" not in found.columns


def test_a_study_says_its_best_so_far_its_margins_and_what_decides() -> None:
    study = training_study()
    found = study_frames(study)
    best, by_hand = -math.inf, []
    for trial in study.trials:
        if trial.state == optuna.trial.TrialState.COMPLETE:
            best = max(best, trial.value or -math.inf)
        by_hand.append(best)
    assert found.maximise
    assert found.history["best"].dropna().tolist() == [
        by_hand[number] for number in found.history["trial"] if by_hand[number] > -math.inf
    ]
    assert dict(found.importance.to_numpy().tolist()) == importances(study, targets_of(study)[0])
    assert found.importance["share"].is_monotonic_decreasing
    row = found.margins[found.margins["argument"] == "margin"].iloc[0]
    assert study.trials[row["trial"]].params[f"{row['loss']}.margin"] == row["margin"]


def sweep_run(journal: str, study: str) -> str:
    tags = {"optuna.study": study, "optuna.storage": journal}
    with tracked_run("sweep", open_store(), name="sweep", tags=tags) as run:
        return run.run_id


def test_the_study_of_a_run_is_found_in_its_journal(catalogue: Catalogue, tmp_path: Path) -> None:
    journal, made = tmp_path / "sweeps.journal", training_study()
    optuna.create_study(study_name="birds", storage=open_storage(str(journal)), direction="maximize").add_trials(
        made.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))[:5]
    )
    assert len(study_of(catalogue, sweep_run(str(journal), "birds")).history) == 5


@pytest.mark.parametrize("where", ["missing.journal", "postgresql://me:***@host/optuna"])
def test_a_study_that_is_elsewhere_is_one_line_and_nothing_is_made(
    catalogue: Catalogue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CrossModalError, match="study birds: expected its journal on this machine") as caught:
        study_of(catalogue, sweep_run(where, "birds"))
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "missing.journal").exists()


def test_a_run_that_is_no_sweep_has_no_study(catalogue: Catalogue) -> None:
    with tracked_run("train", open_store(), name="one") as run:
        pass
    with pytest.raises(CrossModalError, match="expected the run of a sweep"):
        study_of(catalogue, run.run_id)
