"""Settings against values: which decide, and how each does by itself.

Drawn from the study's public data and not by Optuna's own matplotlib functions: those give every parameter of a space
with several losses an equal, unreadable place (fourteen panels in a row), show no pruned trials, and change
matplotlib's global style.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from optuna.distributions import CategoricalDistribution
from optuna.trial import TrialState

from cross_modal_mlflow.sweep.figure_style import (
    GREEN,
    INK,
    SERIES,
    WORDS,
    category,
    dress,
    in_order,
    logarithmic,
    mark,
    new_figure,
    wrapped,
)  # fmt: skip
from cross_modal_mlflow.sweep.importance import LEAST_TRIALS, METHOD, best_share, importances
from cross_modal_mlflow.sweep.trial_facts import (
    COMPLETE,
    OUTSIDE,
    PRUNED,
    Target,
    complete_trials,
    drawn_number,
    ending_of,
    ranked,
    targets_of,
)  # fmt: skip

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial

_MOST_PANELS, _COLUMNS = 9, 3
_SMALLEST = 0.005  # importance that is shown


def importance_figure(study: Study) -> Figure | str:
    """How much each setting decides, one panel a target.

    Returns:
        The figure, or why there is none.
    """
    found = {target: importances(study, target) for target in targets_of(study)}
    longest = max(max(sum(share >= _SMALLEST for share in shares.values()), bool(shares)) for shares in found.values())
    count = len(complete_trials(study))
    if not longest:
        return f"expected at least {LEAST_TRIALS} complete trials whose values differ, found {count}"
    best = max(math.ceil(best_share(count) * count), 1)
    title = f"Which settings decide? {METHOD}: what the best {best} of {count} complete trials share"
    figure = new_figure(9.6, len(found) * (0.9 + 0.34 * longest) + 0.6, title)
    for place, (target, shares) in enumerate(found.items(), start=1):
        axes = figure.add_subplot(len(found), 1, place)
        names = [name for name, share in shares.items() if share >= _SMALLEST][::-1] or list(shares)[:1]
        axes.barh(names, [shares[name] for name in names], color=SERIES[place - 1], height=0.66)
        for height, name in enumerate(names):
            axes.text(shares[name], height, f" {100 * shares[name]:.0f} %", va="center", fontsize=8.5, color=INK)
        which = f"for the {target.label}" if len(found) > 1 else ""
        dress(axes, "importance" if place == len(found) else "", "", which)
        axes.set_xlim(0, 1.12 * max(shares.values(), default=1.0))
        axes.grid(visible=False, axis="y")
    return figure


def slice_figure(study: Study, target: Target) -> Figure | str:
    """Value against each setting, the most important first.

    Returns:
        The figure, or why there is none.
    """
    trials = _valued(study, target)
    names = by_importance(study, target, trials)[:_MOST_PANELS]
    if not names:
        return "no setting was drawn with two values in trials that have a value"
    columns = min(_COLUMNS, len(names))
    rows = math.ceil(len(names) / columns)
    title = f"{study.study_name}: {target.label} against each setting"
    figure = new_figure(3.5 * columns + 0.4, 2.7 * rows + 0.7, title)
    first: Axes | None = None
    for place, name in enumerate(names, start=1):
        axes = figure.add_subplot(rows, columns, place, sharey=first)
        first = first or axes
        drawn = [trial for trial in trials if name in trial.params]
        _draw_slice(axes, drawn, name, target, ranked(study)[:1])
        dress(axes, name, "" if (place - 1) % columns else target.label)
        axes.tick_params(labelleft=(place - 1) % columns == 0)
    assert first is not None
    handles = {handle.get_label(): handle for axes in figure.axes for handle in axes.get_legend_handles_labels()[0]}
    figure.legend(handles=list(handles.values()), loc="outside lower left", ncols=5, frameon=False, fontsize=8.5)
    return figure


def is_log(trials: list[FrozenTrial], name: str) -> bool:
    """Whether a parameter was drawn by its logarithm."""
    return any(getattr(trial.distributions.get(name), "log", False) for trial in trials)


def _draw_slice(axes: Axes, trials: list[FrozenTrial], name: str, target: Target, best: list[FrozenTrial]) -> None:
    labels: list[Any] = []
    if not is_numeric(trials, name):
        labels = _choices(trials, name)
        axes.set_xticks(range(len(labels)), [wrapped(category(each), 9) for each in labels])
        axes.set_xlim(-0.6, len(labels) - 0.4)

    def place(trial: FrozenTrial) -> float:
        if not labels:
            return float(trial.params[name])
        # many trials have one category: beside each other they can be told apart
        return labels.index(trial.params[name]) + 0.24 * math.sin(2.4 * trial.number)

    for ending in in_order(map(ending_of, trials)):
        points = [(place(trial), target.value(trial) or 0.0) for trial in trials if ending_of(trial) == ending]
        mark(axes, points, ending, label=WORDS[ending])
    for trial in best:
        if name in trial.params:
            look = {"facecolors": "none", "edgecolors": GREEN, "linewidths": 2, "zorder": 4, "label": "best"}
            axes.scatter([place(trial)], [target.final(trial)], s=130, **look)  # type: ignore[arg-type]
    if is_log(trials, name):
        logarithmic(axes.xaxis)


def _valued(study: Study, target: Target) -> list[FrozenTrial]:
    """Trials with a value: complete ones, and those that were stopped on the way."""
    found = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))
    values = {trial.number: target.value(trial) for trial in found}
    shown = [trial for trial in found if ending_of(trial) in (COMPLETE, OUTSIDE, PRUNED)]
    return [trial for trial in shown if (value := values[trial.number]) is not None and math.isfinite(value)]


def by_importance(study: Study, target: Target, trials: list[FrozenTrial]) -> list[str]:
    """Parameters drawn with two values or more: the important ones first, then those that most trials have."""
    shares = importances(study, target)
    values: dict[str, list[Any]] = {}
    for trial in trials:
        for name, value in trial.params.items():
            values.setdefault(name, []).append(value)
    varied = [name for name, found in values.items() if len(set(found)) > 1 and len(found) > 2]
    return sorted(varied, key=lambda name: (-shares.get(name, -1.0), -len(values[name])))


def is_numeric(trials: list[FrozenTrial], name: str) -> bool:
    """Whether a parameter's values have places on a line: ranges have, and choices of numbers."""
    found = [trial for trial in trials if name in trial.params]
    ranges = not any(isinstance(trial.distributions[name], CategoricalDistribution) for trial in found)
    return ranges and all(drawn_number(trial.params[name]) for trial in found)


def _choices(trials: list[FrozenTrial], name: str) -> list[Any]:
    """The values of a categorical parameter, those of the space in its order."""
    listed: dict[Any, None] = {}
    for trial in trials:
        listed |= dict.fromkeys(getattr(trial.distributions[name], "choices", ()))
    return [value for value in listed if any(trial.params[name] == value for trial in trials)]
