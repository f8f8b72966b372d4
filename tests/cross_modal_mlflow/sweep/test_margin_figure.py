import numpy as np
import optuna
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from toys.sweep_studies import training_study

from cross_modal_mlflow.sweep.margin_figure import drawn_margins, margin_figure
from cross_modal_mlflow.sweep.trial_facts import ending_of, targets_of

RANDOM = optuna.samplers.RandomSampler


def drawn(study: optuna.Study) -> Figure:
    figure = margin_figure(study)
    assert isinstance(figure, Figure)
    return figure


def points(axes: Axes) -> int:
    """Trials in a panel; the ring round the best one is none."""
    return sum(len(np.asarray(each.get_offsets())) for each in axes.collections if each.get_sizes()[0] < 100)  # type: ignore[attr-defined]


def test_each_margin_of_each_loss_has_a_panel_with_its_unit_and_all_trials_with_a_value() -> None:
    study = training_study(60, sampler=RANDOM(seed=3))
    figure = drawn(study)
    panels = {(axes.get_title(loc="left"), axes.get_xlabel()): axes for axes in figure.axes}
    assert set(panels) == {
        ("CircleLoss", "m (cosine)"),
        ("ContrastiveLoss", "gap between the margins (cosine or L2 distance)"),
        ("ContrastiveLoss", "pos_margin (cosine or L2 distance)"),
        ("MultiSimilarityLoss", "base (cosine or L2 distance)"),
        ("TripletMarginLoss", "margin (cosine or L2 distance)"),
    }
    valued = [each for each in study.trials if ending_of(each) in ("complete", "pruned")]
    circles = [each for each in valued if each.params["objective.loss"] == "CircleLoss"]
    assert points(panels["CircleLoss", "m (cosine)"]) == len(circles)
    triplet = panels["TripletMarginLoss", "margin (cosine or L2 distance)"]
    assert triplet.get_xscale() == "log"
    assert figure.axes[0].get_ylabel() == "validation score"


def test_the_best_margin_is_written_beside_it() -> None:
    study = training_study(25, losses=("TripletMarginLoss",), miners=("none",))
    (axes,) = drawn(study).axes
    margin = study.best_trial.params["TripletMarginLoss.margin"]
    assert [text.get_text() for text in axes.texts] == [f"{margin:.3g}"]


def test_the_default_of_each_distance_stands_in_the_panel() -> None:
    study = training_study(60, losses=("ContrastiveLoss",), miners=("none",), sampler=RANDOM(seed=3))
    gap = next(axes for axes in drawn(study).axes if "gap" in axes.get_xlabel())
    defaults = sorted(float(line.get_xdata()[0]) for line in gap.lines)  # type: ignore[index]
    assert defaults == pytest.approx([0.6, 1.0])


def test_distances_are_told_apart_by_colour_and_named() -> None:
    figure = drawn(training_study(40, losses=("TripletMarginLoss",), sampler=RANDOM(seed=3)))
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend[:2] == ["CosineSimilarity", "LpDistance"]
    assert "best trial" in legend


def test_scales_temperatures_and_miners_are_no_margins_and_failed_trials_have_no_value() -> None:
    study = training_study(60, sampler=RANDOM(seed=3))
    found = drawn_margins(study, targets_of(study)[0])
    assert {each.argument for each in found} == {"m", "gap", "pos_margin", "base", "margin"}
    assert {each.loss for each in found} == {
        "CircleLoss", "ContrastiveLoss", "MultiSimilarityLoss", "TripletMarginLoss",
    }  # fmt: skip
    assert {ending_of(each.trial) for each in found} == {"complete", "pruned"}


def test_without_margins_it_says_so() -> None:
    study = training_study(6, losses=("SupConLoss",), miners=("none",))
    assert margin_figure(study) == "no trial that has a value drew a margin"
