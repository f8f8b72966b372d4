"""Runs as tables and curves: what each was and how it went. No Streamlit here."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence

import pandas as pd

from cross_modal_dashboards.catalogue import Catalogue, RunFacts

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


def matching(
    table: pd.DataFrame, words: str, commands: Sequence[str] = (), statuses: Sequence[str] = ()
) -> pd.DataFrame:
    """The rows of a table of runs that hold all of some words.

    Args:
        table: As from `runs_frame`.
        words: Words (or parts of words) that stand somewhere in the row, in any column and in any case.
        commands: Commands that are kept; all unless given.
        statuses: Likewise.
    """
    kept = pd.Series(True, index=table.index)
    if words.strip() and len(table):
        lines = table.astype(str).agg(" ".join, axis=1).str.casefold()
        for word in words.casefold().split():
            kept &= lines.str.contains(word, regex=False)
    if commands:
        kept &= table["command"].isin(commands)
    if statuses:
        kept &= table["status"].isin(statuses)
    return table[kept].reset_index(drop=True)


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
    """The histories of some metrics: metric, step, value, time (milliseconds since 1970)."""
    points = [(name, *point) for name in names for point in catalogue.points(run_id, name)]
    found = pd.DataFrame(points, columns=["metric", "step", "value", "time"])
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
