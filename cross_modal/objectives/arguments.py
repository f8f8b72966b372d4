"""Checks a part's keyword arguments against its signature, so that a mistyped one is a sentence and never a default.

pytorch-metric-learning passes ``**kwargs`` up its class hierarchy: an unknown argument surfaces, if at all, as a
``TypeError`` of a base class. Here the named parameters of every ``__init__`` in the hierarchy are the legal ones, less
those that the adapter itself fills in (distance, reducer, sizes).
"""

from __future__ import annotations

import inspect
from typing import Any

from cross_modal.errors import CrossModalError

# Filled in by the adapter or by other fields of ObjectiveConfig; never given as an argument.
FILLED_IN = frozenset(
    {
        "self", "reducer", "distance", "collect_stats", "mat_based_loss", "num_classes", "embedding_size", "l",
        "descriptors_dim", "embedding_regularizer", "embedding_reg_weight", "weight_regularizer", "weight_reg_weight",
        "weight_init_func", "is_inverted", "weights", "indexed_by_class",
    }
)  # fmt: skip


def legal_arguments(cls: type) -> dict[str, inspect.Parameter]:
    """Named parameters of every ``__init__`` in the hierarchy of `cls` that a user may set, nearest class first.

    >>> from pytorch_metric_learning.losses import SupConLoss
    >>> list(legal_arguments(SupConLoss))
    ['temperature']
    """
    legal: dict[str, inspect.Parameter] = {}
    for base in inspect.getmro(cls):
        if "__init__" not in vars(base) or not base.__module__.startswith(("pytorch_metric_learning", "cross_modal")):
            continue
        for name, parameter in inspect.signature(base.__init__).parameters.items():  # type: ignore[misc]
            named = parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
            if named and name not in FILLED_IN:
                legal.setdefault(name, parameter)
    return legal


def check_arguments(cls: type, name: str, arguments: dict[str, Any], *, hidden: frozenset[str] = frozenset()) -> None:
    """Refuses unknown, missing and mistyped arguments.

    Args:
        cls: The class that will be built.
        name: Its name in messages.
        arguments: What the user gave.
        hidden: Parameters that exist but are not legal for this part.

    Raises:
        CrossModalError: One line that lists the legal arguments, or names the value that has the wrong type.
    """
    legal = {key: value for key, value in legal_arguments(cls).items() if key not in hidden}
    listed = ", ".join(legal) or "none"
    for key, value in arguments.items():
        if key not in legal:
            raise CrossModalError(f"{name}: unknown argument {key!r}, expected one of: {listed}")
        expected = _expected(legal[key].default, value)
        if expected:
            raise CrossModalError(f"{name}: argument {key} must be {expected}, found {value!r}")
    missing = [key for key, p in legal.items() if p.default is p.empty and key not in arguments]
    if missing:
        raise CrossModalError(f"{name}: argument {missing[0]} is required and missing (its arguments are: {listed})")


def _expected(default: Any, value: Any) -> str | None:
    """What `value` should have been, judged by the parameter's default; None where it fits."""
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if isinstance(default, bool):
        return None if isinstance(value, bool) else "true or false"
    if isinstance(default, (int, float)) or default is inspect.Parameter.empty:
        return None if number else "a number"
    if isinstance(default, str):  # "all" or a number, a strategy
        return None if isinstance(value, str) or number else "a word or a number"
    return None


def build(cls: type, name: str, arguments: dict[str, Any]) -> Any:
    """Builds a part and turns whatever its constructor refuses into one line.

    Raises:
        CrossModalError: Where the constructor raises.
    """
    try:
        return cls(**arguments)
    except (AssertionError, TypeError, ValueError, KeyError, AttributeError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise CrossModalError(f"{name}: {reason}") from error
