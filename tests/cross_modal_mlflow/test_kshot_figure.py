from io import BytesIO

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from cross_modal_mlflow.kshot_figure import learning_curves
from cross_modal_mlflow.kshot_table import NAMES

SHOTS = (1, 2, 4, 8, 16)


def metrics(shots: tuple[int, ...] = SHOTS, quantity: str = "accuracy", intervals: bool = True) -> dict[str, float]:
    found = {f"kshot/zero_shot/0shot/{quantity}": 0.6}
    for place, name in enumerate(name for name in NAMES if name != "zero_shot"):
        found |= {f"kshot/{name}/{count}shot/{quantity}": 0.5 + 0.02 * place + 0.01 * count for count in shots}
    return found | ({f"{name}/ci95": 0.02 for name in found} if intervals else {})


def legend(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.axes[0].get_legend().get_texts()]


def named(axes: Axes) -> list[Line2D]:
    """The methods' own lines, without the edges of their bands."""
    return [line for line in axes.lines if not str(line.get_label()).startswith("_")]


def saved(figure: Figure) -> bytes:
    file = BytesIO()
    figure.savefig(file, format="png", dpi=50, bbox_inches="tight")
    return file.getvalue()


def test_every_method_is_a_line_over_the_shots_and_zero_shot_is_level() -> None:
    figure = learning_curves(metrics(), "toys split=ab12")
    (axes,) = figure.axes
    assert len(named(axes)) == len(NAMES)
    learned = [line for line in named(axes) if len(np.unique(line.get_ydata())) > 1]
    assert len(learned) == len(NAMES) - 1
    for line in learned:
        np.testing.assert_allclose(line.get_xdata(), SHOTS, rtol=0.08)  # a little aside, so that none hides another
    assert len({line.get_xdata()[0] for line in learned}) == len(learned)
    level = next(line for line in named(axes) if len(np.unique(line.get_ydata())) == 1)
    assert level.get_ydata()[0] == pytest.approx(60)
    assert axes.get_xscale() == "log"
    assert list(axes.get_xticks()) == list(SHOTS)
    assert "toys split=ab12" in figure.get_supxlabel()
    assert saved(figure).startswith(b"\x89PNG")


def test_lines_differ_in_colour_and_in_marker() -> None:
    lines = named(learning_curves(metrics(), "").axes[0])[:-1]
    assert len({line.get_color() for line in lines}) == len(lines)
    assert len({line.get_marker() for line in lines}) == len(lines)


def test_a_method_keeps_its_style_whoever_wins() -> None:
    turned = metrics()
    for name in [name for name in turned if not name.endswith("ci95") and "/0shot/" not in name]:
        turned[name] = 1.4 - turned[name]

    def styles(values: dict[str, float]) -> dict[str, tuple[object, object]]:
        lines = named(learning_curves(values, "").axes[0])[:-1]
        return {str(line.get_label()).split("  ")[0]: (line.get_color(), line.get_marker()) for line in lines}

    assert styles(turned) == styles(metrics())


def test_the_legend_has_the_order_of_the_lines_ends() -> None:
    entries = legend(learning_curves(metrics(), ""))
    assert entries[0] == "LP++  78.0 % ± 2.0"
    assert entries[-2:] == ["Prototypes  66.0 % ± 2.0", "Zero-shot, names only  60.0 % ± 2.0"]


def test_bands_are_the_intervals_and_one_seed_has_none() -> None:
    axes = learning_curves(metrics(), "").axes[0]
    assert len(axes.collections) == len(NAMES) - 1
    heights = [np.ptp(band.get_paths()[0].vertices[:, 1]) for band in axes.collections]  # type: ignore[attr-defined]
    assert heights[0] == pytest.approx(100 * (0.15 + 2 * 0.02), abs=0.1)
    alone = learning_curves(metrics(intervals=False), "").axes[0]
    assert "interval" not in alone.get_legend().get_title().get_text()
    assert not alone.collections


def test_at_one_k_no_point_hides_another() -> None:
    axes = learning_curves(metrics((4,)), "").axes[0]
    places = [line.get_xdata()[0] for line in axes.lines if line.get_label().split("  ")[0] in NAMES.values()]
    assert len(set(places)) == len(NAMES) - 1
    assert axes.get_title(loc="left") != "Is another shot worth it?"


def test_names_alone_nothing_at_all_and_base_to_new_are_drawn() -> None:
    names = learning_curves({"kshot/zero_shot/0shot/accuracy": 0.5}, "")
    assert len(names.axes[0].lines) == 1
    assert saved(names).startswith(b"\x89PNG")
    assert learning_curves({"episodes/5way_1shot/accuracy": 0.5}, "").axes == []
    assert "harmonic mean" in learning_curves(metrics(quantity="harmonic_mean"), "").axes[0].get_ylabel()
