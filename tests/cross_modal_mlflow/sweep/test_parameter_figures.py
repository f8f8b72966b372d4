import numpy as np
import optuna
from matplotlib.figure import Figure
from toys.sweep_studies import training_study

from cross_modal_mlflow.sweep.importance import importances
from cross_modal_mlflow.sweep.parameter_figures import importance_figure, slice_figure
from cross_modal_mlflow.sweep.trial_facts import targets_of


def test_the_bars_are_the_importances_the_largest_above() -> None:
    study = training_study(30)
    figure = importance_figure(study)
    assert isinstance(figure, Figure)
    (axes,) = figure.axes
    shares = {name: share for name, share in importances(study, targets_of(study)[0]).items() if share >= 0.005}
    assert [label.get_text() for label in axes.get_yticklabels()] == list(shares)[::-1]
    widths = [bar.get_width() for bar in axes.patches]  # type: ignore[attr-defined]
    np.testing.assert_allclose(widths, list(shares.values())[::-1])
    assert "best 5 of 20 complete trials" in figure.get_suptitle()


def test_the_slices_show_every_trial_that_drew_the_setting_and_a_log_axis_where_it_was_drawn_so() -> None:
    study = training_study(30)
    figure = slice_figure(study, targets_of(study)[0])
    assert isinstance(figure, Figure)
    panels = {axes.get_xlabel(): axes for axes in figure.axes}
    rate = panels["training.learning_rate"]
    shown = sum(len(np.asarray(each.get_offsets())) for each in rate.collections)
    assert shown == sum(each.state.name in ("COMPLETE", "PRUNED") for each in study.trials) + 1  # and the best's ring
    assert rate.get_xscale() == "log"
    losses = [label.get_text().replace("\n", "") for label in panels["objective.loss"].get_xticklabels()]
    assert losses == ["SupCon", "MultiSimilarity", "Circle", "Contrastive", "TripletMargin"]
    assert len(figure.axes) <= 9


def test_settings_that_nobody_varied_are_no_slices() -> None:
    study = optuna.create_study()
    for value in (1.0, 2.0, 3.0):
        trial = study.ask()
        trial.suggest_float("fixed", 0.5, 0.5)
        study.tell(trial, value)
    assert slice_figure(study, targets_of(study)[0]) == (
        "no setting was drawn with two values in trials that have a value"
    )
