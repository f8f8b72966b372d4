"""The Pareto front of a study with several targets: what one of them costs in the other."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cross_modal_mlflow.sweep.figure_style import GREEN, INK, WORDS, dress, in_order, legend, mark, new_figure
from cross_modal_mlflow.sweep.trial_facts import (
    Target,
    complete_trials,
    ending_of,
    is_feasible,
    pareto_front,
    targets_of,
)  # fmt: skip

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial

_MOST_LABELS = 12


def pareto_figure(study: Study) -> Figure | str:
    """Each pair of targets against each other, the front marked with its trials' numbers.

    Returns:
        The figure, or why there is none.
    """
    targets, trials = targets_of(study), complete_trials(study)
    if len(targets) < 2:
        return "expected several targets, found one"
    front = pareto_front(targets, [trial for trial in trials if is_feasible(trial)])
    if not front:
        return "no complete trial keeps to the constraints"
    pairs = list(itertools.combinations(targets, 2))
    figure = new_figure(5.4 * len(pairs) + (2.6 if len(pairs) == 1 else 0.6), 4.8, _title(study, front))
    for place, (across, up) in enumerate(pairs, start=1):
        axes = figure.add_subplot(1, len(pairs), place)
        _draw(axes, trials, front, across, up, connected=len(targets) == 2)
        if place == len(pairs):
            legend(axes)
    return figure


def _draw(
    axes: Axes, trials: list[FrozenTrial], front: list[FrozenTrial], across: Target, up: Target, *, connected: bool
) -> None:
    leading = {trial.number for trial in front}
    others = [trial for trial in trials if trial.number not in leading]
    for ending in in_order(map(ending_of, others)):
        points = [(across.final(trial), up.final(trial)) for trial in others if ending_of(trial) == ending]
        mark(axes, points, ending, label=WORDS[ending], alpha=0.75)
    along = sorted(front, key=across.final)
    points = [(across.final(trial), up.final(trial)) for trial in along]
    if connected:
        # between two trials of the front nothing was found: steps, not slopes
        where = "pre" if across.maximise else "post"
        axes.step(*zip(*points, strict=True), where=where, color=GREEN, linewidth=1.6, alpha=0.7, zorder=2)  # type: ignore[arg-type]
    across_values, up_values = zip(*points, strict=True)
    axes.scatter(across_values, up_values, s=64, color=GREEN, edgecolors="white", zorder=4, label="Pareto front")
    for trial in along[:: max(1, -(-len(along) // _MOST_LABELS))]:
        axes.annotate(
            f"{trial.number}", (across.final(trial), up.final(trial)), (6, 5), textcoords="offset points", zorder=6,
            fontsize=8, color=INK,
        )  # fmt: skip
    arrows = {True: "more is better", False: "less is better"}
    dress(axes, f"{across.label} ({arrows[across.maximise]})", f"{up.label} ({arrows[up.maximise]})")
    axes.margins(0.08)


def _title(study: Study, front: list[FrozenTrial]) -> str:
    return f"{study.study_name}: Pareto front of {len(front)} trial{'s' * (len(front) > 1)} (their numbers beside them)"
