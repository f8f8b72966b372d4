"""``cross-modal verify --pairs`` on a file with verdicts: a measurement, so an MLflow run as `evaluate` makes one."""

from __future__ import annotations

import hashlib
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cross_modal.encoders.embedding import Progress
from cross_modal.errors import CrossModalError
from cross_modal_mlflow.pair_evidence import log_nearest
from cross_modal_mlflow.pair_run import log_measured_pairs, log_options
from cross_modal_mlflow.report import Report
from cross_modal_mlflow.store import Store
from cross_modal_mlflow.tracking import TrackedRun, tracked_run
from cross_modal_mlflow.verification_answer import Verifier
from cross_modal_mlflow.verification_file import FileResult, FileVerification

if TYPE_CHECKING:
    from cross_modal_mlflow.verify_options import VerifyOptions

ANSWERS = "answers.csv"  # the artifact


@dataclass(frozen=True)
class FileReport:
    """What there is to say of a file.

    Attributes:
        result: Its counts.
        report: For ``--json``, with the run where it was tracked.
        store: Where it was tracked, or None.
    """

    result: FileResult
    report: Report
    store: Store | None = None


def report_file(
    options: VerifyOptions,
    verifier: Verifier,
    about: dict[str, Any],
    store: Callable[[], Store],
    progress: Progress | None = None,
) -> FileReport:
    """Answers a file; one that has verdicts is measured and, unless that is not wanted, tracked.

    Args:
        options: The file is `pairs`, the answers go to `out`; `no_track` leaves no run.
        verifier: The twin with its thresholds.
        about: What the protocol says of the model.
        store: Opens the tracking store, if it is needed.
        progress: Called with the number of pairs just done.

    Raises:
        CrossModalError: One line with file, row and reason.
    """
    source, out = Path(str(options.pairs)), None if options.out is None else Path(options.out)
    file = FileVerification(verifier, source)
    if options.no_track or not file.given:
        return _answered(file, out, about, progress)
    opened = store()
    with (
        tracked_run("verify", opened, name=f"verify {source.name}"[:80]) as run,
        tempfile.TemporaryDirectory() as folder,
    ):
        log_options(run, options)
        digest = file_digest(source)
        run.tags({"cross_modal.data": source, "cross_modal.digest": digest})
        answers = Path(folder) / ANSWERS
        found = _answered(file, out, {**about, "digest": digest}, progress, answers)
        found.report.run_id = run.run_id
        _log(run, found, answers)
    return replace(found, store=opened)


def file_digest(path: Path) -> str:
    """16 hex digits of a SHA-256 over a file's content."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()[:16]
    except OSError as error:
        raise CrossModalError(f"{path}: could not be read ({error.strerror})") from None


def _answered(
    file: FileVerification,
    out: Path | None,
    about: dict[str, Any],
    progress: Progress | None,
    copy: Path | None = None,
) -> FileReport:
    """Answers all rows."""
    began = time.perf_counter()
    result = file.run(out, progress, copy)
    protocol = {
        **about,
        "data": str(file.source),
        "rows": result.rows,
        "items_encoded": result.encoded,
        "skipped": len(result.skipped),
        "comparisons": result.comparisons,
        "answered_same": result.same,
        "answered_different": result.different,
        "notes": result.notes,
    }
    return FileReport(result, Report("verify", protocol, result.metrics, {"scoring": time.perf_counter() - began}))


def _log(run: TrackedRun, found: FileReport, answers: Path) -> None:
    """Logs numbers, figures, the pairs nearest to the threshold, the rows without an answer, and the answers."""
    result, measures = found.result, found.result.measures
    counts = {"rows": result.rows, "items": result.encoded, "skipped": len(result.skipped)}
    run.parameters({"data": counts | {f"pairs.{kind}": count for kind, count in result.comparisons.items()}})
    log_measured_pairs(run, found.report, result.notes, result.scored, measures)
    if measures is not None and measures.threshold is not None and len(result.nearest):
        nearest, probabilities = result.nearest.scored(measures.threshold, found.report.protocol["data"])
        log_nearest(run, nearest, measures.threshold, probabilities)
    if result.skipped:
        columns: dict[str, list[Any]] = {
            name: [getattr(bad, name) for bad in result.skipped] for name in ("row", "where", "reason")
        }
        run.table(columns, "skipped_items.json")
    run.artifact(answers)
    run.metrics({f"seconds/{name}": value for name, value in found.report.seconds.items()})
