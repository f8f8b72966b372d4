"""The twin of a run in the store: a LoggedModel of the run, and its scores on the data that they were measured on."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cross_modal.data.items import Items
from cross_modal.data.pairs import Pairs
from cross_modal_mlflow.example_request import example_pairs, example_request
from cross_modal_mlflow.flavor import log_model
from cross_modal_mlflow.metric_buffer import BATCH, metric_name
from cross_modal_mlflow.model_summary import model_summary, summary_tags
from cross_modal_mlflow.tracking import TrackedRun, shorten

if TYPE_CHECKING:
    from mlflow.models.model import ModelInfo

    from cross_modal.encoders.twin import TwinEncoder
    from cross_modal.verification.pair_scorer import PairScorer
    from cross_modal.verification.saved_calibration import SavedCalibration

TYPE = "few-shot"  # the model type that the evaluator answers to


def log_twin(
    run: TrackedRun,
    twin: TwinEncoder,
    name: str,
    card: dict[str, Any],
    items: Items,
    step: int,
    *,
    scorer: PairScorer | None = None,
    calibration: SavedCalibration | None = None,
    pairs: Pairs | None = None,
) -> ModelInfo:
    """Logs the twin as a model of the run, with an example request and what it is compared by as tags.

    Args:
        run: The run.
        twin: The twin.
        name: The model's name: it is found as ``runs:/ID/NAME``.
        card: What is kept with it.
        items: All items; the example is taken from those that it was not trained on, where there are any.
        step: The step that it was taken at.
        scorer: What scores its pairs; a head of it is kept.
        calibration: Its thresholds of "same or not".
        pairs: What it learned from, where that were pairs: the example then asks whether two are the same.

    Returns:
        What MLflow knows of it; where an earlier process of the run has logged it whole, what it knows of that.
    """
    earlier = _logged_before(run, name)
    if earlier is not None:
        return earlier
    run.flush()  # MLflow links the run's metrics of this step to the model: those that it finds
    test = items.split("test")
    if pairs is None:
        example = example_request(twin, test if len(test) else items)
    else:
        unseen = pairs.split("test")
        example = example_pairs(twin, unseen if len(unseen) else pairs)
    tags = {key: shorten(value) for key, value in summary_tags(model_summary(twin, card)).items()}
    return log_model(
        twin,
        name,
        card=card,
        calibration=calibration,
        pair_head=None if scorer is None else scorer.head,
        input_example=example,
        tags=tags,
        model_type=TYPE,
        step=step,
        run_id=run.run_id,
    )


def _logged_before(run: TrackedRun, name: str) -> ModelInfo | None:
    """The model that a run which is taken up again has logged already; one that is not whole is removed."""
    if run.known is None:
        return None
    import mlflow
    from mlflow.entities import LoggedModelStatus

    client, experiment = run.store.client, run.store.client.get_run(run.run_id).info.experiment_id
    asked = f"source_run_id = '{run.run_id}' AND name = '{name}'"
    whole = None
    for model in client.search_logged_models([experiment], filter_string=asked):
        if model.status == LoggedModelStatus.READY:
            whole = model.model_id
        else:
            client.delete_logged_model(model.model_id)
    return None if whole is None else mlflow.models.get_model_info(f"models:/{whole}")


def log_model_metrics(
    run: TrackedRun, model_id: str, items: Items, metrics: Mapping[str, float], step: int, split: str = "test"
) -> None:
    """Logs what was measured, for the run and for its model, linked to the dataset: models can be ranked by it.

    Args:
        run: The run.
        model_id: The logged model.
        items: All items.
        metrics: Name → number.
        step: The step that the model was taken at.
        split: The split that was measured, which the run has as a dataset.
    """
    from mlflow.entities import Metric

    now, name, digest = int(time.time() * 1000), dataset_name(items), items.split(split).digest
    rows = [
        Metric(metric_name(key), float(value), now, step, model_id, name, digest, run.run_id)
        for key, value in metrics.items()
        if not run.has_logged(key, step)
    ]
    for start in range(0, len(rows), BATCH):
        run.store.client.log_batch(run.run_id, metrics=rows[start : start + BATCH])


def dataset_name(items: Items) -> str:
    """What MLflow calls the data: the last part of its source."""
    return Path(items.source).name or items.source
