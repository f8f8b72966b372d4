"""What an evaluation must know of a model besides its embeddings: metric, mixture, modalities, what it was trained on.

It stands in the model's metadata and in the twin's card. The card of a logged model is read from the store as JSON;
models of other flavors have neither, and are measured by cosine.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, cast

from cross_modal.errors import CrossModalError
from cross_modal.fewshot.mixture import Mixture
from cross_modal.fewshot.scoring import Metric
from cross_modal_mlflow.flavor import FLAVOR_NAME, TWIN


@dataclass(frozen=True)
class ModelFacts:
    """What is known of a model.

    Attributes:
        metric: How its embeddings are compared.
        images: Whether it takes pictures.
        texts: Whether it takes texts.
        mixture: How it weighs picture and name, learned on its own validation classes; None where it has none.
        card: What was kept with the twin; empty for other models.
        model_id: Id of the LoggedModel; None where it is none.
    """

    metric: Metric = "cosine"
    images: bool = True
    texts: bool = True
    mixture: Mixture | None = None
    card: Mapping[str, Any] = field(default_factory=dict)
    model_id: str | None = None


def facts_of(model: Any) -> ModelFacts:
    """Looks up what is known of a pyfunc model.

    Args:
        model: A `PyFuncModel`, or whatever else MLflow evaluates; None for embeddings without a model.
    """
    metadata = getattr(getattr(model, "metadata", None), "metadata", None)
    summary = metadata.get(FLAVOR_NAME) if isinstance(metadata, Mapping) else None
    model_id = getattr(model, "model_id", None)
    if not isinstance(summary, Mapping):
        return ModelFacts(model_id=model_id)
    card = _card(model_id) if model_id else {}
    mixture = None
    with suppress(CrossModalError):  # a card of another version: the evaluation can do without
        mixture = Mixture.from_dict(card["mixture"]) if card.get("mixture") else None
    return ModelFacts(
        metric=cast(Metric, summary.get("metric", "cosine")),
        images=summary.get("image_trunk") != "none",
        texts=summary.get("text_trunk") != "none",
        mixture=mixture,
        card=card,
        model_id=model_id,
    )


def _card(model_id: str) -> Mapping[str, Any]:
    """The twin's card, from the store; empty where it cannot be had."""
    import mlflow

    from cross_modal.encoders.saved_twin import DESCRIPTION

    try:
        location = str(mlflow.get_logged_model(model_id).artifact_location)
        card = mlflow.artifacts.load_dict(f"{location}/{TWIN}/{DESCRIPTION}").get("card")
    except Exception:  # another store, a model that is gone: its card is a help, not a need
        return {}
    return card if isinstance(card, Mapping) else {}
