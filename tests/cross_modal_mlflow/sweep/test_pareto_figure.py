import numpy as np
import optuna
from matplotlib.figure import Figure
from optuna.trial import create_trial
from toys.sweep_studies import training_study

from cross_modal_mlflow.sweep.pareto_figure import pareto_figure


def test_the_front_is_marked_with_its_numbers_and_what_is_better_is_said() -> None:
    study = optuna.create_study(directions=["maximize", "minimize"])
    study.add_trials([create_trial(values=list(each)) for each in ((0.5, 0.3), (0.6, 0.4), (0.4, 0.35))])
    study.add_trial(create_trial(values=[0.9, 0.1], constraints={"memory": 1.0}))
    figure = pareto_figure(study)
    assert isinstance(figure, Figure)
    (axes,) = figure.axes
    assert sorted(text.get_text() for text in axes.texts) == ["0", "1"]
    front = next(each for each in axes.collections if each.get_label() == "Pareto front")
    np.testing.assert_allclose(np.asarray(front.get_offsets()), [(0.5, 0.3), (0.6, 0.4)])
    assert axes.get_xlabel() == "value_0 (more is better)"
    assert axes.get_ylabel() == "value_1 (less is better)"
    assert "Pareto front of 2 trials" in figure.get_suptitle()


def test_three_targets_are_three_pairs() -> None:
    figure = pareto_figure(training_study(10, targets=("score", "eer", "seconds")))
    assert isinstance(figure, Figure)
    assert len(figure.axes) == 3


def test_without_a_front_it_says_why() -> None:
    assert pareto_figure(training_study(2)) == "expected several targets, found one"
    study = optuna.create_study(directions=["maximize", "minimize"])
    assert pareto_figure(study) == "no complete trial keeps to the constraints"
