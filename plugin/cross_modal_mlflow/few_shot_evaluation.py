"""The work of the evaluator `few_shot`: a table and a model in, MLflow's `EvaluationResult` out.

The order is that of cost: settings, table and pools are checked before the model is asked for a single embedding.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from cross_modal.configuration import DataConfig
from cross_modal.data.items import Items
from cross_modal.data.sources import check_pictures
from cross_modal.errors import CrossModalError
from cross_modal.fewshot.kshot_items import KShotItems
from cross_modal.fewshot.scoring import Metric
from cross_modal_mlflow.evaluation_artifacts import EvaluationArtifacts
from cross_modal_mlflow.evaluation_report import log_report
from cross_modal_mlflow.evaluation_settings import FewShotSettings
from cross_modal_mlflow.evaluation_table import EvaluationTable, read_evaluation_table, without_modality
from cross_modal_mlflow.few_shot_measures import FewShotResult, measure, plan_pools
from cross_modal_mlflow.metric_buffer import metric_name
from cross_modal_mlflow.model_facts import ModelFacts, facts_of
from cross_modal_mlflow.predicted_embeddings import ItemEmbeddings, embed_by_model, embeddings_of_column

if TYPE_CHECKING:
    from mlflow.models import EvaluationResult


def evaluate_few_shot(
    *,
    model: Any,
    model_type: str,
    dataset: Any,
    run_id: str,
    config: Mapping[str, Any],
    output: str | None = None,
    logs_metrics: bool = True,
) -> EvaluationResult:
    """Measures and logs.

    Args:
        model: A pyfunc model, or None where the table brings embeddings.
        model_type: "few-shot", "retrieval" or "verification".
        dataset: MLflow's `EvaluationDataset`.
        run_id: The run.
        config: ``evaluator_config``.
        output: The column of the model's answer that holds the embeddings; None finds it.
        logs_metrics: Whether metrics are logged here; False where MLflow does it.

    Returns:
        Metrics and artifacts.

    Raises:
        CrossModalError: Settings, table or model do not allow it.
    """
    from mlflow.models import EvaluationResult

    settings = FewShotSettings.of(config)
    facts = facts_of(model)
    table = read_evaluation_table(dataset, with_model=model is not None, split=settings.split)
    notes: list[str] = []
    if model is not None:
        table = _as_the_model_reads(table, facts, notes)
        check_pictures(table.items, DataConfig())
    pools = plan_pools(table, model_type, settings)
    metric = cast(Metric, settings.metric or facts.metric)
    embedded = _embeddings(model, table, pools, facts, settings, output)
    result = measure(embedded, table, model_type, settings, metric=metric, mixture=facts.mixture, pools=pools)
    result.notes = [*notes, *_leak_notes(facts, table), *result.notes]
    metrics = {metric_name(name): value for name, value in result.metrics.items() if np.isfinite(value)}
    artifacts = EvaluationArtifacts(run_id)
    protocol = _protocol(dataset, table, model_type, settings, metric, facts, result)
    log_report(artifacts, protocol, table, result, settings, metric)
    if logs_metrics:
        _log(metrics, run_id, dataset, facts)
    return EvaluationResult(metrics=metrics, artifacts=artifacts.found, run_id=run_id)


def _as_the_model_reads(table: EvaluationTable, facts: ModelFacts, notes: list[str]) -> EvaluationTable:
    """The table without what the model has no trunk for; a note says so."""
    for kind, able, found in (
        ("pictures", facts.images, table.items.has_images),
        ("texts", facts.texts, table.items.has_texts),
    ):
        if found and not able:
            notes.append(f"the model reads no {kind}: those of the table are passed over")
    table = without_modality(table, facts.images, facts.texts)
    if not table.items.has_images and not table.items.has_texts:
        raise CrossModalError(f"data: {notes[0] if notes else 'expected pictures or texts, found none'}")
    return table


def _embeddings(
    model: Any,
    table: EvaluationTable,
    pools: KShotItems | str | None,
    facts: ModelFacts,
    settings: FewShotSettings,
    output: str | None,
) -> ItemEmbeddings:
    """Embeddings of the rows that are needed; rows of other splits are not asked for."""
    if table.embeddings is not None:
        return embeddings_of_column(table.items, table.embeddings)
    needed = np.zeros(len(table.items), bool)
    needed[table.measured] = True
    if isinstance(pools, KShotItems):
        for rows in (pools.support, pools.validation, pools.test, pools.texts):
            needed[rows] = True
    if facts.mixture is None and table.items.splits is not None:
        needed |= table.items.splits == "validation"
    kept = np.flatnonzero(needed)
    some = embed_by_model(model, table.items.take(kept), batch=settings.batch, output=output)
    image_of, text_of = (np.full(len(table.items), -1, np.int64) for _ in range(2))
    image_of[kept], text_of[kept] = some.image_of, some.text_of
    return replace(some, items=table.items, image_of=image_of, text_of=text_of)


def _leak_notes(facts: ModelFacts, table: EvaluationTable) -> list[str]:
    """A sentence where classes that are measured were trained on."""
    from cross_modal_mlflow.evaluate_model import leak_notes

    return leak_notes(dict(facts.card), table.items.take(table.measured))


def _protocol(
    dataset: Any,
    table: EvaluationTable,
    model_type: str,
    settings: FewShotSettings,
    metric: Metric,
    facts: ModelFacts,
    result: FewShotResult,
) -> dict[str, Any]:
    """What was measured, on what, how: everything that somebody needs to measure it again."""
    from cross_modal_mlflow.dataset_profile import dataset_profile

    measured: Items = table.items.take(table.measured)
    learned = "of the model" if facts.mixture is not None else "learned on the table's validation rows"
    return {
        "data": str(dataset.name),
        "digest": dataset.digest,
        "split": table.split,
        **({} if table.split == "all" else {"split_digest": measured.digest}),
        "profile": dataset_profile(measured),
        "model_type": model_type,
        "model_id": facts.model_id,
        "settings": asdict(settings),
        "metric": metric,
        "mixture": None if result.mixture is None else learned,
        "pairs": None if result.pairs is None else "of the table" if table.pairs is not None else "drawn from labels",
        "kshot": None if result.kshot is None else result.kshot.protocol,
        "interval": "95 %, Student t; verification: bootstrap, half of the central 95 %",
        "notes": result.notes,
    }


def _log(metrics: Mapping[str, float], run_id: str, dataset: Any, facts: ModelFacts) -> None:
    """Logs the metrics, linked to the dataset and to the model, where it is a logged one."""
    from mlflow import MlflowClient
    from mlflow.entities import Metric as MlflowMetric

    from cross_modal_mlflow.metric_buffer import BATCH

    now, digest = int(time.time() * 1000), dataset.digest
    linked = {"dataset_name": str(dataset.name), "dataset_digest": digest} if digest else {}
    rows = [
        MlflowMetric(name, float(value), now, 0, model_id=facts.model_id, run_id=run_id, **linked)
        for name, value in metrics.items()
    ]
    for start in range(0, len(rows), BATCH):
        MlflowClient().log_batch(run_id, metrics=rows[start : start + BATCH])
