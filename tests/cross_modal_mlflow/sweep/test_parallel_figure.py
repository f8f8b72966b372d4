import numpy as np
import optuna
from matplotlib.figure import Figure
from toys.sweep_studies import training_study

from cross_modal_mlflow.sweep.parallel_figure import parallel_figure


def test_one_line_a_complete_trial_and_the_best_stands_out() -> None:
    study = training_study(30)
    figure = parallel_figure(study)
    assert isinstance(figure, Figure)
    axes = figure.axes[0]
    lines = [line for line in axes.lines if len(np.asarray(line.get_xdata())) > 2]
    complete = [each for each in study.trials if each.state.name == "COMPLETE"]
    assert len(lines) == len(complete)
    best = [line for line in lines if line.get_label() == f"best: trial {study.best_trial.number}"]
    assert len(best) == 1
    assert best[0].get_linewidth() > lines[0].get_linewidth()
    assert np.asarray(best[0].get_ydata())[-1] == 1.0  # the last axis is the score
    labels = [label.get_text().replace("\n", "") for label in axes.get_xticklabels()]
    assert labels[-1] == "validation score"
    assert {"training.learning_rate", "objective.loss", "twin.pooling.queries"} <= set(labels)


def test_several_targets_have_an_axis_each() -> None:
    figure = parallel_figure(training_study(12, targets=("score", "eer", "seconds")))
    assert isinstance(figure, Figure)
    labels = [label.get_text().replace("\n", "") for label in figure.axes[0].get_xticklabels()]
    assert labels[-3:] == ["validation score", "equal error rate", "training seconds"]


def test_what_does_not_vary_has_no_axis() -> None:
    study = optuna.create_study()
    for value in (1.0, 2.0, 3.0):
        trial = study.ask()
        trial.suggest_float("fixed", 0.5, 0.5)
        study.tell(trial, value)
    assert parallel_figure(study) == "no setting was drawn with two values by most of the complete trials"
    assert parallel_figure(optuna.create_study()) == "expected at least 3 complete trials, found 0"
