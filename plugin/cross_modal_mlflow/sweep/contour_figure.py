"""The two most important numbers of a study together: a smooth surface through the trials that drew both."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from cross_modal_mlflow.sweep.figure_style import INK, colour_bar, dress, logarithmic, new_figure
from cross_modal_mlflow.sweep.parameter_figures import by_importance, is_log, is_numeric
from cross_modal_mlflow.sweep.trial_facts import Target, complete_trials, ranked

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial

LEAST_TOGETHER = 8  # trials that a surface of two settings is drawn through


def contour_figure(study: Study, target: Target) -> Figure | str:
    """Value over the two most important numbers that were drawn together.

    Returns:
        The figure, or why there is none.
    """
    done = complete_trials(study)
    numeric = [name for name in by_importance(study, target, done) if is_numeric(done, name)]
    for one, other in itertools.combinations(numeric, 2):
        trials = [trial for trial in done if one in trial.params and other in trial.params]
        if len(trials) >= LEAST_TOGETHER and all(len({t.params[name] for t in trials}) > 2 for name in (one, other)):
            return _draw(study, trials, (one, other), target)
    return f"expected two numbers that {LEAST_TOGETHER} complete trials drew together, found none"


def _draw(study: Study, trials: list[FrozenTrial], names: tuple[str, str], target: Target) -> Figure:
    values = np.array([target.final(trial) for trial in trials])
    drawn = np.array([[float(trial.params[name]) for name in names] for trial in trials])
    logs = [is_log(trials, name) for name in names]
    across, up, heights = _surface(drawn, values, logs)
    figure = new_figure(8.2, 5.6, f"{study.study_name}: {target.label} over two settings")
    axes = figure.add_subplot()
    levels = MaxNLocator(12).tick_values(values.min(), values.max())
    colours = "viridis" if target.maximise else "viridis_r"  # yellow is good
    shades = axes.contourf(across, up, heights, levels=levels, cmap=colours)
    axes.contour(across, up, heights, levels=levels, colors="white", linewidths=0.4, alpha=0.6)
    ink: dict[str, Any] = {"edgecolors": INK, "linewidths": 0.9}
    axes.scatter(drawn[:, 0], drawn[:, 1], s=26, color="white", zorder=3, label="complete trials", **ink)
    for best in ranked(study)[:1]:
        if all(name in best.params for name in names):
            x, y = (best.params[name] for name in names)
            axes.scatter(x, y, s=190, marker="*", color="#f6c945", zorder=4, label="best", **ink)
    dress(axes, *names, f"surface smoothed through {len(trials)} complete trials")
    axes.grid(visible=False)
    for axis, log in zip((axes.xaxis, axes.yaxis), logs, strict=True):
        if log:
            logarithmic(axis)
    colour_bar(axes, shades, target.label)
    handles = axes.get_legend_handles_labels()[0]
    figure.legend(handles=handles, loc="outside lower left", ncols=2, frameon=False, fontsize=8.5)
    return figure


def _surface(drawn: np.ndarray, values: np.ndarray, logs: Sequence[bool]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A smooth surface through points.

    Args:
        drawn: (n, 2) the points, each coordinate with more than one value.
        values: (n,) their heights.
        logs: Which coordinates count by their logarithm.

    Returns:
        (m,) first coordinates, (m,) second coordinates, (m, m) heights, rows along the second; none lies beyond the
        points' own heights.
    """
    from scipy.interpolate import RBFInterpolator

    points = np.stack([np.log10(drawn[:, i]) if log else drawn[:, i] for i, log in enumerate(logs)], axis=1)
    low, width = points.min(axis=0), np.ptp(points, axis=0)
    # A linear kernel of degree 0 neither swings beyond the trials nor fails where they lie on a line.
    surface = RBFInterpolator((points - low) / width, values, kernel="linear", degree=0, smoothing=0.05)
    side = np.linspace(-0.03, 1.03, 120)
    grid = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)
    heights = surface(grid).reshape(len(side), len(side)).clip(values.min(), values.max())
    along = [low[i] + side * width[i] for i in (0, 1)]
    across, up = (np.power(10, each) if log else each for each, log in zip(along, logs, strict=True))
    return across, up, heights
