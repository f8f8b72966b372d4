"""What every run that measures pairs logs: its settings first, its numbers and figures last.

``cross-modal evaluate`` on a manifest of pairs and ``cross-modal verify --pairs`` on a file with verdicts leave the
same traces: their runs stand side by side in MLflow.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

import yaml

from cross_modal_mlflow.pair_evidence import log_pair_evidence
from cross_modal_mlflow.pair_measurement import PairMeasures, ScoredPairs
from cross_modal_mlflow.report import Report
from cross_modal_mlflow.tracking import TrackedRun

if TYPE_CHECKING:
    from cross_modal_mlflow.evaluate_options import EvaluateOptions
    from cross_modal_mlflow.verify_options import VerifyOptions


def log_options(run: TrackedRun, options: EvaluateOptions | VerifyOptions) -> None:
    """Logs what is known before the work: settings, the model, the environment.

    Args:
        run: The run.
        options: The command's options.
    """
    run.parameters(options)
    run.tags({"cross_modal.model": options.model})
    run.text(yaml.safe_dump(dataclasses.asdict(options), sort_keys=False, allow_unicode=True), "config.yaml")
    run.environment()


def log_measured_pairs(
    run: TrackedRun, report: Report, notes: Sequence[str], scored: ScoredPairs | None, measures: PairMeasures | None
) -> None:
    """Logs what was measured.

    Args:
        run: The run.
        report: Metrics and protocol.
        notes: Sentences, one a line.
        scored: The pairs with their scores; None where they could not be measured.
        measures: What was measured on them, or None.
    """
    run.metrics(report.metrics)
    run.document(report.protocol, "protocol.json")
    run.document(report.metrics, "metrics.json")
    if scored is not None and measures is not None:
        log_pair_evidence(run, scored, measures)
    if notes:
        run.text("\n".join(notes) + "\n", "notes.txt")
