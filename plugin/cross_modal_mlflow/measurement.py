"""Measuring a twin on a split: embeddings, the mixture learned on validation classes, and how it was all done."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from cross_modal.configuration import DataConfig, EvaluationConfig, Experiment
from cross_modal.data.items import Items
from cross_modal.embed_items import embed_items, open_pictures
from cross_modal.encoders.feature_store import FeatureStore
from cross_modal.encoders.twin import TwinEncoder
from cross_modal.errors import CrossModalError
from cross_modal.evaluation import EvaluationItems, evaluate_embeddings
from cross_modal.fewshot.mixture import Mixture, fit_mixture
from cross_modal_mlflow.dataset import profile


def measure_test(
    twin: TwinEncoder, items: Items, experiment: Experiment
) -> tuple[dict[str, float], list[str], Mixture | None, EvaluationItems | None]:
    """Learns the mixture on validation classes and measures the test split.

    Returns:
        Metrics, notes, the mixture, and the test split's embeddings; without a test split a note only.
    """
    mixture, notes = learn_mixture(twin, items.split("validation"), experiment.items, experiment.evaluation)
    test = items.split("test")
    if not len(test):
        return {}, [*notes, f"{items.source} has no test split: nothing was measured on unseen classes"], mixture, None
    embedded = embed(twin, test, experiment.items)
    try:
        config = settings_for(test, experiment.evaluation)
        result = evaluate_embeddings(embedded, config, mixture=mixture, metric=twin.metric)
    except CrossModalError as error:  # a test split of one class, say: no reason to lose the model
        return {}, [*notes, str(error)], mixture, None
    return result.metrics, [*notes, *result.notes], mixture, embedded


def settings_for(items: Items, config: EvaluationConfig) -> EvaluationConfig:
    """The settings that suit the items: without labels every picture is its own class, and retrieval is what counts."""
    return config if items.labels is not None else replace(config, ways=[], shots=[])


def learn_mixture(
    twin: TwinEncoder, validation: Items, data: DataConfig, config: EvaluationConfig
) -> tuple[Mixture | None, list[str]]:
    """How picture and name are weighed, learned on the validation split; None with a note where it cannot be."""
    if twin.image is None or twin.text is None or not len(validation) or validation.labels is None:
        return None, []
    embedded, metric = embed(twin, validation, data), twin.metric
    texts = embedded.text_by_class(metric)
    if embedded.images is None or texts is None:
        return None, []
    try:
        mixture = fit_mixture(
            embedded.images,
            embedded.genuine_classes,
            texts,
            shots=sorted(set(config.shots)),
            ways=max(config.ways, default=EvaluationConfig().ways[-1]),
            queries=config.queries,
            seed=config.seed,
            metric=metric,
            groups=embedded.groups,
            sets=embedded.sets,
        )
    except CrossModalError as error:
        return None, [f"no mixture of picture and name was learned: {error}"]
    return mixture, []


def embed(twin: TwinEncoder, items: Items, data: DataConfig) -> EvaluationItems:
    """Embeds a split, through the feature store."""
    pictures = open_pictures(items, twin, data) if twin.image is not None and items.has_images else None
    store = FeatureStore.open() if data.feature_store else None
    return embed_items(twin, items, pictures, store=store)


def protocol(items: Items, split: str, config: EvaluationConfig) -> dict[str, Any]:
    """What was measured, on what, how: everything that somebody needs to measure it again."""
    measured = items if split == "all" else items.split(split)
    return {
        "data": items.source,
        "digest": items.digest,
        "split": split,
        "split_digest": measured.digest,
        **{name: value for name, value in profile(measured).items() if name != "skipped"},
        "seeds": [config.seed],
        "episodes": config.episodes,
        "ways": config.ways,
        "shots": config.shots,
        "queries": config.queries,
        "within_prefix": config.within_prefix,
        "method": "prototypes; names; both by a mixture learned on validation classes",
        "interval": "95 %, Student t",
    }


def classes_trained_on(card: dict[str, Any], items: Items) -> list[str]:
    """The classes of the items that a model was trained on, by its card and by name."""
    trained = set(card.get("trained_on", {}).get("classes", ()))
    return [name for name in items.classes if name in trained] if items.labels is not None else []
