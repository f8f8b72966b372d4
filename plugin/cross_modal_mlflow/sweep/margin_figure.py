"""The field's question in one figure: which margin? Value against every margin that was drawn, one panel each.

A margin means nothing without its unit: 0.3 is wide for cosines and narrow for degrees. Trials under different
distances therefore have different colours, and the library's default stands beside them, where it lies near the trials.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from cross_modal.errors import CrossModalError
from cross_modal_mlflow.sweep.figure_style import INK, SERIES, SOFT, dress, in_order, logarithmic, mark, new_figure
from cross_modal_mlflow.sweep.parameter_figures import is_log
from cross_modal_mlflow.sweep.trial_facts import (
    COMPLETE,
    OUTSIDE,
    PRUNED,
    Target,
    drawn_number,
    ending_of,
    ranked,
    targets_of,
)  # fmt: skip
from cross_modal_mlflow.sweep.trial_margins import number
from cross_modal_mlflow.sweep.trial_words import TrialWords

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial

_NAME = re.compile(r"(?P<part>\w+)(\[(?P<measure>\w+)\])?\.(?P<argument>\w+)")
_COLUMNS = 3


@dataclass(frozen=True)
class DrawnMargin:
    """One margin of one trial.

    Attributes:
        loss: The loss.
        argument: Its argument, or "gap" between its two margins.
        measure: The distance that gives the unit.
        parameter: Optuna's name of it.
        x: The margin.
        y: What the trial came to.
        trial: The trial.
    """

    loss: str
    argument: str
    measure: str
    parameter: str
    x: float
    y: float
    trial: FrozenTrial


def margin_figure(study: Study, target: Target | None = None) -> Figure | str:
    """Draws the margins.

    Args:
        study: The study.
        target: What they are drawn against; None takes the first.

    Returns:
        The figure, or why there is none.
    """
    target = target or targets_of(study)[0]
    drawn = drawn_margins(study, target)
    if not drawn:
        return "no trial that has a value drew a margin"
    panels: dict[tuple[str, str], list[DrawnMargin]] = {}
    for each in drawn:
        panels.setdefault((each.loss, each.argument), []).append(each)
    columns = min(_COLUMNS, len(panels))
    rows = math.ceil(len(panels) / columns)
    figure = new_figure(max(3.6 * columns, 7.6), 3.0 * rows + 1.0, f"Which margin? Study {study.study_name}")
    first: Axes | None = None
    defaults = False
    best = {trial.number for trial in ranked(study)[:1]}
    for place, ((loss, argument), margins) in enumerate(sorted(panels.items()), start=1):
        axes = figure.add_subplot(rows, columns, place, sharey=first)
        first = first or axes
        defaults |= _draw(axes, loss, argument, margins, best)
        units = " or ".join(dict.fromkeys(filter(None, (_unit(loss, argument, each) for each in _colours(margins)))))
        said = "gap between the margins" if argument == "gap" else argument
        outer = (place - 1) % columns == 0
        dress(axes, f"{said} ({units})" if units else said, target.label if outer else "", loss)
        axes.tick_params(labelleft=outer)
    _add_legend(figure, drawn, best, defaults)
    return figure


def drawn_margins(study: Study, target: Target) -> list[DrawnMargin]:
    """The margins of losses that trials with a value drew."""
    words, found = TrialWords(study), []
    for trial in study.get_trials(deepcopy=False):
        value = target.value(trial)
        if ending_of(trial) not in (COMPLETE, OUTSIDE, PRUNED) or value is None or not math.isfinite(value):
            continue
        for name, x in trial.params.items():
            place = _NAME.fullmatch(name)
            if place is None or not drawn_number(x) or not _is_loss_margin(place["part"], place["argument"]):
                continue
            measure = place["measure"] or _measure(words, trial, place["part"])
            found.append(DrawnMargin(place["part"], place["argument"], measure, name, float(x), value, trial))
    return found


def _draw(axes: Axes, loss: str, argument: str, margins: list[DrawnMargin], best: set[int]) -> bool:
    """Draws one panel; says whether the library's default is in it."""
    colours = _colours(margins)
    for measure, colour in colours.items():
        of_measure = [each for each in margins if each.measure == measure]
        for ending in in_order(ending_of(each.trial) for each in of_measure):
            mark(axes, [(m.x, m.y) for m in of_measure if ending_of(m.trial) == ending], ending, colour)
    for each in margins:
        if each.trial.number in best:
            axes.scatter([each.x], [each.y], s=150, facecolors="none", edgecolors=SERIES[2], linewidths=2, zorder=4)
            axes.annotate(
                number(each.x), (each.x, each.y), (0, 10), textcoords="offset points", ha="center", fontsize=8.5,
                fontweight="bold", color=INK,
            )  # fmt: skip
    if is_log([each.trial for each in margins], margins[0].parameter):
        axes.set_xscale("log")
    (low, high), shown = axes.get_xlim(), False
    for measure, colour in colours.items():
        default = _default(loss, argument, measure)
        near = default is not None and low - 0.3 * (high - low) <= default <= high + 0.3 * (high - low)
        if default is not None and near and not (axes.get_xscale() == "log" and default <= 0):
            axes.axvline(default, color=colour if len(colours) > 1 else SOFT, linewidth=1.1, linestyle=(0, (4, 3)))
            shown = True
    axes.margins(y=0.14)
    if axes.get_xscale() == "log":
        logarithmic(axes.xaxis)
    return shown


def _add_legend(figure: Figure, drawn: list[DrawnMargin], best: set[int], defaults: bool) -> None:
    entries: list[Line2D] = []
    for measure, colour in _colours(drawn).items():
        entries.append(Line2D([], [], color=colour, marker="o", linestyle="", markersize=6, label=measure))
    endings = {ending_of(each.trial) for each in drawn}
    if PRUNED in endings:
        entries.append(
            Line2D([], [], color=SOFT, marker="o", markerfacecolor="none", linestyle="", label="pruned (last value)")
        )
    if OUTSIDE in endings:
        entries.append(Line2D([], [], color=SOFT, marker="x", linestyle="", label="beyond a constraint"))
    if any(each.trial.number in best for each in drawn):
        entries.append(
            Line2D([], [], color=SERIES[2], marker="o", markerfacecolor="none", markersize=10, markeredgewidth=2,
                   linestyle="", label="best trial")
        )  # fmt: skip
    if defaults:
        entries.append(Line2D([], [], color=SOFT, linestyle=(0, (4, 3)), label="library default"))
    figure.legend(handles=entries, loc="outside lower left", ncols=len(entries), frameon=False, fontsize=8.5)


def _colours(margins: list[DrawnMargin]) -> Mapping[str, str]:
    """One colour a distance, the same in every panel."""
    order = ("CosineSimilarity", "LpDistance", "SquaredLpDistance", "SNRDistance")
    found = {each.measure for each in margins}
    names = [name for name in order if name in found] + sorted(found - set(order))
    places = [order.index(name) if name in order else place for place, name in enumerate(names)]
    return {name: SERIES[place % len(SERIES)] for name, place in zip(names, places, strict=True)}


def _measure(words: TrialWords, trial: FrozenTrial, loss: str) -> str:
    from cross_modal.objectives.search_ranges import measure_of

    experiment = words.experiment(trial)
    if experiment is not None:
        return measure_of(loss, experiment.objective.distance)
    return str(trial.params.get("objective.distance") or measure_of(loss))


def _is_loss_margin(part: str, argument: str) -> bool:
    from cross_modal.objectives.losses import LOSSES
    from cross_modal.objectives.search_ranges import is_margin

    return part in LOSSES and is_margin(part, argument)


def _unit(loss: str, argument: str, measure: str) -> str:
    from cross_modal.objectives.search_ranges import loss_ranges

    try:
        return str(getattr(loss_ranges(loss, measure).get(argument), "unit", ""))
    except CrossModalError:  # a distance of the user's own
        return ""


def _default(loss: str, argument: str, measure: str) -> float | None:
    from cross_modal.objectives.search_ranges import drawn_from

    try:
        value = drawn_from(loss, measure, {}).get(argument)
    except CrossModalError:
        return None
    return float(value) if value is not None and drawn_number(value) else None
