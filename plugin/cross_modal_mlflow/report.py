"""What a command measured: a table for the terminal, and one JSON object for programs."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cross_modal.errors import CrossModalError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

INTERVAL = "/ci95"
_SHARES = (  # parts of names of what is shown as a percentage
    "recall_at",
    "map_at",
    "mrr",
    "auroc",
    "fpr_at",
    "accuracy_at",
    "accept_rate",
    "reject_rate",
    "/eer",
    "balanced_accuracy",
    "true_accepts_at",
    "identification_rate",
    "rank1",
)


@dataclass
class Report:
    """What ``--json`` writes.

    Attributes:
        command: The command.
        protocol: Data digest, split, seeds, episodes, method.
        metrics: Name → number, half-widths of intervals included as "…/ci95".
        seconds: Phase → seconds.
        run_id: The MLflow run.
        version: The version of cross-modal.
    """

    command: str
    protocol: dict[str, Any]
    metrics: dict[str, float]
    seconds: dict[str, float] = field(default_factory=dict)
    run_id: str | None = None
    version: str = ""

    def __post_init__(self) -> None:
        if not self.version:
            from cross_modal import __version__

            self.version = __version__


@dataclass(frozen=True)
class Goal:
    """What a metric should reach, as the table says it and as a number.

    Attributes:
        text: E.g. "≥ 97.5 %".
        reached: Whether it did.
    """

    text: str
    reached: bool


def write_json(report: Report, path: Path) -> None:
    """Writes a report atomically: a reader meets the whole object or none. Numbers that JSON lacks become null."""
    content = {
        name: getattr(report, name) for name in ("command", "version", "protocol", "metrics", "seconds", "run_id")
    }
    handle, aside = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(_finite(content), file, indent=2, ensure_ascii=False, allow_nan=False)
            file.write("\n")
        os.chmod(aside, 0o644)
        os.replace(aside, path)
    except OSError as error:
        raise CrossModalError(f"{path}: the report could not be written ({error.strerror})") from None
    finally:
        Path(aside).unlink(missing_ok=True)


def metric_table(metrics: Mapping[str, float], goals: Mapping[str, Goal] | None = None) -> Table:
    """A table of metrics with their intervals and, where there are any, their goals.

    Args:
        metrics: Name → number; "…/ci95" stands beside its metric.
        goals: Name → goal.

    Returns:
        A rich table, episodes first, retrieval next.
    """
    from rich.table import Table

    table = Table(header_style="bold")
    table.add_column("metric", overflow="fold")  # a narrow terminal gets the whole name all the same
    table.add_column("value", justify="right")
    table.add_column("± 95 %", justify="right")
    if goals:
        table.add_column("goal")
    section = None
    for name in sorted((name for name in metrics if not name.endswith(INTERVAL)), key=_order):
        if section not in {None, name.split("/")[0]}:
            table.add_section()
        section = name.split("/")[0]
        row = [
            name if section == "verification" else name.removesuffix("/accuracy"),
            _number(name, metrics[name]),
            _half_width(name, metrics),
        ]
        goal = (goals or {}).get(name)
        if goal is not None:
            row.append(
                f"{goal.text}  [{'green' if goal.reached else 'red'}]{'reached' if goal.reached else 'missed'}[/]"
            )
        table.add_row(*row)
    return table


def print_lines(console: Console, lines: Iterable[str]) -> None:
    """Prints lines that people copy: never wrapped, never coloured."""
    for line in lines:
        console.print(line, soft_wrap=True, markup=False, highlight=False)


def _half_width(name: str, metrics: Mapping[str, float]) -> str:
    for key in (name.removesuffix("/accuracy") + INTERVAL, name + INTERVAL):
        if key in metrics:
            return _number(name, metrics[key])
    return ""


def _number(name: str, value: float) -> str:
    """Shares as percentages, counts as integers, everything else with four digits."""
    if math.isnan(value):
        return "–"
    if name.endswith("/accuracy") or any(part in name for part in _SHARES):
        return f"{100 * value:.2f} %"
    return f"{value:,.0f}" if float(value).is_integer() and abs(value) >= 1 else f"{value:.4g}"


def _order(name: str) -> tuple[Any, ...]:
    """Episodes, retrieval, the rest; numbers inside a name by their size."""
    sections = ("episodes", "open_set", "lake", "retrieval", "verification", "identification")
    head = name.split("/")[0]
    place = sections.index(head) if head in sections else len(sections)
    pieces = [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in _split_digits(name)]
    return (place, pieces)


def _split_digits(name: str) -> list[str]:
    import re

    return [part for part in re.split(r"(\d+)", name) if part]


def _finite(value: Any) -> Any:
    """The same, with None for NaN and the infinities: JSON has neither."""
    if isinstance(value, Mapping):
        return {str(key): _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _finite(dataclasses.asdict(value))
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
