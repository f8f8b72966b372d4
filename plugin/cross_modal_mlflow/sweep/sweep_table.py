"""The end of a sweep on the terminal: the best trials, the best margin, the winner against the default."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import optuna
from optuna.trial import TrialState

from cross_modal_mlflow.report import metric_table
from cross_modal_mlflow.summary import print_report
from cross_modal_mlflow.sweep.objective import keeps_to_constraints
from cross_modal_mlflow.sweep.trial_words import best_so_far, margins, number, value_words, what

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial
    from rich.console import Console
    from rich.table import Table

    from cross_modal_mlflow.sweep.finish import SweepOutcome

BEST = 5  # trials shown


def print_sweep(console: Console, outcome: SweepOutcome, json: Path | None) -> None:
    """Prints a sweep's outcome and writes ``--json``."""
    study, report = outcome.study, outcome.report
    shown = {name: value for name, value in report.metrics.items() if name.startswith("episodes/")}
    print_report(
        console,
        report,
        [*best_margins(study), *outcome.notes],
        outcome.store,
        json,
        next_steps=[*outcome.next_steps, f"optuna-dashboard {outcome.storage}    the study in Optuna's own pages"],
        title=f"sweep: study {study.study_name}, {report.metrics['sweep/trials']:,.0f} trials, validation classes; "
        "then the winner on unseen classes",
        tables=[trial_table(study), *([metric_table(shown)] if shown else [])],
    )


def trial_table(study: optuna.Study) -> Table:
    """The best trials, the best first; of several targets the Pareto front."""
    from rich.table import Table

    table = Table(header_style="bold")
    for name, right in (("trial", True), ("loss · miner", False), ("drawn", False), ("value", True)):
        table.add_column(name, justify="right" if right else "left")
    done = study.best_trials if len(study.directions) > 1 else study.get_trials(states=(TrialState.COMPLETE,))
    sign = -1 if study.directions[0] == optuna.study.StudyDirection.MAXIMIZE else 1
    for trial in sorted(filter(keeps_to_constraints, done), key=lambda each: sign * each.values[0])[:BEST]:
        drawn = {name: value for name, value in trial.params.items() if not isinstance(value, str)}
        words = ", ".join(f"{name.rpartition('.')[2]} {number(value)}" for name, value in drawn.items())
        role = "  (default)" if trial.user_attrs.get("role") == "default" else ""
        table.add_row(str(trial.number), what(trial), words + role, value_words(trial))
    return table


def best_margins(study: optuna.Study) -> list[str]:
    """The sentence that people came for; where the best loss has no margin, that of the best loss which has one."""
    best = best_so_far(study)
    if best is None:
        return []
    if margins(best):
        return [f"best margin: {_listed(best)}"]
    sign = -1 if study.directions[0] == optuna.study.StudyDirection.MAXIMIZE else 1
    done = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    others = sorted((each for each in done if margins(each)), key=lambda each: sign * each.values[0])
    said = f"no margin was searched for the loss of the best trial, {what(best)}"
    if not others:
        return [said]
    first = others[0]
    return [f"{said}; best of the others: {_listed(first)} (trial {first.number}, {value_words(first)})"]


def _listed(trial: FrozenTrial) -> str:
    return ", ".join(f"{name} = {number(value)}" for name, value in margins(trial).items())
