import pytest
from matplotlib.figure import Figure

from cross_modal_mlflow.sweep.figure_style import COLOURS, WORDS, category, in_order, logarithmic, wrapped


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("training.learning_rate", ["training", ".learning_rate"]),
        ("ContrastiveLoss[CosineSimilarity].gap", ["ContrastiveLoss", "[CosineSimilarity]", ".gap"]),
        ("validation score", ["validation score"]),
        ("averyveryverylongwordindeed", ["averyveryverylongwordindeed"]),
        ("", [""]),
    ],
)
def test_long_names_break_where_a_reader_would(name: str, lines: list[str]) -> None:
    assert wrapped(name).split("\n") == lines


def test_categories_lose_the_words_that_their_axis_says() -> None:
    shown = [category(each) for each in ("MultiSimilarityMiner", "LpDistance", "Loss", True, None, 4, "tip_adapter")]
    assert shown == ["MultiSimilarity", "Lp", "Loss", "true", "none", "4", "tip adapter"]


@pytest.mark.parametrize(
    ("low", "high", "labels"),
    [
        (0.021, 0.49, {"0.05", "0.1", "0.2"}),
        (0.21, 0.49, {"0.3", "0.4"}),
        (0.00012, 0.009, {"0.001"}),
    ],
)
def test_logarithmic_axes_are_labelled_with_plain_numbers(low: float, high: float, labels: set[str]) -> None:
    figure = Figure()
    axes = figure.add_subplot()
    axes.plot([low, high], [0, 1])
    logarithmic(axes.xaxis)
    figure.canvas.draw()
    shown = {each.get_text() for each in (*axes.get_xticklabels(), *axes.get_xticklabels(minor=True))}
    assert labels <= shown
    assert not any("$" in each for each in shown)
    assert axes.get_yscale() == "linear"


def test_every_ending_has_a_colour_of_its_own_and_a_word() -> None:
    assert set(COLOURS) == set(WORDS)
    assert len(set(COLOURS.values())) == len(COLOURS)
    assert in_order(["failed", "complete", "failed"]) == ["complete", "failed"]
