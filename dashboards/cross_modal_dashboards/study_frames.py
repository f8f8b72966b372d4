"""What the study of a sweep learned, as tables, and where a trial's matches can be seen. No Streamlit here.

The numbers are those of the plugin's figures, so that page and artifacts say the same.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from cross_modal.errors import CrossModalError
from cross_modal_dashboards.catalogue import Catalogue, RunFacts

if TYPE_CHECKING:
    from optuna import Study

    from cross_modal_mlflow.sweep.trial_facts import Target

STUDY, STORAGE = "optuna.study", "optuna.storage"
TRIAL = "trial-"  # begins the name of a trial's run
RUNS = "runs:/"


@dataclass(frozen=True)
class StudyFrames:
    """What a study learned, as tables.

    Attributes:
        target: What is optimised, in words.
        maximise: Whether more of it is better.
        history: trial, value, ending, best (so far).
        margins: loss, argument, unit (the distance), margin, value, trial.
        importance: parameter, share; the largest first.
        lines: Parallel coordinates: trial, value, winner, axis (its number), place (0–1, NaN where absent).
        axes: Their axes: axis (its number), name, place, text; a row a tick.
        kind: "training" or "heads"; "" where another program made the study.
        model: The model reference of a study of heads, or None.
        winner: The number of the best trial so far, or None.
    """

    target: str
    maximise: bool
    history: pd.DataFrame
    margins: pd.DataFrame
    importance: pd.DataFrame
    lines: pd.DataFrame
    axes: pd.DataFrame
    kind: str = ""
    model: str | None = None
    winner: int | None = None


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
    from cross_modal_mlflow.sweep.trial_facts import ranked, settings_of, targets_of

    target, settings, best = targets_of(study)[0], settings_of(study), ranked(study)[:1]
    winner = best[0].number if best else None
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
        *_parallel(study, target, winner),
        kind=settings.kind if settings else "",
        model=settings.model if settings else None,
        winner=winner,
    )


def _parallel(study: Study, target: Target, winner: int | None) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The lines and the axes of parallel coordinates; empty where there is nothing to draw."""
    from cross_modal_mlflow.sweep.parallel_figure import parallel_axes

    found = parallel_axes(study)
    trials, axes = ([], []) if isinstance(found, str) else found
    lines = [
        (trial.number, target.final(trial), trial.number == winner, number, axis.places[row])
        for number, axis in enumerate(axes)
        for row, trial in enumerate(trials)
    ]
    ticks = [(number, axis.name, place, text) for number, axis in enumerate(axes) for place, text in axis.ticks]
    return (
        pd.DataFrame(lines, columns=["trial", "value", "winner", "axis", "place"]),
        pd.DataFrame(ticks, columns=["axis", "name", "place", "text"]),
    )


def _history(study: Study, target: Target) -> pd.DataFrame:
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


@dataclass(frozen=True)
class TrialMatches:
    """Where the matches of a trial are.

    Attributes:
        run_id: The run to open on the Matches page; None where there is none.
        own: They are the trial's own, not those of the study's winner or of the twin below a head.
        sentence: What is opened and why, or why nothing is.
    """

    run_id: str | None
    own: bool
    sentence: str


def trial_matches(trial: int, sweep: RunFacts, found: StudyFrames | None, children: Sequence[RunFacts]) -> TrialMatches:
    """Where the matches of a trial can be seen.

    Args:
        trial: Its number.
        sweep: The run of its sweep, which keeps the winner's twin.
        found: What the study says; None where it is not on this machine.
        children: The runs of the trials.
    """
    child = next((each for each in children if each.name == f"{TRIAL}{trial}"), None)
    if child is not None and child.has_model and child.gallery is not None:
        return TrialMatches(child.run_id, True, f"Trial {trial} has a twin and a gallery of its own.")
    if found is not None and found.kind == "heads":
        said = (
            f"Trial {trial} is a head, a few-shot classifier on the embeddings of {found.model}: it trained no twin "
            "and has no matches of its own."
        )
        model = found.model or ""
        under = model.removeprefix(RUNS).partition("/")[0] if model.startswith(RUNS) else None
        return TrialMatches(under, False, said + (" The twin that it stands on can be opened." if under else ""))
    winner = found.winner if found is not None else None
    if not sweep.has_model:
        end = "and this sweep has no winner yet" if sweep.status == "RUNNING" else "nor did the sweep keep a winner's"
        return TrialMatches(None, False, f"Trial {trial} kept no twin of its own, {end}.")
    own = trial == winner
    said = (
        f"Trial {trial} won: its twin is the sweep's."
        if own
        else f"Trial {trial} kept no twin of its own: a sweep keeps the winner's"
        + (f", trial {winner}." if winner is not None else ".")
    )
    if sweep.gallery is None:
        made = f"cross-modal index {RUNS}{sweep.run_id}/model --data {sweep.data or 'SOURCE'} --gallery FOLDER"
        return TrialMatches(None, own, f"{said} It has no gallery yet; this writes one: {made}")
    return TrialMatches(sweep.run_id, own, said)


def trial_number(name: str) -> int | None:
    """The number in the name of a trial's run.

    >>> trial_number("trial-12"), trial_number("another run")
    (12, None)
    """
    digits = name.removeprefix(TRIAL)
    return int(digits) if name.startswith(TRIAL) and digits.isdecimal() else None
