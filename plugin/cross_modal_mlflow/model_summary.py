"""What stands on a logged model's page: trunk, loss, margin, data and scores, as a few short fields.

The whole card lies in `twin/twin.json`; this is the part that people compare models by.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cross_modal.encoders.twin import TwinEncoder

PREFIX = "cross_modal."


def model_summary(twin: TwinEncoder, card: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The fields of a model.

    Args:
        twin: The twin.
        card: What is kept with it, as `save_twin` takes it; fields that it lacks are left out.

    Returns:
        Field → value, JSON-able; "metrics" is name → number.
    """
    card = card or {}
    objective = _inside(card, "experiment", "objective")
    loss = _inside(objective, "loss")
    found = {
        "image_trunk": twin.config.image.name,
        "text_trunk": twin.config.text.name,
        "dim": twin.dim,
        "metric": twin.metric,
        "loss": loss.get("name"),
        "margin": _inside(loss, "arguments").get("margin"),
        "miner": _inside(objective, "miner").get("name"),
        "data": card.get("data"),
        "digest": card.get("digest"),
        "validation_score": card.get("validation_score"),
        "metrics": dict(_inside(card, "metrics")) or None,
    }
    return {name: value for name, value in found.items() if value is not None}


def summary_tags(summary: Mapping[str, Any]) -> dict[str, str]:
    """The short fields as tags of a logged model; metrics are metrics, not tags.

    >>> summary_tags({"dim": 64, "metrics": {"a": 0.5}})
    {'cross_modal.dim': '64'}
    """
    return {f"{PREFIX}{name}": str(value) for name, value in summary.items() if not isinstance(value, Mapping)}


def _inside(values: Any, *path: str) -> Mapping[str, Any]:
    """A mapping inside mappings; empty where there is none: cards are the caller's."""
    for name in path:
        values = values.get(name) if isinstance(values, Mapping) else None
    return values if isinstance(values, Mapping) else {}
