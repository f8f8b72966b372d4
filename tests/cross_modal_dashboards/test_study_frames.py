"""What a study says as tables, and where the matches of a trial are."""

import math
from pathlib import Path

import optuna
import pytest
from toys.sweep_studies import heads_study, training_study

from cross_modal.errors import CrossModalError
from cross_modal_dashboards.catalogue import Catalogue, RunFacts
from cross_modal_dashboards.study_frames import study_frames, study_of, trial_matches
from cross_modal_mlflow.store import open_store
from cross_modal_mlflow.sweep.importance import importances
from cross_modal_mlflow.sweep.parallel_figure import parallel_axes
from cross_modal_mlflow.sweep.storage import open_storage
from cross_modal_mlflow.sweep.trial_facts import ranked, targets_of
from cross_modal_mlflow.tracking import tracked_run


@pytest.fixture
def catalogue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Catalogue:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    return Catalogue()


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


def test_parallel_coordinates_are_those_of_the_figure() -> None:
    study = training_study()
    found, drawn = study_frames(study), parallel_axes(study)
    assert not isinstance(drawn, str)
    trials, axes = drawn
    assert len(found.lines) == len(trials) * len(axes)
    for number, axis in enumerate(axes):
        mine = found.lines[found.lines["axis"] == number]
        assert mine["trial"].tolist() == [trial.number for trial in trials]
        assert mine["place"].tolist() == pytest.approx(axis.places, nan_ok=True)
        assert found.axes[found.axes["axis"] == number]["text"].tolist() == [text for _, text in axis.ticks]
    assert found.winner == ranked(study)[0].number
    assert set(found.lines[found.lines["winner"]]["trial"]) == {found.winner}


def test_a_study_too_young_for_parallel_coordinates_has_none() -> None:
    found = study_frames(training_study(1))
    assert len(found.lines) == 0
    assert len(found.axes) == 0


def run(name: str, *, model: bool = False, gallery: str | None = None, status: str = "FINISHED") -> RunFacts:
    return RunFacts(f"id-{name}", name, "sweep", status, 0, "glyphs", has_model=model, gallery=gallery)


def test_the_winner_opens_the_twin_that_the_sweep_kept_and_others_offer_it() -> None:
    found = study_frames(training_study())
    sweep = run("sweep", model=True, gallery="g")
    assert found.winner is not None
    own = trial_matches(found.winner, sweep, found, [])
    assert (own.run_id, own.own) == ("id-sweep", True)
    other = trial_matches(found.winner + 1, sweep, found, [])
    assert (other.run_id, other.own) == ("id-sweep", False)
    assert f"the winner's, trial {found.winner}" in other.sentence


def test_a_trial_with_a_twin_and_a_gallery_of_its_own_opens_them() -> None:
    child = run("trial-3", model=True, gallery="g")
    assert trial_matches(3, run("sweep"), None, [child]).run_id == "id-trial-3"
    assert trial_matches(3, run("sweep"), None, [run("trial-3", model=True)]).run_id is None


def test_a_head_says_that_it_trained_no_twin_and_offers_the_one_that_it_stands_on() -> None:
    found = study_frames(heads_study())
    said = trial_matches(3, run("sweep"), found, [])
    assert said.run_id is None  # models:/birds@champion is no run
    assert "it trained no twin" in said.sentence
    import dataclasses

    of_run = dataclasses.replace(found, model="runs:/abc123/model")
    assert trial_matches(3, run("sweep"), of_run, []).run_id == "abc123"


def test_a_winner_without_a_gallery_says_what_writes_one() -> None:
    said = trial_matches(0, run("sweep", model=True), None, [])
    assert said.run_id is None
    assert "cross-modal index runs:/id-sweep/model --data glyphs" in said.sentence


def test_a_sweep_without_a_twin_says_whether_one_may_come() -> None:
    assert "no winner yet" in trial_matches(0, run("sweep", status="RUNNING"), None, []).sentence
    assert "nor did the sweep" in trial_matches(0, run("sweep", status="KILLED"), None, []).sentence
