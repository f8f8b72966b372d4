"""Open-set episodes of a twin: the threshold from the data's validation classes, the numbers from the measured ones."""

from __future__ import annotations

from cross_modal.configuration import EvaluationConfig
from cross_modal.errors import CrossModalError
from cross_modal.evaluation import EvaluationItems
from cross_modal.fewshot.episodes import TooFewClasses
from cross_modal.fewshot.open_set import OpenSetThreshold, measure_open_set, open_set_threshold
from cross_modal.fewshot.open_set_episodes import open_set_episodes
from cross_modal.fewshot.scoring import Metric


def measure_strangers(
    validation: EvaluationItems | None,
    measured: EvaluationItems,
    config: EvaluationConfig,
    *,
    false_accept_rate: float,
    metric: Metric,
) -> tuple[dict[str, float], list[str]]:
    """How well queries of known classes are told from strangers, for every setting with shots.

    Args:
        validation: Embeddings of validation classes, which settle the thresholds; None measures without one.
        measured: Embeddings of the measured classes.
        config: Ways, shots, queries, episodes, seed.
        false_accept_rate: The share of strangers that may pass.
        metric: "cosine" or "euclidean".

    Returns:
        Metrics under `open_set/…`, and notes.

    Raises:
        CrossModalError: If there are no pictures.
    """
    if measured.images is None:
        raise CrossModalError("open-set episodes: expected pictures, found none")
    metrics: dict[str, float] = {}
    notes: list[str] = []
    for ways in config.ways:
        for shots in (count for count in config.shots if count):
            try:
                drawn = open_set_episodes(
                    measured.genuine_classes,
                    ways=ways,
                    shots=shots,
                    queries=config.queries,
                    episodes=config.episodes,
                    seed=config.seed,
                    groups=measured.groups,
                    sets=measured.sets,
                    prefixes=measured.prefixes,
                    within_prefix=config.within_prefix,
                )
            except TooFewClasses as error:
                notes.append(f"open set: {error}")
                continue
            threshold = _threshold(validation, ways, shots, config, false_accept_rate, metric, notes)
            metrics |= measure_open_set(measured.images, drawn, threshold, metric).metrics()
    return metrics, list(dict.fromkeys(notes))


def _threshold(
    validation: EvaluationItems | None,
    ways: int,
    shots: int,
    config: EvaluationConfig,
    false_accept_rate: float,
    metric: Metric,
    notes: list[str],
) -> OpenSetThreshold | None:
    """The threshold of one setting; None with a note where validation does not allow it."""
    if validation is None or validation.images is None:
        notes.append("open set: no validation classes, so no threshold: AUROC and FPR at 95 % TPR only")
        return None
    try:
        threshold = open_set_threshold(
            validation.images,
            validation.genuine_classes,
            ways=ways,
            shots=shots,
            queries=config.queries,
            episodes=config.episodes,
            seed=config.seed,
            false_accept_rate=false_accept_rate,
            metric=metric,
            groups=validation.groups,
            sets=validation.sets,
        )
    except TooFewClasses as error:
        notes.append(f"open set, no threshold: {error}")
        return None
    notes.extend(f"open set: {note}" for note in threshold.notes)
    return threshold
