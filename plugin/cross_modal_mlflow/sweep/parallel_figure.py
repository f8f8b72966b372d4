"""All settings of all trials at once: one line a trial from axis to axis, coloured by what it came to."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from optuna.distributions import CategoricalDistribution

from cross_modal_mlflow.sweep.figure_style import INK, SOFT, category, colour_bar, new_figure, wrapped
from cross_modal_mlflow.sweep.importance import importances
from cross_modal_mlflow.sweep.trial_facts import Target, complete_trials, ranked, targets_of
from cross_modal_mlflow.sweep.trial_margins import number

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial

_LEAST_TRIALS, _MOST_AXES = 3, 8
_SHARE = 0.6  # of the trials that have to have a setting for it to get an axis


@dataclass(frozen=True)
class Axis:
    """One upright line: its name, the place (0–1, NaN where absent) of each trial, and its ticks (place, text)."""

    name: str
    places: list[float]
    ticks: list[tuple[float, str]]


def parallel_axes(study: Study) -> tuple[list[FrozenTrial], list[Axis]] | str:
    """The complete trials and the axes that they run through: the settings that most of them have, the targets last.

    Returns:
        The trials in their order and the axes, the most important setting first; or why there are none.
    """
    trials, targets = complete_trials(study), targets_of(study)
    if len(trials) < _LEAST_TRIALS:
        return f"expected at least {_LEAST_TRIALS} complete trials, found {len(trials)}"
    shares = importances(study, targets[0])
    names = {name for trial in trials for name in trial.params}
    common = [name for name in names if sum(name in trial.params for trial in trials) >= _SHARE * len(trials)]
    varied = [name for name in common if len({trial.params.get(name) for trial in trials}) > 1]
    kept = sorted(varied, key=lambda name: (-shares.get(name, 0.0), name))[:_MOST_AXES]
    if not kept:
        return "no setting was drawn with two values by most of the complete trials"
    axes = [_parameter_axis(name, trials) for name in kept] + [_target_axis(target, trials) for target in targets]
    return trials, axes


def parallel_figure(study: Study) -> Figure | str:
    """Parallel coordinates of the complete trials: the settings that most of them have, the targets last.

    Returns:
        The figure, or why there is none.
    """
    found = parallel_axes(study)
    if isinstance(found, str):
        return found
    trials, axes_of = found
    first = targets_of(study)[0]
    title = f"{study.study_name}: {len(trials)} complete trials, line by line"
    figure = new_figure(1.6 * len(axes_of) + 2.0, 5.2, title)
    axes = figure.add_subplot()
    values = np.array([first.final(trial) for trial in trials])
    colours = ScalarMappable(Normalize(values.min(), values.max()), "viridis" if first.maximise else "viridis_r")
    shades = colours.to_rgba(values)
    best = {trial.number for trial in ranked(study)[:1]}
    order = sorted(range(len(trials)), key=lambda row: values[row] if first.maximise else -values[row])
    for row in order:  # the better ones above
        wins = trials[row].number in best
        axes.plot(
            range(len(axes_of)),
            [each.places[row] for each in axes_of],
            color="#D55E00" if wins else shades[row],
            linewidth=2.6 if wins else 1.3,
            alpha=1.0 if wins else 0.8,
            zorder=4 if wins else 2,
            label=f"best: trial {trials[row].number}" if wins else None,
        )
    _dress(axes, axes_of)
    colour_bar(axes, colours, first.label)
    if best:
        axes.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), frameon=False, fontsize=8.5, labelcolor=INK)
    return figure


def _dress(axes: Axes, axes_of: list[Axis]) -> None:
    axes.set(ylim=(-0.06, 1.06), xlim=(-0.15, len(axes_of) - 0.55))
    axes.set_xticks(range(len(axes_of)), [wrapped(each.name, 17) for each in axes_of], fontsize=8.5, color=INK)
    axes.tick_params(length=0)
    axes.set_yticks([])
    for side in axes.spines.values():
        side.set_visible(False)
    background = {"facecolor": "white", "edgecolor": "none", "alpha": 0.78, "pad": 0.6}
    for place, each in enumerate(axes_of):
        axes.axvline(place, color=SOFT, linewidth=1, zorder=3)
        for height, text in each.ticks:
            axes.text(place + 0.04, height, text, fontsize=7.5, color=INK, va="center", zorder=5, bbox=background)


def _parameter_axis(name: str, trials: list[FrozenTrial]) -> Axis:
    drawn = [trial for trial in trials if name in trial.params]
    distribution = drawn[0].distributions[name]
    if isinstance(distribution, CategoricalDistribution) or any(isinstance(t.params[name], str) for t in drawn):
        choices: dict[Any, None] = {}
        for trial in drawn:
            choices |= dict.fromkeys(getattr(trial.distributions[name], "choices", (trial.params[name],)))
        labels = [each for each in choices if any(trial.params[name] == each for trial in drawn)]
        step = 1 / max(len(labels) - 1, 1)
        # lines that share a category fan out a little
        places = [
            labels.index(trial.params[name]) * step + 0.025 * math.sin(2.4 * trial.number)
            if name in trial.params
            else math.nan
            for trial in trials
        ]
        return Axis(name, places, [(i * step, category(each)) for i, each in enumerate(labels)])
    values = [float(trial.params.get(name, math.nan)) for trial in trials]
    return _number_axis(name, values, log=bool(getattr(distribution, "log", False)))


def _target_axis(target: Target, trials: list[FrozenTrial]) -> Axis:
    return _number_axis(target.label, [target.final(trial) for trial in trials], log=False)


def _number_axis(name: str, values: list[float], *, log: bool) -> Axis:
    found = np.log10(values) if log else np.asarray(values, dtype=float)
    low, high = float(np.nanmin(found)), float(np.nanmax(found))
    width = (high - low) or 1.0
    ticks = [low + width * share for share in (0.0, 0.25, 0.5, 0.75, 1.0)]
    shown = [(float((tick - low) / width), number(10**tick if log else tick)) for tick in ticks]
    return Axis(name, [float(each) for each in (found - low) / width], shown)
