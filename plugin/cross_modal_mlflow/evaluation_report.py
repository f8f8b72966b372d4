"""What an evaluation leaves in its run besides metrics: protocol, tables, figures and the page of matches."""

from __future__ import annotations

from typing import Any

import numpy as np

from cross_modal.data.items import Items
from cross_modal.fewshot.scoring import Metric
from cross_modal_mlflow import figures
from cross_modal_mlflow.evaluation_artifacts import FIRST, EvaluationArtifacts
from cross_modal_mlflow.evaluation_figures import episode_accuracies, verification_curves
from cross_modal_mlflow.evaluation_settings import FewShotSettings
from cross_modal_mlflow.evaluation_table import EvaluationTable
from cross_modal_mlflow.evidence import DRAWN, confusion_table, find_matches, hardest, match_table
from cross_modal_mlflow.few_shot_measures import FewShotResult
from cross_modal_mlflow.kshot_figure import learning_curves
from cross_modal_mlflow.kshot_table import kshot_columns, kshot_csv
from cross_modal_mlflow.match_page import SIDE, caption, match_page, thumbnail

HARDEST_PAIRS = 20


def log_report(
    artifacts: EvaluationArtifacts,
    protocol: dict[str, Any],
    table: EvaluationTable,
    result: FewShotResult,
    settings: FewShotSettings,
    metric: Metric,
) -> None:
    """Logs everything.

    Args:
        artifacts: Where to.
        protocol: How it was measured.
        table: What was measured.
        result: What came out.
        settings: For the episodes behind the confusions.
        metric: How embeddings are compared.
    """
    artifacts.document(protocol, FIRST)  # its name is how a later evaluation in the run finds a free one
    artifacts.table(metric_table(result.metrics), "metrics")
    artifacts.figure(episode_accuracies(result.metrics), "episodes")
    if result.evaluated is not None:
        _log_evidence(artifacts, table.items.take(table.measured), result, settings, metric)
    if result.kshot is not None:
        metrics = result.kshot.metrics()
        artifacts.table(kshot_columns(metrics), "kshot")
        artifacts.text(kshot_csv(result.kshot.rows, result.kshot.protocol), "kshot_fits", "csv")
        artifacts.figure(learning_curves(metrics, result.kshot.protocol), "kshot_curves")
    if result.verification is not None and result.pairs is not None:
        found = result.verification
        artifacts.figure(verification_curves(found.scores, found.same, result.metrics), "verification")
        artifacts.table(pair_columns(table.items, result), "hardest_pairs")
    if result.notes:
        artifacts.text("\n".join(result.notes) + "\n", "notes")


def metric_table(metrics: dict[str, float]) -> dict[str, list[Any]]:
    """One row a metric, its interval beside it.

    >>> metric_table({"a/b": 0.5, "a/b/ci95": 0.1, "c": 1.0})
    {'metric': ['a/b', 'c'], 'value': [0.5, 1.0], '± 95 %': [0.1, None]}
    """
    names = [name for name in metrics if not name.endswith("/ci95")]
    return {
        "metric": names,
        "value": [metrics[name] for name in names],
        "± 95 %": [metrics.get(f"{name}/ci95") for name in names],
    }


def pair_columns(items: Items, result: FewShotResult) -> dict[str, list[Any]]:
    """The pairs on the wrong side by most: the most alike that differ, the least alike that are the same, in turns."""
    assert result.pairs is not None
    assert result.verification is not None
    pairs, scores = result.pairs, result.verification.scores
    order = np.argsort(scores, kind="stable")
    lowest, highest = order[pairs.same[order]], order[::-1][~pairs.same[order[::-1]]]
    turns = [place for both in zip(lowest, highest, strict=False) for place in both][:HARDEST_PAIRS]
    columns: dict[str, list[Any]] = {
        "same": [bool(pairs.same[place]) for place in turns],
        "score": [round(float(scores[place]), 4) for place in turns],
    }
    for side, rows in (("a", pairs.a), ("b", pairs.b)):
        columns[side] = [caption(items, int(rows[place])) for place in turns]
        if items.has_images:
            columns[f"{side}_looks"] = [_picture(items, int(rows[place])) for place in turns]
    return columns


def _log_evidence(
    artifacts: EvaluationArtifacts, items: Items, result: FewShotResult, settings: FewShotSettings, metric: Metric
) -> None:
    """Example matches, and the confusions of the hardest classes."""
    assert result.evaluated is not None
    sections = find_matches(items, result.evaluated, result.rows, metric)
    if any(sections):
        artifacts.text(match_page(items, sections, f"Matches on {items.source}"), "matches", "html")
        for section in filter(None, sections):
            artifacts.table(match_table(items, section), section[0].task.replace(" → ", "_to_"))
    if items.labels is None or not any(name.startswith("episodes/") for name in result.metrics):
        return
    found = hardest(items, result.evaluated, settings.evaluation, result.mixture, metric)
    if found is None:
        return
    title, pairs = found
    drawn = [
        figures.ConfusedPair(*pair[:4], (thumbnail(items, pair[4]), thumbnail(items, pair[5])))
        for pair in pairs[:DRAWN]
    ]
    artifacts.figure(figures.confusion(drawn, title), "hardest_classes")
    artifacts.table(confusion_table(items, pairs), "hardest_class_pairs")


def _picture(items: Items, row: int) -> Any:
    """A thumbnail that MLflow's table shows; a blank one where there is none (columns hold one type)."""
    import mlflow

    picture = thumbnail(items, row)
    return mlflow.Image(np.full((SIDE, SIDE, 3), 230, np.uint8) if picture is None else picture)
