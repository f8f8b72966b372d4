"""Configuration dataclasses from the plain data that `dataclasses.asdict` makes of them: models and studies keep it."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

from cross_modal.errors import CrossModalError

Config = TypeVar("Config")


def rebuild(cls: type[Config], values: Mapping[str, Any]) -> Config:
    """The inverse of `dataclasses.asdict`, nested dataclasses too.

    Args:
        cls: The dataclass.
        values: Its fields; those that are absent keep their defaults, one that the class does not know is an error:
            a later version has set it, and it may matter.

    Returns:
        An instance.

    Raises:
        CrossModalError: If a field is unknown.

    Example:
        >>> from cross_modal.configuration import Experiment
        >>> rebuild(Experiment, dataclasses.asdict(Experiment(data="photos"))) == Experiment(data="photos")
        True
    """
    hints = typing.get_type_hints(cls)
    unknown = set(values) - set(hints)
    if unknown:
        raise CrossModalError(f"{cls.__name__}: expected {', '.join(hints)}, found {', '.join(sorted(unknown))}")
    return cls(**{name: _value(hints[name], value) for name, value in values.items()})


def _value(hint: Any, value: Any) -> Any:
    """A field's value: a dataclass, or one of `X | None`, is rebuilt; everything else stays."""
    if typing.get_origin(hint) in {typing.Union, types.UnionType}:
        hint = next((inner for inner in typing.get_args(hint) if dataclasses.is_dataclass(inner)), None)
    whole = isinstance(hint, type) and dataclasses.is_dataclass(hint) and isinstance(value, Mapping)
    return rebuild(typing.cast(type, hint), value) if whole else value
