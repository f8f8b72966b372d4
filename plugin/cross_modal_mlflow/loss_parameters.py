"""What a pytorch-metric-learning loss or miner was built with, read from the built object.

The library keeps most constructor arguments as attributes of the same name, a few in another unit: a margin given in
degrees is kept in radians. Here they come back as they were given, under the names that our own runs use, so that a
hand-written loop and ``cross-modal train`` stand in the same columns.
"""

from __future__ import annotations

import inspect
import math
from typing import Any

#: Kept in radians, given in degrees.
_DEGREES = frozenset(
    {
        ("AngularLoss", "alpha"),
        ("ArcFaceLoss", "margin"),
        ("SubCenterArcFaceLoss", "margin"),
        ("TupletMarginLoss", "margin"),
        ("AngularMiner", "angle"),
    }
)
_INVERSE = frozenset({("SoftTripleLoss", "gamma")})
#: Bookkeeping, sizes that follow from the data, and weights of regularizers, of which most losses have none.
_SILENT = frozenset(
    {
        "self", "collect_stats", "embedding_reg_weight", "weight_reg_weight", "is_inverted", "num_classes",
        "embedding_size", "descriptors_dim",
    }
)  # fmt: skip


def loss_parameters(part: Any, path: str = "objective.loss") -> dict[str, str]:
    """Name and arguments of a loss, a miner or a part of one, as flat text.

    Args:
        part: A `torch.nn.Module` of pytorch-metric-learning, or a user's own subclass.
        path: Where it stands among a run's parameters. Distance and reducer of the loss proper stand beside it, as in
            our own runs; other parts below it.

    Returns:
        Path → text. Arguments that the object did not keep are left out.

    Example:
        >>> from pytorch_metric_learning.losses import ArcFaceLoss
        >>> found = loss_parameters(ArcFaceLoss(num_classes=4, embedding_size=8, margin=28.6))
        >>> found["objective.loss.name"], found["objective.loss.arguments.margin"], found["objective.distance.name"]
        ('ArcFaceLoss', '28.6', 'CosineSimilarity')
    """
    found = {f"{path}.name": type(part).__name__}
    for name in _constructor_names(type(part)):
        value = getattr(part, name, None)
        if _is_part(value):
            beside = path == "objective.loss" and name in {"distance", "reducer"}
            found |= loss_parameters(value, f"objective.{name}" if beside else f"{path}.{name}")
            continue
        plain = _plain(part, name, value)
        if plain is not None:
            found[f"{path}.arguments.{name}"] = str(plain)
    return found


def _constructor_names(cls: type) -> list[str]:
    """Named parameters of every ``__init__`` in the hierarchy, up to torch's own."""
    names: dict[str, None] = {}
    for base in inspect.getmro(cls):
        if base.__module__.partition(".")[0] in {"torch", "builtins"} or "__init__" not in vars(base):
            continue
        for name, parameter in inspect.signature(base.__init__).parameters.items():  # type: ignore[misc]
            if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY) and name not in _SILENT:
                names[name] = None
    return list(names)


def _is_part(value: Any) -> bool:
    from torch import nn

    return isinstance(value, nn.Module) and not type(value).__module__.startswith("torch.")


def _plain(part: Any, name: str, value: Any) -> float | int | str | bool | None:
    """A number, word or truth value in the unit that the constructor takes; None for anything else."""
    if isinstance(value, bool | str):
        return value
    if hasattr(value, "shape") and math.prod(value.shape) == 1:  # one number of numpy or torch
        value = value.item()
    if not isinstance(value, int | float):
        return None
    names = {base.__name__ for base in inspect.getmro(type(part))}
    if any((cls, name) in _DEGREES for cls in names):
        return _as_given(math.degrees(value))
    if any((cls, name) in _INVERSE for cls in names) and value:
        return _as_given(1 / value)
    return value


def _as_given(value: float) -> float:
    """Without the last digits, which a change of unit and back has spoilt."""
    return float(f"{value:.10g}")
