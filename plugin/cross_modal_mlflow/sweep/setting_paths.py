"""Plain settings of an experiment by dotted path: read, write, what type they have, and which may be searched."""

from __future__ import annotations

import dataclasses
import typing
from functools import cache
from typing import Any

from cross_modal.configuration import Experiment, PartConfig
from cross_modal.objectives.ranges import Bounds
from cross_modal_mlflow.option_kinds import without_none

_SHARE = Bounds(0, 1)
#: Outermost values that mean anything; other numbers are 0 or more.
BOUNDS = {
    "training.learning_rate": Bounds(0, 1, open_low=True),
    "training.trunk_learning_rate": Bounds(0, 1),
    "training.weight_decay": _SHARE,
    "training.steps": Bounds(1, float("inf")),
    "training.validate_every": Bounds(1, float("inf")),
    "training.micro_batch": Bounds(0, float("inf")),
    "twin.pooling.queries": Bounds(1, 64),
    "twin.pooling.heads": Bounds(1, 64),
    "twin.width": Bounds(1, float("inf")),
    "twin.dim": Bounds(1, float("inf")),
    "twin.text.dropout": Bounds(0, 1, open_high=True),
    "batch.classes": Bounds(2, float("inf")),
    "batch.items": Bounds(1, float("inf")),
    "batch.same_prefix": _SHARE,
    "augmentation.flip": _SHARE,
    "augmentation.token_dropout": _SHARE,
}
#: Trials that differ in these cannot be compared: they would see other items, or be measured in another way.
SAME_FOR_ALL = ("data", "items.", "evaluation.", "training.seed", "training.monitor")


@cache
def setting_types() -> dict[str, Any]:
    """Dotted path → type, for every setting that is one value.

    Example:
        >>> setting_types()["twin.pooling.queries"]
        <class 'int'>
    """
    return dict(_types(Experiment, ""))


def _types(cls: type, prefix: str) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for name, hint in typing.get_type_hints(cls).items():
        inner = without_none(hint)
        if inner is PartConfig:
            continue
        if dataclasses.is_dataclass(inner):
            found += _types(typing.cast(type, inner), f"{prefix}{name}.")
        else:
            found.append((f"{prefix}{name}", hint))
    return found


def bounds_of(path: str) -> Bounds:
    """The outermost values of a number that mean anything.

    Example:
        >>> str(bounds_of("training.learning_rate")), str(bounds_of("training.warm_up"))
        ('(0, 1]', '[0, inf)')
    """
    return BOUNDS.get(path, Bounds(0, float("inf")))


def read_setting(experiment: Experiment, path: str) -> Any:
    """The value at a dotted path.

    Example:
        >>> read_setting(Experiment(), "twin.pooling.queries")
        4
    """
    value: Any = experiment
    for name in path.split("."):
        value = getattr(value, name)
    return value


def write_setting(experiment: Experiment, path: str, value: Any) -> None:
    """Sets the value at a dotted path."""
    parent, _, name = path.rpartition(".")
    setattr(read_setting(experiment, parent) if parent else experiment, name, value)
