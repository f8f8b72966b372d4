"""What options a configuration dataclass has: dotted paths, and what each takes."""

from __future__ import annotations

import dataclasses
import types
import typing
from typing import Any

from cross_modal.configuration import PartConfig


def option_kinds(cls: type, prefix: str = "") -> dict[str, str]:
    """The dotted paths of a dataclass.

    Args:
        cls: The dataclass.
        prefix: Put before every path.

    Returns:
        Path → "switch" (bool), "integers" (list of int), "words" (list of str), "part", "free" (a dict: any key below
        it) or "value".

    Example:
        >>> from cross_modal.configuration import EvaluationConfig
        >>> option_kinds(EvaluationConfig)["ways"]
        'integers'
    """
    kinds: dict[str, str] = {}
    for name, hint in typing.get_type_hints(cls).items():
        path, inner = f"{prefix}{name}", without_none(hint)
        if dataclasses.is_dataclass(inner):
            kinds[path] = "part" if inner is PartConfig else "value"
            kinds |= option_kinds(typing.cast(type, inner), f"{path}.")
        elif typing.get_origin(inner) is dict:
            kinds[path] = "free"
        elif inner == list[int]:
            kinds[path] = "integers"
        elif inner == list[str]:
            kinds[path] = "words"
        else:
            kinds[path] = "switch" if inner is bool else "value"
    return kinds


def without_none(hint: Any) -> Any:
    """`X` of `X | None`."""
    if typing.get_origin(hint) in {typing.Union, types.UnionType}:
        inner = [part for part in typing.get_args(hint) if part is not type(None)]
        return inner[0] if len(inner) == 1 else hint
    return hint
