"""The figures of a study, as MLflow keeps them with its run: which settings decide, which margin, what each trial did.

A figure that a study is too young for is left out with a sentence; no figure ever costs a sweep its end.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from matplotlib.figure import Figure

from cross_modal_mlflow.sweep.contour_figure import contour_figure
from cross_modal_mlflow.sweep.history_figure import history_figure, intermediate_figure, timeline_figure
from cross_modal_mlflow.sweep.margin_figure import margin_figure
from cross_modal_mlflow.sweep.parallel_figure import parallel_figure
from cross_modal_mlflow.sweep.parameter_figures import importance_figure, slice_figure
from cross_modal_mlflow.sweep.pareto_figure import pareto_figure
from cross_modal_mlflow.sweep.trial_facts import Target, settings_of, targets_of

if TYPE_CHECKING:
    from optuna import Study

Painter = Callable[[], "Figure | str"]


def study_figures(study: Study) -> tuple[dict[str, Figure], list[str]]:
    """Draws a study.

    Args:
        study: Any study; one with several targets gets its Pareto front too, and a figure a target where only one fits.

    Returns:
        File name → figure, and sentences about those that were left out.
    """
    figures: dict[str, Figure] = {}
    notes: list[str] = []
    for name, paint in _painters(study).items():
        try:
            drawn = paint()
        except Exception as error:  # whatever a strange study brings about: its trials are worth more than a figure
            drawn = f"it could not be drawn ({type(error).__name__}: {' '.join(str(error).split())[:200]})"
        if isinstance(drawn, str):
            notes.append(f"figure {name} left out: {drawn}")
        else:
            figures[name] = drawn
    return figures, notes


def _painters(study: Study) -> dict[str, Painter]:
    targets, settings = targets_of(study), settings_of(study)
    found: dict[str, Painter] = {
        "history.png": lambda: history_figure(study),
        "importances.png": lambda: importance_figure(study),
    }
    for target in targets:
        end = "" if len(targets) == 1 else f"_{target.name}"
        if settings is None or settings.kind == "training":
            found[f"margins{end}.png"] = _of_target(margin_figure, study, target)
        found[f"slice{end}.png"] = _of_target(slice_figure, study, target)
        found[f"contour{end}.png"] = _of_target(contour_figure, study, target)
    found["parallel_coordinates.png"] = lambda: parallel_figure(study)
    if len(targets) == 1:  # Optuna takes reports of one target only
        found["intermediate_values.png"] = lambda: intermediate_figure(study)
    found["timeline.png"] = lambda: timeline_figure(study)
    if len(targets) > 1:
        found["pareto_front.png"] = lambda: pareto_figure(study)
    return found


def _of_target(draw: Callable[[Study, Target], Figure | str], study: Study, target: Target) -> Painter:
    return lambda: draw(study, target)
