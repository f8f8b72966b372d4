"""A trial gives its targets' values in order, reports as it goes, stops where it is told to, and leaves nothing."""

from pathlib import Path

import numpy as np
import optuna
import pytest
import torch
from toys.shapes import experiment, shapes

from cross_modal.data.items import Items
from cross_modal.errors import CrossModalError
from cross_modal.objectives.health import TrainingStopped
from cross_modal.training.loop import train
from cross_modal.training.shared_parts import SharedParts
from cross_modal_mlflow.sweep.trial_training import run_training_trial


class Study:
    """Notes what is reported; prunes after some reports."""

    def __init__(self, prune_after: int = 99) -> None:
        self.reports: list[tuple[float, int]] = []
        self._prune_after = prune_after

    def report(self, value: float, step: int) -> None:
        self.reports.append((value, step))

    def should_prune(self) -> bool:
        return len(self.reports) >= self._prune_after


ITEMS = shapes(per_class=6)
VISIBLE = ITEMS.take(np.flatnonzero(ITEMS.splits != "test"))


def test_its_value_is_the_best_validation_score_and_its_reports_are_all_of_them(tmp_path: Path) -> None:
    study = Study()
    outcome = run_training_trial(experiment(steps=9), VISIBLE, study.report, study.should_prune, folder=tmp_path)
    assert [step for _, step in study.reports] == [3, 6, 9]
    assert outcome.values == [max(value for value, _ in study.reports)]
    assert (outcome.values[0], outcome.best_step) in study.reports
    assert outcome.metrics["validation/score"] == outcome.values[0]
    assert {"setup", "training", "validation"} <= outcome.seconds.keys()
    assert not outcome.twin.training
    assert not list(tmp_path.iterdir())


def test_it_is_the_training_that_train_does(tmp_path: Path) -> None:
    study, shared = Study(), SharedParts(tmp_path / "store")
    for _ in range(2):
        outcome = run_training_trial(
            experiment(), VISIBLE, study.report, study.should_prune, folder=tmp_path, shared=shared
        )
    again = train(experiment(), ITEMS, folder=tmp_path)
    assert outcome.values == [again.best_score]
    for name, weights in again.twin.state_dict().items():
        assert torch.equal(weights, outcome.twin.state_dict()[name]), name


def test_targets_come_in_their_order(tmp_path: Path) -> None:
    study = Study()
    outcome = run_training_trial(
        experiment(),
        VISIBLE,
        study.report,
        study.should_prune,
        folder=tmp_path,
        targets=["seconds", "eer", "score"],
    )
    seconds, eer, score = outcome.values
    assert seconds == outcome.seconds["training"] > 0
    assert eer == outcome.metrics["validation/eer"]
    assert 0 <= eer <= 1
    assert score == outcome.metrics["validation/score"]
    assert (eer, outcome.best_step) in study.reports, "of several targets the first that is known is reported"


def test_seconds_alone_are_not_known_before_the_end(tmp_path: Path) -> None:
    study = Study(prune_after=0)
    outcome = run_training_trial(
        experiment(), VISIBLE, study.report, study.should_prune, folder=tmp_path, targets=["seconds"]
    )
    assert outcome.values == [outcome.seconds["training"]]
    assert not study.reports


def test_pruned_it_stops_and_leaves_no_checkpoint(tmp_path: Path) -> None:
    study = Study(prune_after=1)
    with pytest.raises(optuna.TrialPruned, match="step 3"):
        run_training_trial(experiment(steps=9), VISIBLE, study.report, study.should_prune, folder=tmp_path)
    assert len(study.reports) == 1
    assert not list(tmp_path.iterdir())


def test_a_trial_that_is_through_is_not_pruned(tmp_path: Path) -> None:
    study = Study(prune_after=2)
    assert run_training_trial(experiment(), VISIBLE, study.report, study.should_prune, folder=tmp_path).values


def test_constraints_are_measured_where_they_are_asked_for(tmp_path: Path) -> None:
    study = Study()
    outcome = run_training_trial(
        experiment(), VISIBLE, study.report, study.should_prune, folder=tmp_path, constraints={"memory": 1.0}
    )
    assert outcome.constraints.keys() == {"memory"}
    assert 0.01 < outcome.constraints["memory"] < 1


def test_a_collapse_passes_as_it_is(tmp_path: Path) -> None:
    study = Study()
    settings = experiment(learning_rate=1e30, gradient_clip=0.0, warm_up=0)
    with pytest.raises(TrainingStopped):
        run_training_trial(settings, VISIBLE, study.report, study.should_prune, folder=tmp_path)
    assert not list(tmp_path.iterdir())


def test_without_validation_items_there_is_no_trial(tmp_path: Path) -> None:
    study = Study()
    for items in (ITEMS.split("train"), _one_class_to_validate_on()):
        with pytest.raises(CrossModalError, match=r"^shapes: expected validation items"):
            run_training_trial(experiment(), items, study.report, study.should_prune, folder=tmp_path, targets=["eer"])


def _one_class_to_validate_on() -> Items:
    label = ITEMS.split("validation").labels[0]
    return ITEMS.take(np.flatnonzero((ITEMS.splits == "train") | (ITEMS.labels == label)))
