"""The course of a study: what each trial came to, how it got there, and when it ran."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from cross_modal_mlflow.sweep.figure_style import (
    COLOURS,
    GREEN,
    SOFT,
    WORDS,
    dress,
    in_order,
    legend,
    mark,
    new_figure,
)  # fmt: skip
from cross_modal_mlflow.sweep.trial_facts import (
    COMPLETE,
    DIED,
    FAILED,
    INTERRUPTED,
    RUNNING,
    Target,
    ending_of,
    ranked,
    targets_of,
)  # fmt: skip
from cross_modal_mlflow.sweep.trial_margins import number

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial


def history_figure(study: Study) -> Figure | str:
    """Value over trial, with the best so far and the default settings; one panel a target.

    Returns:
        The figure, or why there is none.
    """
    trials, targets = study.get_trials(deepcopy=False), targets_of(study)
    if not any(target.value(trial) is not None for trial in trials for target in targets):
        return "no trial has a value yet"
    figure = new_figure(9.6, 1.0 + 3.6 * len(targets), f"{study.study_name}: trial by trial")
    for place, target in enumerate(targets, start=1):
        axes = figure.add_subplot(len(targets), 1, place)
        _draw_values(axes, trials, target)
        best = _draw_best(axes, trials, target)
        _draw_default(axes, trials, target)
        dress(axes, "trial" if place == len(targets) else "", target.label, best)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlim(-0.8, max(trial.number for trial in trials) + 0.8)
        legend(axes)
    return figure


def intermediate_figure(study: Study) -> Figure | str:
    """What the trials reported on their way, stopped ones up to where they were stopped.

    Returns:
        The figure, or why there is none.
    """
    reported = [trial for trial in study.get_trials(deepcopy=False) if len(trial.intermediate_values) > 0]
    if not reported:
        return "no trial has reported a value on its way"
    target = targets_of(study)[0]
    figure = new_figure(9.6, 4.8, f"{study.study_name}: {target.label} on the way")
    axes = figure.add_subplot()
    best = {trial.number for trial in ranked(study)[:1]}
    for ending in in_order(map(ending_of, reported)):
        label: str | None = WORDS[ending].removesuffix(" (last value)")
        for trial in reported:
            if ending_of(trial) == ending and trial.number not in best:
                steps = sorted(trial.intermediate_values.items())
                look = {"color": COLOURS[ending], "label": label, "alpha": 0.55, "linewidth": 1.2}
                axes.plot(*zip(*steps, strict=True), marker="o", markersize=3, **look)  # type: ignore[arg-type]
                label = None  # one entry in the legend
    for trial in (each for each in reported if each.number in best):
        steps = sorted(trial.intermediate_values.items())
        label = f"best: trial {trial.number}"
        axes.plot(*zip(*steps, strict=True), marker="o", markersize=4, color=GREEN, linewidth=2.4, label=label)
    dress(axes, "step", target.label)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    legend(axes)
    return figure


def timeline_figure(study: Study) -> Figure | str:
    """When each trial ran and how it ended; the times are those of the workers' own clocks.

    Returns:
        The figure, or why there is none.
    """
    now = datetime.datetime.now()
    spans = [
        (trial, trial.datetime_start, trial.datetime_complete or (now if ending_of(trial) == RUNNING else None))
        for trial in study.get_trials(deepcopy=False)
    ]
    ran = [(trial, start, end) for trial, start, end in spans if start is not None and end is not None]
    if not ran:
        return "no trial has run yet"
    began = min(start for _, start, _ in ran)
    unit, seconds = _unit(max((end - began).total_seconds() for _, _, end in ran))
    figure = new_figure(9.6, min(2.0 + 0.17 * len(ran), 14), f"{study.study_name}: when the trials ran")
    axes = figure.add_subplot()
    for trial, start, end in ran:
        left, width = (start - began).total_seconds() / seconds, (end - start).total_seconds() / seconds
        axes.barh(trial.number, width, left=left, height=0.72, color=COLOURS[ending_of(trial)])
    dress(axes, f"{unit} since {began:%Y-%m-%d %H:%M:%S}", "trial")
    axes.invert_yaxis()
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    endings = in_order(ending_of(trial) for trial, _, _ in ran)
    words = {ending: WORDS[ending].removesuffix(" (last value)") for ending in endings}
    legend(axes, [Patch(color=COLOURS[ending], label=words[ending]) for ending in endings])
    return figure


def _draw_values(axes: Axes, trials: list[FrozenTrial], target: Target) -> None:
    placed = [(trial, target.value(trial)) for trial in trials]
    without = (FAILED, DIED, INTERRUPTED)
    valued = [(trial, value) for trial, value in placed if value is not None and ending_of(trial) not in without]
    for ending in in_order(ending_of(trial) for trial, _ in valued):
        points = [(trial.number, value) for trial, value in valued if ending_of(trial) == ending]
        mark(axes, points, ending, label=WORDS[ending])
    floor = axes.get_ylim()[0]
    for ending in in_order(ending_of(trial) for trial in trials if ending_of(trial) in without):
        numbers = [trial.number for trial in trials if ending_of(trial) == ending]
        mark(axes, [(number, floor) for number in numbers], ending, label=WORDS[ending], clip_on=False)
    axes.set_ylim(bottom=floor)


def _draw_best(axes: Axes, trials: list[FrozenTrial], target: Target) -> str:
    """The best so far as steps; says which trial it is."""
    leader: FrozenTrial | None = None
    course: list[tuple[int, float]] = []
    for trial in trials:
        if ending_of(trial) != COMPLETE:
            continue
        value = target.final(trial)
        sign = 1 if target.maximise else -1
        if leader is None or sign * value > sign * target.final(leader):
            leader = trial
            course.append((trial.number, value))
    if leader is None:
        return ""
    course.append((max(trial.number for trial in trials), target.final(leader)))
    axes.step(*zip(*course, strict=True), where="post", color=GREEN, linewidth=1.8, zorder=2, label="best so far")
    return f"best: {number(target.final(leader))}, trial {leader.number}"


def _draw_default(axes: Axes, trials: list[FrozenTrial], target: Target) -> None:
    found = [each for each in trials if each.user_attrs.get("role") == "default" and ending_of(each) == COMPLETE]
    if found:
        value = target.final(found[0])
        label = f"default {number(value)}"
        axes.axhline(value, color=SOFT, linewidth=1.1, linestyle=(0, (5, 3)), zorder=1, label=label)


def _unit(seconds: float) -> tuple[str, float]:
    """In which unit a time is read with ease."""
    return ("seconds", 1.0) if seconds < 180 else ("minutes", 60.0) if seconds < 10_800 else ("hours", 3600.0)
