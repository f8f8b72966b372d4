"""The end of a command on the terminal: the table, what to know, where it is, what to do next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from cross_modal_mlflow.report import Goal, Report, metric_table, print_lines, write_json
from cross_modal_mlflow.store import Store

if TYPE_CHECKING:
    from rich.table import Table

    from cross_modal_mlflow.pipeline import Outcome

_PLAIN_WIDTH = 120  # of a table that goes to a file


def stdout() -> Console:
    """The console for results."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=_PLAIN_WIDTH)


def stderr() -> Console:
    """The console for progress and notes."""
    return Console(stderr=True, highlight=False)


def print_outcome(
    console: Console,
    outcome: Outcome,
    json: Path | None,
    *,
    goals: Mapping[str, Goal] | None = None,
    next_steps: Sequence[str] = (),
) -> None:
    """Prints a training run's outcome and writes ``--json``."""
    print_report(console, outcome.report, outcome.notes, outcome.store, json, goals=goals, next_steps=next_steps)


def print_report(
    console: Console,
    report: Report,
    notes: Sequence[str],
    store: Store,
    json: Path | None,
    *,
    goals: Mapping[str, Goal] | None = None,
    next_steps: Sequence[str] = (),
    title: str | None = None,
    tables: Sequence[Table] | None = None,
) -> None:
    """Prints a report and writes ``--json``.

    Args:
        console: Where to.
        report: What was measured.
        notes: Sentences, one a line.
        store: Where it was logged.
        json: The file of ``--json``, or None.
        goals: What the metrics should reach.
        next_steps: Command lines.
        title: The line above the tables; None says what episodes were measured on.
        tables: The tables; None makes one of all metrics.
    """
    if json is not None:
        write_json(report, json)
    if report.metrics:
        print_lines(console, [title or _episodes_title(report)])
        for table in [metric_table(report.metrics, goals)] if tables is None else tables:
            console.print(table)
    phases = "  ".join(f"{name} {value:.1f} s" for name, value in report.seconds.items() if value >= 0.05)
    lines = [f"note: {note}" for note in notes]
    lines += [f"time: {phases}"] if phases else []
    lines += [
        f"run:  {report.run_id}",
        "",
        "see it in MLflow:",
        *(f"  {line}" for line in store.show),
    ]
    if next_steps:
        lines += ["", "next:", *(f"  {line}" for line in next_steps)]
    print_lines(console, lines)


def _episodes_title(report: Report) -> str:
    about = report.protocol
    if "pairs" in about:
        kinds = f", {about['same_pairs']:,} of them the same" if "same_pairs" in about else ", graded"
        return f"{report.command}: {about['data']}, split {about['split']}, {about['pairs']:,} pairs{kinds}"
    return (
        f"{report.command}: {about['data']}, split {about['split']}, {about['classes']:,} classes, "
        f"{about['episodes']:,} episodes a setting"
    )
