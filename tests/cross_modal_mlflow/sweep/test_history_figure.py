import datetime

import numpy as np
import optuna
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from toys.sweep_studies import training_study

from cross_modal_mlflow.sweep.history_figure import history_figure, intermediate_figure, timeline_figure


def axes_of(figure: Figure | str) -> list[Axes]:
    assert isinstance(figure, Figure)
    return figure.axes


def legend(axes: Axes) -> list[str]:
    found = axes.get_legend()
    assert found is not None
    return [text.get_text() for text in found.get_texts()]


def test_the_best_so_far_only_rises_and_ends_at_the_best() -> None:
    study = training_study(30)
    (axes,) = axes_of(history_figure(study))
    best = next(line for line in axes.lines if line.get_label() == "best so far")
    values = np.asarray(best.get_ydata())
    assert (np.diff(values) >= 0).all()
    assert values[-1] == study.best_value
    assert axes.get_title(loc="left") == f"best: {study.best_value:.3g}, trial {study.best_trial.number}"


def test_of_a_target_to_be_small_it_falls() -> None:
    upper, lower = axes_of(history_figure(training_study(30, targets=("score", "eer"))))
    best = next(line for line in lower.lines if line.get_label() == "best so far")
    assert (np.diff(np.asarray(best.get_ydata())) <= 0).all()
    assert (upper.get_ylabel(), lower.get_ylabel()) == ("validation score", "equal error rate")


def test_every_ending_and_the_default_are_in_the_legend() -> None:
    study = training_study(30)
    (axes,) = axes_of(history_figure(study))
    assert legend(axes) == [
        "complete", "pruned (last value)", "failed", "worker died, run again", "best so far",
        f"default {study.trials[0].value:.3g}",
    ]  # fmt: skip


def test_a_trial_beyond_a_constraint_is_never_the_best() -> None:
    study = optuna.create_study(direction="maximize")
    for value, excess in ((0.5, -1.0), (0.9, 1.0), (0.6, -1.0)):
        study.add_trial(optuna.trial.create_trial(value=value, constraints={"latency": excess}))
    (axes,) = axes_of(history_figure(study))
    assert axes.get_title(loc="left") == "best: 0.6, trial 2"


def test_the_timeline_has_a_bar_a_trial_as_long_as_it_took() -> None:
    study = training_study(10)
    (axes,) = axes_of(timeline_figure(study))
    widths = [bar.get_width() for bar in axes.patches]  # type: ignore[attr-defined]
    durations = [each.duration.total_seconds() for each in study.trials if each.duration]
    np.testing.assert_allclose(widths, durations)
    assert axes.get_xlabel() == "seconds since 2026-05-04 09:30:00"


def test_a_long_study_is_shown_in_hours_and_waiting_trials_are_not() -> None:
    study = training_study(2, ends=False)
    study.enqueue_trial({})
    trial = study.trials[1]
    trial.datetime_complete = datetime.datetime(2026, 5, 4, 18, 0)
    study.add_trial(trial)
    (axes,) = axes_of(timeline_figure(study))
    assert axes.get_xlabel().startswith("hours since")
    assert len(axes.patches) == 3


def test_reports_are_drawn_up_to_where_a_trial_was_stopped() -> None:
    study = training_study(20)
    (axes,) = axes_of(intermediate_figure(study))
    assert len(axes.lines) == sum(bool(each.intermediate_values) for each in study.trials)
    assert f"best: trial {study.best_trial.number}" in legend(axes)
    assert {max(np.asarray(line.get_xdata())) for line in axes.lines} >= {60, 120}
    assert intermediate_figure(optuna.create_study()) == "no trial has reported a value on its way"
