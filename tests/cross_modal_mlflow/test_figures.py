import numpy as np

from cross_modal_mlflow.figures import ConfusedPair, confusion, curves


def test_curves_have_a_panel_for_each_kind() -> None:
    history = [
        (1, {"train/loss": 2.0, "train/image_to_text": 1.0, "health/spread": 0.5, "health/effective_rank": 3.0}),
        (2, {"validation/score": 0.5, "validation/episodes/20way_1shot/accuracy": 0.4, "validation/x/ci95": 0.1}),
        (3, {"train/loss": 1.0, "train/gradient_norm": 1.0}),
    ]
    figure = curves(history)
    panels = {axes.get_title(loc="left"): axes for axes in figure.axes}
    assert {"loss", "validation", "health: effective rank", "health: gradient norm"} <= set(panels)
    assert len(panels["loss"].lines) == 2
    assert list(panels["loss"].lines[1].get_xdata()) == [1, 3]
    assert len(panels["validation"].lines) == 2


def test_curves_of_nothing_are_an_empty_figure() -> None:
    assert curves([]).axes == []


def test_confusion_survives_missing_pictures_and_dollar_signs() -> None:
    from io import BytesIO

    picture = np.zeros((4, 4, 3), np.uint8)
    pairs = [ConfusedPair("$a$", "b" * 80, 3, 10, (picture, None)), ConfusedPair("c", "d", 0, 0, (None, None))]
    file = BytesIO()
    confusion(pairs, "Hardest").savefig(file)
    assert file.getvalue().startswith(b"\x89PNG")
