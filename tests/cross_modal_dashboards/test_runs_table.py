"""Runs as tables: what is listed, what is drawn together, and what a study says."""

import math
import time
from pathlib import Path

import pandas as pd
import pytest

from cross_modal_dashboards.catalogue import Catalogue, RunFacts
from cross_modal_dashboards.runs_table import curve_groups, curves, matching, runs_frame, trials_frame
from cross_modal_mlflow.store import open_store
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
    assert found[["metric", "step", "value"]].to_numpy().tolist() == [["train/loss", 1, 3.0], ["train/loss", 3, 1.0]]
    assert (abs(found["time"] / 1000 - time.time()) < 60).all()


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


def test_a_filter_keeps_the_rows_that_hold_every_word_in_any_case_and_column() -> None:
    table = runs_frame([facts("Birds", {}), facts("birds two", {}), facts("fish", {})])
    assert matching(table, "BIRDS")["name"].tolist() == ["Birds", "birds two"]
    assert matching(table, "two glyphs")["name"].tolist() == ["birds two"]
    assert matching(table, "  ")["name"].tolist() == table["name"].tolist()
    assert matching(table, "[")["name"].tolist() == []  # a word, not a pattern
    assert matching(table, "", ["sweep"])["name"].tolist() == []
    assert matching(table, "fish", ["train"], ["finished"])["name"].tolist() == ["fish"]


def test_an_empty_table_can_be_filtered() -> None:
    assert len(matching(runs_frame([]), "birds")) == 0
