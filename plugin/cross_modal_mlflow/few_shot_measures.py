"""What an evaluation measures on embeddings: episodes and retrieval, the K-shot protocol, verification.

Each part that the data does not allow is left out and the reason noted; an evaluation with nothing left fails. The
model types "retrieval" and "verification" measure that part alone, and fail with its reason.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from cross_modal.configuration import EvaluationConfig
from cross_modal.errors import CrossModalError
from cross_modal.evaluation import EvaluationItems, evaluate_embeddings
from cross_modal.fewshot.kshot_items import KShotItems, kshot_items
from cross_modal.fewshot.kshot_result import KShotResult
from cross_modal.fewshot.mixture import Mixture, fit_mixture
from cross_modal.fewshot.scoring import Metric
from cross_modal.verification.bootstrap import owners_of
from cross_modal.verification.measurement import VerificationResult, measure_verification
from cross_modal.verification.pair_scores import pair_scores
from cross_modal_mlflow.evaluation_settings import FewShotSettings
from cross_modal_mlflow.evaluation_table import EvaluationTable
from cross_modal_mlflow.kshot_of_embeddings import measure_kshot
from cross_modal_mlflow.pair_table import ItemPairs, draw_pairs
from cross_modal_mlflow.predicted_embeddings import ItemEmbeddings


@dataclass
class FewShotResult:
    """What was measured.

    Attributes:
        metrics: Name → number, half-widths under `…/ci95`.
        notes: What was left out and why, and what a reader must know.
        mixture: How picture and name were weighed, or None.
        evaluated: Embeddings of the measured split, or None where no episodes or retrieval were asked for.
        rows: Rows of the table behind its pictures and its texts.
        kshot: The K-shot experiment, or None.
        pairs: The pairs that were verified, or None.
        verification: Their scores, or None.
    """

    metrics: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    mixture: Mixture | None = None
    evaluated: EvaluationItems | None = None
    rows: tuple[np.ndarray, np.ndarray] = (np.zeros(0, np.int64), np.zeros(0, np.int64))
    kshot: KShotResult | None = None
    pairs: ItemPairs | None = None
    verification: VerificationResult | None = None


def plan_pools(table: EvaluationTable, model_type: str, settings: FewShotSettings) -> KShotItems | str | None:
    """The pools of the K-shot protocol; a sentence where the data does not allow them, None where nobody asked."""
    items = table.items
    if model_type != "few-shot" or not settings.kshot or items.labels is None or not items.has_images:
        return None
    try:
        return kshot_items(items, table.split)
    except CrossModalError as error:
        return f"K-shot: {error}"


def measure(
    embedded: ItemEmbeddings,
    table: EvaluationTable,
    model_type: str,
    settings: FewShotSettings,
    *,
    metric: Metric = "cosine",
    mixture: Mixture | None = None,
    pools: KShotItems | str | None = None,
) -> FewShotResult:
    """Measures what the model type asks for and the data allows.

    Args:
        embedded: Embeddings of the table's items.
        table: What is measured.
        model_type: "few-shot", "retrieval" or "verification".
        settings: How.
        metric: How embeddings are compared.
        mixture: The model's own; None learns one on the table's validation rows, where there are any.
        pools: As `plan_pools` gives them.

    Raises:
        CrossModalError: Nothing could be measured.
    """
    result = FewShotResult(mixture=mixture or _learned_mixture(embedded, table, settings, metric))
    parts: list[Callable[[], None]] = []
    if model_type != "verification" and (table.pairs is None or table.items.labels is not None):
        parts.append(lambda: _episodes_and_retrieval(result, embedded, table, model_type, settings, metric))
    if model_type == "few-shot" and isinstance(pools, KShotItems):
        parts.append(lambda: _kshot(result, embedded, pools, settings, metric))
    if model_type == "verification" or (model_type == "few-shot" and (table.pairs is not None or settings.pairs)):
        parts.append(lambda: _verification(result, embedded, table, settings, metric))
    for part in parts:
        try:
            part()
        except CrossModalError as error:
            result.notes.append(str(error))
    if isinstance(pools, str):
        result.notes.append(pools)
    if not result.metrics:
        reason = result.notes[0] if result.notes else "the table holds pairs, which have no classes"
        raise CrossModalError(f"nothing could be measured: {reason}")
    result.notes = list(dict.fromkeys(result.notes))
    return result


def evaluation_items(embedded: ItemEmbeddings) -> tuple[EvaluationItems, tuple[np.ndarray, np.ndarray]]:
    """Embeddings with what is known of their rows, one row a distinct picture and text of a class.

    Returns:
        The items to evaluate, and the rows of the table behind pictures and texts.
    """
    items, ids = embedded.items, embedded.items.class_ids
    images, texts = _first_of(ids, embedded.image_of), _first_of(ids, embedded.text_of)

    def of_images(cells: np.ndarray | None) -> np.ndarray | None:
        return None if cells is None else cells[images]

    return EvaluationItems(
        images=embedded.images[embedded.image_of[images]] if embedded.images is not None and len(images) else None,
        image_classes=ids[images],
        texts=embedded.texts[embedded.text_of[texts]] if embedded.texts is not None and len(texts) else None,
        text_classes=ids[texts],
        groups=of_images(items.groups),
        sets=of_images(items.sets),
        prefixes=of_images(items.prefixes),
        genuine=of_images(items.genuine),
    ), (images, texts)


def _first_of(ids: np.ndarray, things: np.ndarray) -> np.ndarray:
    """The first row of each distinct thing of each class, in the order of the rows; (n,) int64."""
    rows = np.flatnonzero(things >= 0)
    keys = np.stack([ids[rows], things[rows]], axis=1)
    return rows[np.sort(np.unique(keys, axis=0, return_index=True)[1])]


def _episodes_and_retrieval(
    result: FewShotResult,
    embedded: ItemEmbeddings,
    table: EvaluationTable,
    model_type: str,
    settings: FewShotSettings,
    metric: Metric,
) -> None:
    config = settings.evaluation
    if model_type == "retrieval" or table.items.labels is None:
        config = replace(config, ways=[], shots=[])  # without labels every picture is its own class
    evaluated, rows = evaluation_items(embedded.take(table.measured))
    measured = evaluate_embeddings(evaluated, config, mixture=result.mixture, metric=metric)
    result.metrics |= measured.metrics
    result.notes += measured.notes
    result.evaluated, result.rows = evaluated, rows


def _kshot(
    result: FewShotResult, embedded: ItemEmbeddings, pools: KShotItems, settings: FewShotSettings, metric: Metric
) -> None:
    try:
        result.kshot = measure_kshot(embedded, pools, settings, metric, embedded.items.source)
    except CrossModalError as error:
        raise CrossModalError(f"K-shot: {error}") from error
    result.metrics |= result.kshot.metrics()
    result.notes += [*pools.notes, *result.kshot.notes]


def _verification(
    result: FewShotResult, embedded: ItemEmbeddings, table: EvaluationTable, settings: FewShotSettings, metric: Metric
) -> None:
    pairs, measured = table.pairs, table.measured
    if pairs is not None:
        pairs = pairs.among(measured)
        scores = _scores(embedded, pairs, metric)
    else:
        pairs = _drawn(embedded, measured, settings)
        rows = embedded.of_items()
        scores = pair_scores(rows[pairs.a], rows[pairs.b], metric)
    ids = None if embedded.items.labels is None else embedded.items.class_ids
    owners = _owners(embedded, pairs) if ids is None else (ids[pairs.a], ids[pairs.b])
    found = measure_verification(scores, pairs.same, owners, resamples=settings.resamples, seed=settings.seed)
    result.pairs, result.verification = pairs, found
    result.metrics |= found.metrics


def _drawn(embedded: ItemEmbeddings, measured: np.ndarray, settings: FewShotSettings) -> ItemPairs:
    """Pairs of pictures, or of texts where there are no pictures; the name of a class never decides."""
    if embedded.items.labels is None:
        raise CrossModalError("verification: expected labels, or a column pair, found neither")
    usable = measured[embedded.image_of[measured] >= 0]
    if not len(usable):
        usable = measured[embedded.text_of[measured] >= 0]
    drawn = draw_pairs(embedded.items.take(usable), settings.pairs or 2000, settings.seed)
    return ItemPairs(usable[drawn.a], usable[drawn.b], drawn.same)


def _scores(embedded: ItemEmbeddings, pairs: ItemPairs, metric: Metric) -> np.ndarray:
    """(M,) as a served twin scores them: an item that has a picture and a text counts by the mean of both."""
    total = np.zeros((len(embedded.items), embedded.dim), np.float32)
    parts = np.zeros((len(embedded.items), 1), np.float32)
    for values, places in ((embedded.images, embedded.image_of), (embedded.texts, embedded.text_of)):
        if values is not None:
            total[places >= 0] += values[places[places >= 0]]
            parts[places >= 0] += 1
    rows = total / np.where(parts > 0, parts, np.nan)
    return pair_scores(rows[pairs.a], rows[pairs.b], metric)


def _owners(embedded: ItemEmbeddings, pairs: ItemPairs) -> tuple[np.ndarray, np.ndarray]:
    """What is independent among pairs without labels; equal pictures are one thing, else equal texts."""
    names = [
        f"picture {image}" if image >= 0 else f"text {text}"
        for image, text in zip(embedded.image_of.tolist(), embedded.text_of.tolist(), strict=True)
    ]
    return owners_of([names[row] for row in pairs.a], [names[row] for row in pairs.b])


def _learned_mixture(
    embedded: ItemEmbeddings, table: EvaluationTable, settings: FewShotSettings, metric: Metric
) -> Mixture | None:
    """How picture and name are weighed, learned on the table's validation rows; None where that cannot be."""
    items = table.items
    if items.labels is None or items.splits is None or table.split in ("all", "validation"):
        return None
    rows = np.flatnonzero(items.splits == "validation")
    if not len(rows) or embedded.images is None or embedded.texts is None:
        return None
    found, _ = evaluation_items(embedded.take(rows))
    texts = found.text_by_class(metric)
    if found.images is None or texts is None:
        return None
    try:
        return fit_mixture(
            found.images,
            found.genuine_classes,
            texts,
            shots=sorted(set(settings.shots)),
            ways=max(settings.ways, default=EvaluationConfig().ways[-1]),
            queries=settings.queries,
            seed=settings.seed,
            metric=metric,
            groups=found.groups,
            sets=found.sets,
        )
    except CrossModalError:
        return None
