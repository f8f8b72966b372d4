"""The learning curve of a K-shot experiment: is another shot worth it?

Accuracy over the number of shots on a logarithmic axis, one line a method with its band, zero-shot as the horizontal
line that a shot has to beat. Colours are Okabe and Ito's for all kinds of colour vision ("Color universal design",
2008), and every method has a marker of its own, so that the figure can be read in grey.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

from cross_modal_mlflow.kshot_table import ACCURACIES, Measured, display_name, measured, quantities

_INK, _GRID = "#1f2933", "#e4e7eb"
_STYLES = (
    ("#0072B2", "o"),
    ("#D55E00", "s"),
    ("#009E73", "^"),
    ("#CC79A7", "D"),
    ("#E69F00", "v"),
    ("#56B4E9", "P"),
    ("#7A5C3E", "X"),
)


def learning_curves(metrics: Mapping[str, float], protocol: str) -> Figure:
    """Draws the learning curves.

    Args:
        metrics: Name → number, as `KShotResult.metrics` gives them.
        protocol: How it was measured; stands below the figure.

    Returns:
        The figure of the accuracy (of the harmonic mean where base and new classes were measured); without any it has
        no axes.
    """
    figure = Figure(figsize=(9.6, 5.4), layout="constrained")
    found = quantities(metrics)
    quantity = next((name for name in ACCURACIES if name in found), None)
    if quantity is None:
        return figure
    values = measured(metrics, quantity)
    axes = figure.add_subplot()
    curves = {method: _learned(of_shots) for method, of_shots in values.items() if _learned(of_shots)}
    # A method keeps its style whatever came out; the legend has the order of the lines' right ends.
    styles = dict(zip(curves, _STYLES * len(curves), strict=False))
    last = {method: max(of_shots) for method, of_shots in curves.items()}
    shots = sorted({count for of_shots in curves.values() for count in of_shots})
    for place, method in enumerate(sorted(curves, key=lambda name: -curves[name][last[name]].value)):
        # Methods that score alike would hide each other: their points stand a little aside.
        aside = (1.03 if len(shots) == 1 else 1.02) ** (place - (len(curves) - 1) / 2)
        _draw(axes, method, curves[method], aside, *styles[method])
    for method, of_shots in values.items():
        if 0 in of_shots:
            _draw_names_only(axes, method, of_shots[0])
    _dress(axes, shots, quantity)
    _add_legend(axes, shots, any(each.half_width for of in values.values() for each in of.values()))
    figure.supxlabel("\n".join(textwrap.wrap(protocol, 130)), x=0.01, ha="left", fontsize=7.5, color="#616e7c")
    return figure


def _learned(of_shots: Mapping[int, Measured]) -> dict[int, Measured]:
    """The points with shots: the logarithmic axis has no place for zero."""
    return {count: each for count, each in of_shots.items() if count and math.isfinite(each.value)}


def _draw(axes: Axes, method: str, points: Mapping[int, Measured], aside: float, colour: str, marker: str) -> None:
    shots = [count * aside for count in points]
    middle = [100 * each.value for each in points.values()]
    half = [100 * (each.half_width or 0.0) for each in points.values()]
    label = f"{display_name(method)}  {_text(list(points.values())[-1])}"
    axes.plot(shots, middle, color=colour, marker=marker, markersize=6, linewidth=1.8, label=label, zorder=3)
    if len(shots) > 1 and any(half):
        low, high = zip(*((m - h, m + h) for m, h in zip(middle, half, strict=True)), strict=True)
        axes.fill_between(shots, low, high, color=colour, alpha=0.07, linewidth=0, zorder=1)
        for edge in (low, high):  # many bands over each other are told apart by their edges
            axes.plot(shots, edge, color=colour, alpha=0.45, linewidth=0.7, zorder=2)
    elif half[0]:
        axes.errorbar(shots, middle, half, color=colour, capsize=3, linewidth=1.2, zorder=2)


def _draw_names_only(axes: Axes, method: str, each: Measured) -> None:
    value, half = 100 * each.value, 100 * (each.half_width or 0.0)
    label = f"{display_name(method)}, names only  {_text(each)}"
    axes.axhline(value, color="black", linewidth=1.4, linestyle=(0, (5, 3)), label=label, zorder=2)
    if half:
        axes.axhspan(value - half, value + half, color="black", alpha=0.07, linewidth=0, zorder=1)


def _text(each: Measured) -> str:
    value = f"{100 * each.value:.1f} %"
    return value if each.half_width is None else f"{value} ± {100 * each.half_width:.1f}"


def _dress(axes: Axes, shots: list[int], quantity: str) -> None:
    axes.set_title(
        "Is another shot worth it?" if len(shots) > 1 else "Which method?", loc="left", fontsize=13, color=_INK
    )
    axes.set_ylabel(f"{quantity.replace('_', ' ')} on test, %", fontsize=10, color=_INK)
    axes.set_xlabel("shots of each class", fontsize=10, color=_INK)
    if not shots:
        axes.set_xticks([])
    else:
        axes.set_xscale("log", base=2)
        axes.set_xticks(shots)
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.set_xlim(shots[0] / 1.15, shots[-1] * 1.15)
    low, high = axes.get_ylim()
    axes.set_ylim(max(low, 0.0), min(high, 101.0))
    axes.grid(color=_GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=9, colors=_INK, length=0)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)


def _add_legend(axes: Axes, shots: list[int], bands: bool) -> None:
    title = f"at {shots[-1]} shot{'s' * (shots[-1] > 1)}" if shots else ""
    title = f"{title}{', ± ' if shots else '± '}95 % interval over seeds" if bands else title
    axes.legend(
        title=title,
        title_fontsize=8.5,
        loc="center left",
        bbox_to_anchor=(1.01, 0.5),
        frameon=False,
        fontsize=9,
        labelcolor=_INK,
        alignment="left",
    )
