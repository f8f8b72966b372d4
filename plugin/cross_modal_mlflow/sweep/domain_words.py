"""What stands beside a setting in a search space's YAML: a range, a list or one value, in the setting's own type."""

from __future__ import annotations

import typing
from collections.abc import Mapping
from typing import Any

from cross_modal.errors import CrossModalError
from cross_modal.objectives.legal_ranges import is_whole
from cross_modal.objectives.ranges import is_number
from cross_modal.objectives.search_ranges import Choice, Range, default_arguments
from cross_modal_mlflow.option_kinds import without_none

KEYS = frozenset({"low", "high", "log", "step", "choices"})


def setting_domain(path: str, value: Any, hint: Any) -> Range | Choice:
    """What a plain setting is drawn from.

    Args:
        path: The setting, for messages.
        value: A mapping with low and high, or with choices; a list; one value.
        hint: The setting's type.

    Raises:
        CrossModalError: If the value does not fit the type.

    Example:
        >>> setting_domain("training.learning_rate", {"low": "1e-4", "high": 1, "log": True}, float)
        Range(low=0.0001, high=1.0, log=True, step=None, unit='')
        >>> setting_domain("twin.pooling.queries", [1, 2], int)
        Choice(values=(1, 2))
    """
    inner = without_none(hint)
    if typing.get_origin(inner) in (list, dict):
        raise CrossModalError(
            f"{path}: expected a setting of one value, found one that is a {typing.get_origin(inner).__name__}"
        )
    if _is_range(value):
        if inner not in (int, float):
            raise CrossModalError(f"{path}: expected values of {_type_words(hint)} in a list, found a range of numbers")
        return _range(path, value, whole=inner is int)
    return _built(path, lambda: Choice(tuple(_value(path, each, hint) for each in _listed(path, value))))


def argument_domain(path: str, value: Any, part: str, argument: str) -> Range | Choice:
    """What an argument of a loss or miner is drawn from.

    Args:
        path: The setting, for messages.
        value: As for `setting_domain`.
        part: The loss or miner.
        argument: Its argument, or ``gap``.

    Raises:
        CrossModalError: If the value does not fit the argument.

    Example:
        >>> argument_domain("m", {"low": 1, "high": 2}, "TripletMarginLoss", "margin").integer
        False
    """
    default, whole = default_arguments(part).get(argument), is_whole(part, argument)
    if _is_range(value):
        if isinstance(default, bool) or (isinstance(default, str) and not whole):
            raise CrossModalError(f"{path}: expected values in a list, found a range of numbers")
        return _range(path, value, whole=whole)
    hint = bool if isinstance(default, bool) else float if not whole and is_number(default) else Any
    return _built(path, lambda: Choice(tuple(_value(path, each, hint) for each in _listed(path, value))))


def _is_range(value: Any) -> bool:
    return isinstance(value, Mapping) and "choices" not in value


def _listed(path: str, value: Any) -> list[Any]:
    if isinstance(value, Mapping):
        if set(value) != {"choices"} or not isinstance(value["choices"], list):
            raise CrossModalError(f"{path}: expected {{choices: [...]}}, found {dict(value)}")
        return value["choices"]
    return value if isinstance(value, list) else [value]


def _range(path: str, value: Mapping[str, Any], whole: bool) -> Range:
    unknown = set(value) - (KEYS - {"choices"})
    if unknown or not {"low", "high"} <= set(value):
        found = ", ".join(str(key) for key in value) or "nothing"
        raise CrossModalError(f"{path}: expected low and high, and log or step where wanted, found {found}")
    log = value.get("log", False)
    if not isinstance(log, bool):
        raise CrossModalError(f"{path}: expected log to be true or false, found {log!r}")
    hint = int if whole else float
    low, high = (_value(f"{path}: {key}", value[key], hint) for key in ("low", "high"))
    step = None if value.get("step") is None else _value(f"{path}: step", value["step"], hint)
    return _built(path, lambda: Range(low, high, log, step))


def _value(path: str, value: Any, hint: Any) -> Any:
    """A value of a type; numbers may be words, as YAML takes 1e-4 for one."""
    if value is None and (hint is Any or hint != without_none(hint)):
        return None
    inner = without_none(hint)
    options = typing.get_args(inner) if typing.get_origin(inner) is typing.Literal else None
    number = _number(value)
    if inner is float and number is not None:
        return float(number)
    if inner is int and number is not None and float(number).is_integer():
        return int(number)
    if inner in (bool, str) and isinstance(value, inner):
        return value
    if options is not None and value in options:
        return value
    if inner is Any and isinstance(value, str | int | float):
        return value
    raise CrossModalError(f"{path}: expected {_type_words(hint)}, found {value!r}")


def _number(value: Any) -> float | None:
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return None
    return value if is_number(value) else None


def _type_words(hint: Any) -> str:
    inner = without_none(hint)
    if typing.get_origin(inner) is typing.Literal:
        return f"one of {', '.join(map(str, typing.get_args(inner)))}"
    words = {int: "a whole number", float: "a number", bool: "true or false", str: "a word"}
    return words.get(inner, "a word or a number") + (" or null" if inner != hint else "")


def _built(path: str, build: Any) -> Any:
    """Puts the setting's name before what a range or choice refuses."""
    try:
        return build()
    except CrossModalError as error:
        text = str(error)
        raise CrossModalError(text if text.startswith(path) else f"{path}: {text}") from error
