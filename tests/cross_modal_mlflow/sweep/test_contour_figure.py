import numpy as np
import optuna
import pytest
from matplotlib.figure import Figure
from toys.sweep_studies import training_study

from cross_modal_mlflow.sweep.contour_figure import _surface, contour_figure
from cross_modal_mlflow.sweep.trial_facts import targets_of


def study(trials: int, line: bool = False) -> optuna.Study:
    made = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for _ in range(trials):
        trial = made.ask()
        x = trial.suggest_float("x", 0.001, 1, log=True)
        y = trial.suggest_float("y", x, x) if line else trial.suggest_float("y", 0, 1)
        trial.suggest_categorical("word", ["a", "b"])
        made.tell(trial, x + y)
    return made


def test_two_numbers_are_drawn_on_the_axes_that_they_were_drawn_from() -> None:
    made = study(20)
    figure = contour_figure(made, targets_of(made)[0])
    assert isinstance(figure, Figure)
    axes = figure.axes[0]
    scales = {axes.get_xlabel(): axes.get_xscale(), axes.get_ylabel(): axes.get_yscale()}
    assert scales == {"x": "log", "y": "linear"}
    assert axes.get_title(loc="left") == "surface smoothed through 20 complete trials"


def test_the_surface_keeps_to_the_trials_and_rises_where_they_do() -> None:
    random = np.random.default_rng(0)
    points = random.random((40, 2)) + 0.01
    across, up, heights = _surface(points, points[:, 0], [False, True])
    assert heights.min() >= points[:, 0].min()
    assert heights.max() <= points[:, 0].max()
    assert (heights[:, -1] > heights[:, 0]).all()  # columns along the first coordinate
    assert across.shape == up.shape == (len(heights),)
    assert up.min() > 0


def test_trials_on_a_line_are_no_obstacle() -> None:
    made = study(12, line=True)
    assert isinstance(contour_figure(made, targets_of(made)[0]), Figure)


@pytest.mark.parametrize("made", [study(5), training_study(3), optuna.create_study()])
def test_too_few_trials_are_said(made: optuna.Study) -> None:
    assert contour_figure(made, targets_of(made)[0]) == (
        "expected two numbers that 8 complete trials drew together, found none"
    )
