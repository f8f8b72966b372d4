"""Runs as tables and curves: what each was, how it went, and what a sweep's study learned. No Streamlit here."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from cross_modal.errors import CrossModalError
from cross_modal_dashboards.catalogue import Catalogue, RunFacts

if TYPE_CHECKING:
    from optuna import Study

#: Commands whose runs are listed; trials appear below their sweep.
LISTED = ("demo", "train", "sweep", "evaluate", "verify", "identify", "fewshot", "autolog")
#: What a run is judged by, the first ones first.
MAIN = (
    "validation/score",
    "retrieval/image_to_text/mrr",
    "retrieval/image_to_text/recall_at_1",
    "retrieval/text_to_image/recall_at_1",
    "episodes/5way_1shot/accuracy",
    "episodes/20way_1shot/accuracy",
    "verification/eer",
    "verification/picture_picture/eer",
    "verification/picture_text/eer",
)
MOST_METRICS = 5  # columns of them
RUNNING = "RUNNING"
STUDY, STORAGE = "optuna.study", "optuna.storage"
VALUE = "optuna/value"


def runs_frame(runs: Sequence[RunFacts]) -> pd.DataFrame:
    """Runs as a table, in their order.

    Args:
        runs: The runs.

    Returns:
        run_id, name, command, data, status, started (UTC) and the main metrics that any of them has.
    """
    metrics = [name for name in MAIN if any(name in run.metrics for run in runs)][:MOST_METRICS]
    rows = [
        {
            "run_id": run.run_id,
            "name": run.name,
            "command": run.command,
            "data": run.data,
            "status": run.status.lower(),
            "started": pd.Timestamp(run.started, unit="ms", tz="UTC"),
            **{name: run.metrics.get(name, math.nan) for name in metrics},
        }
        for run in runs
    ]
    columns = ["run_id", "name", "command", "data", "status", "started", *metrics]
    return pd.DataFrame(rows, columns=columns)


def curve_groups(metrics: Mapping[str, float]) -> dict[str, list[str]]:
    """Which metrics of a run are drawn together.

    Args:
        metrics: Name → last value.

    Returns:
        Title → names; only those that the run has.

    >>> curve_groups({"train/loss": 0.5, "health/spread": 0.1, "seconds/setup": 1.0})
    {'loss': ['train/loss'], 'health: spread and gap': ['health/spread']}
    """
    health = sorted(name for name in metrics if name.startswith("health/"))
    groups = {
        "loss": [name for name in metrics if re.fullmatch(r"train/loss\d*|train/\w+_to_\w+", name)],
        "validation": [name for name in ("validation/score", "optuna/intermediate_value") if name in metrics],
        "health: effective rank": [name for name in health if "rank" in name],
        "health: gradients": [name for name in health if "gradient" in name],
        "health: spread and gap": [name for name in health if "rank" not in name and "gradient" not in name],
    }
    return {title: names for title, names in groups.items() if names}


def curves(catalogue: Catalogue, run_id: str, names: Sequence[str]) -> pd.DataFrame:
    """The histories of some metrics: metric, step, value."""
    points = [(name, step, value) for name in names for step, value in catalogue.history(run_id, name)]
    found = pd.DataFrame(points, columns=["metric", "step", "value"])
    return found[found["value"].map(math.isfinite)].reset_index(drop=True)


def trials_frame(children: Sequence[RunFacts]) -> pd.DataFrame:
    """The trials of a sweep, the best value first, those without one after it.

    Args:
        children: Their runs.

    Returns:
        trial, status, value and the parameters that differ between them, and run_id.
    """
    names = sorted({name for child in children for name in child.parameters})
    differing = [name for name in names if len({child.parameters.get(name) for child in children}) > 1]
    rows = [
        {
            "trial": child.name,
            "status": child.status.lower(),
            "value": child.metrics.get(VALUE, math.nan),
            **{name: child.parameters.get(name, "") for name in differing},
            "run_id": child.run_id,
        }
        for child in children
    ]
    columns = ["trial", "status", "value", *differing, "run_id"]
    return pd.DataFrame(rows, columns=columns).sort_values(
        "value", ascending=False, kind="stable", na_position="last", ignore_index=True
    )


@dataclass(frozen=True)
class StudyFrames:
    """What a study learned, as tables.

    Attributes:
        target: What is optimised, in words.
        maximise: Whether more of it is better.
        history: trial, value, ending, best (so far).
        margins: loss, argument, unit (the distance), margin, value, trial.
        importance: parameter, share; the largest first.
    """

    target: str
    maximise: bool
    history: pd.DataFrame
    margins: pd.DataFrame
    importance: pd.DataFrame


def study_of(catalogue: Catalogue, run_id: str) -> StudyFrames:
    """What the study of a sweep's run learned.

    Raises:
        CrossModalError: The run is no sweep's, or its study is not on this machine.
    """
    tags = catalogue.client.get_run(run_id).data.tags
    name, where = tags.get(STUDY), tags.get(STORAGE)
    if name is None or where is None:
        raise CrossModalError(f"run {run_id[:8]}: expected the run of a sweep, found no study of it")
    if "://" in where or not Path(where).is_file():  # the tag of a database has no password: it cannot be opened
        raise CrossModalError(f"study {name}: expected its journal on this machine, found none at {where}")
    from cross_modal_mlflow.sweep.storage import open_storage
    from cross_modal_mlflow.sweep.study import load_study

    return study_frames(load_study(open_storage(where), name))


def study_frames(study: Study) -> StudyFrames:
    """What a study learned about its first target."""
    from cross_modal_mlflow.sweep.importance import importances
    from cross_modal_mlflow.sweep.margin_figure import drawn_margins
    from cross_modal_mlflow.sweep.trial_facts import targets_of

    target = targets_of(study)[0]
    margins = [
        (each.loss, each.argument, each.measure, each.x, each.y, each.trial.number)
        for each in drawn_margins(study, target)
    ]
    return StudyFrames(
        target.label,
        target.maximise,
        _history(study, target),
        pd.DataFrame(margins, columns=["loss", "argument", "unit", "margin", "value", "trial"]),
        pd.DataFrame(list(importances(study, target).items()), columns=["parameter", "share"]),
    )


def _history(study: Study, target: Any) -> pd.DataFrame:
    """Every trial with a value, and the best complete one so far."""
    from cross_modal_mlflow.sweep.trial_facts import COMPLETE, ending_of

    rows = []
    for trial in study.get_trials(deepcopy=False):
        value = target.value(trial)
        if value is not None and math.isfinite(value):
            rows.append((trial.number, value, ending_of(trial)))
    found = pd.DataFrame(rows, columns=["trial", "value", "ending"])
    counted = found["value"].where(found["ending"] == COMPLETE)
    best = counted.cummax() if target.maximise else counted.cummin()
    return found.assign(best=best.ffill())
