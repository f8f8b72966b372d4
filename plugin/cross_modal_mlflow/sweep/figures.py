"""The figures of a study: Optuna's own, drawn by its matplotlib half, and this field's: value against margin."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import optuna
from matplotlib.figure import Figure
from optuna.trial import FrozenTrial, TrialState

from cross_modal_mlflow.sweep.trial_words import METHOD, margins

LEAST = 4  # finished trials below which importances, slices and contours say nothing
SHOWN = 6  # parameters in a figure: a conditional space has dozens
_STATES = {TrialState.COMPLETE: ("o", "#2563eb", "done"), TrialState.PRUNED: ("x", "#ea580c", "pruned, last value")}


def study_figures(study: optuna.Study) -> tuple[dict[str, Figure], list[str]]:
    """Draws what the study allows.

    Args:
        study: The study.

    Returns:
        File name → figure, and sentences about those that were left out.
    """
    done = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    if len(done) < LEAST:
        return {}, [f"{len(done)} finished trials are too few for figures of the study ({LEAST} are needed)"]
    figures: dict[str, Figure] = {}
    notes = []
    for name, draw in _drawings(study).items():
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                figures[name] = draw()
        except Exception as error:  # Optuna's plots refuse some studies, each with words of its own: no result is lost
            notes.append(f"{name} was not drawn: {' '.join(str(error).split())[:120]}")
    return figures, notes


def margin_figure(study: optuna.Study) -> Figure:
    """Value against each margin, one panel a margin of a loss; of heads, one a parameter.

    Raises:
        ValueError: If no trial drew one.
    """
    points: dict[str, list[tuple[float, float, TrialState]]] = {}
    for trial in study.get_trials(deepcopy=False, states=tuple(_STATES)):
        value = _value(trial)
        for name, margin in margins(trial).items():
            if value is not None and isinstance(margin, int | float) and not isinstance(margin, bool):
                points.setdefault(name, []).append((float(margin), value, trial.state))
    if not points:
        raise ValueError("no trial drew a margin")
    names = sorted(points)
    columns = min(3, len(names))
    rows = -(-len(names) // columns)
    figure = Figure(figsize=(4.4 * columns, 3.2 * rows), layout="constrained")
    target = "value" if METHOD in study.trials[0].params else "validation score"
    for place, name in enumerate(names, start=1):
        axes = figure.add_subplot(rows, columns, place)
        for state, (marker, colour, label) in _STATES.items():
            chosen = [(x, y) for x, y, ended in points[name] if ended == state]
            if chosen:
                across, up = zip(*chosen, strict=True)
                axes.scatter(across, up, marker=marker, color=colour, s=28, label=label)
        if _is_log(study, name):
            axes.set_xscale("log")
        axes.set_title(name, fontsize=10, loc="left")
        axes.set_ylabel(target, fontsize=8)
        axes.tick_params(labelsize=8)
        axes.grid(color="#e4e7eb")
        axes.spines[["top", "right"]].set_visible(False)
        if place == 1:
            axes.legend(fontsize=8, frameon=False)
    return figure


def _drawings(study: optuna.Study) -> dict[str, Callable[[], Figure]]:
    """File name → what draws it."""
    from optuna.visualization import matplotlib as plots

    if len(study.directions) > 1:
        return {
            "pareto_front.png": lambda: _drawn(plots.plot_pareto_front, study, (7, 5)),
            "timeline.png": lambda: _drawn(plots.plot_timeline, study, (9, 4)),
        }
    ranked = _ranked(study)
    few = ranked[:SHOWN]
    return {
        "margins.png": lambda: margin_figure(study),
        "importances.png": lambda: _importances(study),
        "history.png": lambda: _drawn(plots.plot_optimization_history, study, (8, 4.5)),
        "slice.png": lambda: _drawn(plots.plot_slice, study, (3.4 * len(few), 3.8), params=few),
        "contour.png": lambda: _drawn(plots.plot_contour, study, (6.5, 5), params=ranked[:2]),
        "parallel_coordinates.png": lambda: _drawn(
            plots.plot_parallel_coordinate, study, (2.4 * max(len(few), 3), 5), params=few
        ),
        "intermediate_values.png": lambda: _drawn(plots.plot_intermediate_values, study, (8, 4.5), legend=False),
        "timeline.png": lambda: _drawn(plots.plot_timeline, study, (9, 4)),
    }


def _drawn(
    plot: Callable[..., Any], study: optuna.Study, size: tuple[float, float], *, legend: bool = True, **how: Any
) -> Figure:
    """One of Optuna's plots at a size at which its labels fit, without leaving a window's figure behind."""
    import matplotlib
    from matplotlib import pyplot

    before = matplotlib.get_backend()
    pyplot.switch_backend("Agg")
    try:
        with pyplot.style.context("default"):
            axes = plot(study, **how)
            first = np.asarray(axes).ravel()[0] if not hasattr(axes, "figure") else axes
            figure = first.figure
            figure.set_size_inches(*size)
            for each in figure.axes:
                each.tick_params(labelsize=8)
                each.title.set_fontsize(10)
                each.xaxis.label.set_fontsize(9)
                each.yaxis.label.set_fontsize(9)
                each.set_xlabel(each.get_xlabel().rpartition("objective.")[2])
                if not legend and each.get_legend() is not None:
                    each.get_legend().remove()
            pyplot.close(figure)
            return figure
    finally:
        pyplot.switch_backend(before)


def _importances(study: optuna.Study) -> Figure:
    """How much each parameter decides, by PED-ANOVA: other methods rank otherwise, so the method is named."""
    found = dict(list(_importance(study).items())[: 2 * SHOWN])
    figure = Figure(figsize=(7, 0.8 + 0.36 * len(found)), layout="constrained")
    axes = figure.add_subplot()
    names = list(found)[::-1]
    axes.barh(names, [found[name] for name in names], color="#2563eb")
    for place, name in enumerate(names):
        axes.text(found[name], place, f" {found[name]:.2f}", va="center", fontsize=8)
    axes.set_title("importance of parameters (PED-ANOVA)", fontsize=10, loc="left")
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def _importance(study: optuna.Study) -> dict[str, float]:
    """Importance of the parameters that at least `LEAST` finished trials drew, over those trials."""
    evaluator = optuna.importance.PedAnovaImportanceEvaluator()
    done = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    names = [
        name
        for name in dict.fromkeys(name for trial in done for name in trial.params)
        if sum(name in trial.params for trial in done) == len(done)
    ]
    return optuna.importance.get_param_importances(study, evaluator=evaluator, params=names or None)


def _ranked(study: optuna.Study) -> list[str]:
    """Parameters, the most important first, then those that only some trials drew."""
    try:
        first = list(_importance(study))
    except (ValueError, RuntimeError):
        first = []
    drawn = [name for trial in study.get_trials(deepcopy=False) for name in trial.params]
    return list(dict.fromkeys([*first, *sorted(set(drawn), key=lambda name: -drawn.count(name))]))


def _is_log(study: optuna.Study, name: str) -> bool:
    found = (trial.distributions[name] for trial in study.get_trials(deepcopy=False) if name in trial.distributions)
    return bool(getattr(next(found, None), "log", False))


def _value(trial: FrozenTrial) -> float | None:
    if trial.values:
        return float(trial.values[0])
    reported = trial.intermediate_values
    return float(reported[max(reported)]) if reported else None
