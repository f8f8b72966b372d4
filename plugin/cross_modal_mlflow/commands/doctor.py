"""``cross-modal doctor``: checks the installation and the places that commands write to, and says what to do."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cross_modal_mlflow.arguments import parse
from cross_modal_mlflow.command_line import Call

if TYPE_CHECKING:
    from rich.table import Table

    from cross_modal_mlflow.doctor import Check

EXAMPLES = """\
examples:
  cross-modal doctor                                     exit code 1 where something is broken
  cross-modal doctor --packages                          for a bug report
  MLFLOW_TRACKING_URI=http://host:5000 cross-modal doctor"""
BROKEN = 1
_COLOURS = {"ok": "green", "warning": "yellow", "broken": "red"}


@dataclass
class DoctorOptions:
    """What is shown.

    Attributes:
        packages: List every package that cross-modal requires with its version.
    """

    packages: bool = False


def run(call: Call) -> int:
    """Runs the command.

    Returns:
        The exit code: 0, or 1 where something is broken.
    """
    options = parse(DoctorOptions, call.arguments, command=call.command, examples=EXAMPLES, usage="[options]")
    from cross_modal_mlflow.doctor import examine
    from cross_modal_mlflow.installation_checks import installed_versions
    from cross_modal_mlflow.report import print_lines
    from cross_modal_mlflow.summary import stderr, stdout

    with stderr().status("looking at the installation"):
        checks = examine()
    if call.json is not None:
        _write_json(call.command, call.json, checks, installed_versions())
    console = stdout()
    console.print(check_table(checks))
    if options.packages:
        print_lines(console, [f"{name}=={number}" for name, number in installed_versions().items()])
    print_lines(console, said(checks))
    return BROKEN if any(check.status == "broken" for check in checks) else 0


def check_table(checks: Sequence[Check]) -> Table:
    """One row a check.

    Args:
        checks: What was found.

    Returns:
        A rich table.
    """
    from rich.markup import escape
    from rich.table import Table

    table = Table(header_style="bold")
    table.add_column("check", no_wrap=True)
    table.add_column("")
    table.add_column("found", overflow="fold")
    for check in checks:
        status = f"[{_COLOURS[check.status]}]{check.status}[/]"
        table.add_row(escape(check.name), status, escape(check.found))
    return table


def said(checks: Sequence[Check]) -> list[str]:
    """The lines below the table: what to do, worst first; they are copied, so nothing wraps them.

    Args:
        checks: What was found.

    Example:
        >>> from cross_modal_mlflow.doctor import Check
        >>> said([Check("torch", "ok", "2.6"), Check("disk", "broken", "full", "make room")])
        ['1 of 2 checks found something broken', '', 'what to do:', '  disk: make room']
    """
    broken = [check for check in checks if check.status == "broken"]
    warnings = [check for check in checks if check.status == "warning"]
    if broken:
        lines = [f"{len(broken)} of {len(checks)} checks found something broken"]
    else:
        lines = ["all is well" if not warnings else f"nothing is broken, {len(warnings)} of {len(checks)} checks warn"]
    todo = [f"  {check.name}: {check.advice}" for check in [*broken, *warnings] if check.advice]
    return [*lines, "", "what to do:", *todo] if todo else lines


def _write_json(command: str, path: Path, checks: Sequence[Check], packages: dict[str, str]) -> None:
    """Writes ``--json`` aside and renames it: a reader meets the whole object or none."""
    from cross_modal import __version__

    content = {
        "command": command,
        "version": __version__,
        "broken": sum(check.status == "broken" for check in checks),
        "checks": [asdict(check) for check in checks],
        "packages": packages,
    }
    with tempfile.TemporaryDirectory(prefix=f".{path.name}-", dir=path.parent) as folder:
        aside = Path(folder) / path.name
        aside.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        os.replace(aside, path)
