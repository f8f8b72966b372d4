"""What a K-shot evaluation leaves behind: the artifacts of its run, and the files that were asked for."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cross_modal.errors import CrossModalError
from cross_modal.fewshot.kshot_result import KShotResult
from cross_modal_mlflow.kshot_figure import learning_curves
from cross_modal_mlflow.kshot_table import kshot_columns, kshot_csv
from cross_modal_mlflow.report import Report
from cross_modal_mlflow.tracking import TrackedRun


@dataclass(frozen=True)
class KShotOutcome:
    """What a K-shot evaluation gave.

    Attributes:
        report: For ``--json``.
        result: All fits.
        notes: What a reader must know, a sentence each.
    """

    report: Report
    result: KShotResult
    notes: list[str]


def log_kshot(run: TrackedRun, outcome: KShotOutcome, names: Mapping[str, str]) -> None:
    """Logs metrics, protocol, splits, tables and the learning curve.

    Args:
        run: The run.
        outcome: What was measured.
        names: Item id → where the item is, for the readers of the splits.
    """
    report, result = outcome.report, outcome.result
    run.tags({"cross_modal.protocol": result.protocol})
    run.metrics(report.metrics)
    run.document(report.protocol, "protocol.json")
    run.document(report.metrics, "metrics.json")
    splits = [json.loads(split.to_json()) for split in result.splits]
    run.document({"digests": result.split_digests, "splits": splits, "items": dict(names)}, "splits.json")
    run.text(kshot_csv(result.rows, result.protocol), "kshot.csv")
    run.table(kshot_columns(report.metrics), "kshot.json")
    run.figure(learning_curves(report.metrics, result.protocol), "kshot.png")
    if outcome.notes:
        run.text("\n".join(outcome.notes) + "\n", "notes.txt")


def check_csv(file: str | None) -> None:
    """Makes sure, before any work, that ``--csv FILE`` can be written.

    Raises:
        CrossModalError: It cannot.
    """
    if file is None:
        return
    path = Path(file)
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_dir() or not os.access(path.parent, os.W_OK):
        raise CrossModalError(f"--csv: expected a file in a folder that can be written to, found {path}")


def write_csv(outcome: KShotOutcome, file: str) -> None:
    """Writes the fits as CSV, whole or not at all."""
    path = Path(file)
    handle, aside = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as stream:
            stream.write(kshot_csv(outcome.result.rows, outcome.result.protocol))
        os.chmod(aside, 0o644)
        os.replace(aside, path)
    except OSError as error:
        raise CrossModalError(f"{path}: the table could not be written ({error.strerror})") from None
    finally:
        Path(aside).unlink(missing_ok=True)
