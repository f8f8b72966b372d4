"""Figures of an evaluation show every setting and both kinds of pairs."""

import numpy as np

from cross_modal_mlflow.evaluation_figures import episode_accuracies, verification_curves


def test_every_setting_has_a_row_in_order_and_its_value_in_words() -> None:
    metrics = {
        "episodes/20way_1shot/accuracy": 0.5,
        "episodes/5way_1shot_text/accuracy": 0.75,
        "episodes/5way_1shot/accuracy": 0.7,
        "episodes/5way_1shot/accuracy/ci95": 0.012,
        "episodes/5way_0shot/accuracy": 0.4,
        "retrieval/image_to_text/recall_at_1": 0.3,
    }
    figure = episode_accuracies(metrics)
    assert figure is not None
    (axes,) = figure.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == [
        "5-way 0-shot, names",
        "5-way 1-shot, pictures",
        "5-way 1-shot, pictures and names",
        "20-way 1-shot, pictures",
    ]
    assert [text.get_text() for text in axes.texts] == ["40.0", "70.0 ± 1.2", "75.0", "50.0"]


def test_without_episodes_there_is_no_figure() -> None:
    assert episode_accuracies({"verification/eer": 0.1}) is None


def test_scores_of_both_kinds_and_the_rate_are_shown() -> None:
    scores = np.random.default_rng(0).normal(size=50)
    same = np.arange(50) % 5 == 0
    figure = verification_curves(scores, same, {"verification/eer": 0.123, "verification/eer/ci95": 0.04})
    left, right = figure.axes
    legend = left.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["same (10)", "different (40)"]
    assert right.get_title(loc="left") == "Equal error rate 12.3 % ± 4.0"
