"""The Runs page: every run, the curves of the chosen one, and what a study learned."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
from streamlit.testing.v1 import AppTest
from toys.sweep_studies import training_study

from cross_modal_mlflow.store import open_store
from cross_modal_mlflow.sweep.storage import open_storage
from cross_modal_mlflow.tracking import tracked_run

Opened = Callable[..., AppTest]


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    return tmp_path


def headings(page: AppTest) -> list[str]:
    return [each.value for each in page.subheader]


def test_a_real_run_is_listed_with_its_metrics_and_curves(explored: Any, open_view: Opened) -> None:
    page = open_view("runs")
    assert not page.exception
    assert explored.run_id in page.dataframe[0].value["run_id"].tolist()
    assert page.query_params["of"] in (explored.run_id, [explored.run_id])
    assert "**Loss**" in [each.value for each in page.markdown]
    assert headings(page) == ["Curves"]


def test_a_run_more_is_a_row_more_and_a_link_opens_the_older_one(store: Path, open_view: Opened) -> None:
    ids = []
    for name in ("first", "second"):
        with tracked_run("train", open_store(), name=name) as run:
            run.metrics({"validation/score": 0.25}, step=1)
        ids.append(run.run_id)
    page = open_view("runs", of=ids[0])
    assert page.dataframe[0].value["name"].tolist() == ["second", "first"]
    assert page.selectbox(key="chosen_run").value == ids[0]
    assert page.dataframe[0].value["validation/score"].tolist() == [0.25, 0.25]


def test_the_study_of_a_sweep_is_drawn_and_its_trials_are_listed(store: Path, open_view: Opened) -> None:
    journal = str(store / "sweeps.journal")
    study = optuna.create_study(study_name="birds", storage=open_storage(journal), direction="maximize")
    study.add_trials(training_study().get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))[:12])
    tags = {"optuna.study": "birds", "optuna.storage": journal}
    with tracked_run("sweep", open_store(), name="sweep birds", tags=tags) as parent:
        pass
    with tracked_run("trial", open_store(), name="trial-0", tags={"mlflow.parentRunId": parent.run_id}) as trial:
        trial.metrics({"optuna/value": 0.5})
    page = open_view("runs")
    assert not page.exception
    assert headings(page) == ["Curves", "Study"]
    assert page.dataframe[-1].value["trial"].tolist() == ["trial-0"]
    assert "**1 trials**" in [each.value for each in page.markdown]


def test_a_study_that_is_elsewhere_leaves_the_rest_of_the_page(store: Path, open_view: Opened) -> None:
    tags = {"optuna.study": "birds", "optuna.storage": "/nowhere/sweeps.journal"}
    with tracked_run("sweep", open_store(), name="sweep birds", tags=tags):
        pass
    page = open_view("runs")
    assert not page.exception
    assert page.info[0].value.startswith("study birds: expected its journal on this machine")


def test_no_runs_say_what_makes_one(store: Path, open_view: Opened) -> None:
    page = open_view("runs")
    assert "cross-modal demo" in page.info[0].value
    assert list(store.iterdir()) == []


def test_a_broken_store_is_one_line(store: Path, open_view: Opened) -> None:
    (store / "mlflow.db").write_text("this is no database, but long enough to be looked at" * 40)
    page = open_view("runs")
    assert not page.exception
    assert len(page.error) == 1
    assert "\n" not in page.error[0].value


def test_a_link_to_a_run_that_is_gone_shows_the_newest_and_says_so(store: Path, open_view: Opened) -> None:
    with tracked_run("train", open_store(), name="one") as run:
        pass
    page = open_view("runs", of="0" * 32)
    assert "showing the newest" in page.warning[0].value
    assert page.selectbox(key="chosen_run").value == run.run_id
