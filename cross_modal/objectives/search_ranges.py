"""Search spaces that know the losses: which arguments of a loss or miner are worth searching, where, in which unit.

Any optimiser can draw from `loss_ranges` and `miner_ranges`; `arguments_from` turns what it drew (a ``gap`` instead of
a negative margin) into the part's keyword arguments. Every drawn point trains: the loss's own checks refuse none.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from cross_modal.objectives.arguments import legal_arguments
from cross_modal.objectives.distance_units import (
    SQUARED_DISTANCE,
    class_of,
    distances_of,
    find_miner,
    kind_of,
    measure_of,
    takes_miner,
)
from cross_modal.objectives.legal_ranges import legal_range
from cross_modal.objectives.losses import LOSSES, find_loss
from cross_modal.objectives.range_table import (
    COSINE,
    EUCLIDEAN,
    LOSS_RANGES,
    MARGIN_NAMES,
    MARGINS,
    MINER_RANGES,
    SENSIBLE,
)
from cross_modal.objectives.ranges import Bounds, Choice, Range

__all__ = [
    "SQUARED_DISTANCE",
    "Bounds",
    "Choice",
    "Range",
    "argument_names",
    "arguments_from",
    "default_arguments",
    "depends_on_distance",
    "distances_of",
    "drawn_from",
    "is_margin",
    "legal_range",
    "loss_ranges",
    "measure_of",
    "miner_ranges",
    "sensible_defaults",
    "takes_miner",
]  # fmt: skip


def loss_ranges(name: str, distance: str | None = None) -> dict[str, Range | Choice]:
    """What to search of a loss.

    Args:
        name: The loss's name.
        distance: The distance's name (`measure_of`); None is the loss's own.

    Returns:
        Argument → range; ``gap`` stands for ``neg_margin``. Empty where the loss has nothing to search.

    Raises:
        CrossModalError: For an unknown loss or distance.

    >>> print(loss_ranges("ContrastiveLoss", "CosineSimilarity")["gap"])
    0.2 to 1, cosine
    """
    find_loss(name)
    return _ranges(LOSS_RANGES[name], kind_of(distance or measure_of(name)))


def miner_ranges(name: str, distance: str | None = None) -> dict[str, Range | Choice]:
    """What to search of a miner.

    Args:
        name: The miner's name.
        distance: The distance that it shares with the loss; None is cosine.

    Returns:
        Argument → range, as `loss_ranges`.

    Raises:
        CrossModalError: For an unknown miner or distance.

    >>> print(miner_ranges("AngularMiner", None)["angle"])
    20 to 60, degrees
    """
    find_miner(name)
    return _ranges(MINER_RANGES[name], kind_of(distance or "CosineSimilarity"))


def depends_on_distance(name: str, argument: str) -> bool:
    """Whether an argument's range is another one under another distance.

    >>> depends_on_distance("ContrastiveLoss", "gap"), depends_on_distance("TripletMarginLoss", "margin")
    (True, False)
    """
    found = (LOSS_RANGES | MINER_RANGES).get(name, {})
    if argument == "neg_margin" and "gap" in found:
        return True
    ranges = found.get(argument)
    return isinstance(ranges, dict) and any(each != ranges[COSINE] for each in ranges.values())


def is_margin(name: str, argument: str) -> bool:
    """Whether an argument says where positives end and negatives begin (no scale, temperature or weight).

    Args:
        name: A loss or miner.
        argument: Its argument, or ``gap``.

    >>> is_margin("CircleLoss", "m"), is_margin("CircleLoss", "gamma"), is_margin("SupConLoss", "temperature")
    (True, False, False)
    """
    return argument in MARGINS.get(name, MARGIN_NAMES)


def argument_names(name: str) -> list[str]:
    """Every argument of a loss or miner that can be searched by name, ``gap`` included.

    Raises:
        CrossModalError: For an unknown loss or miner.
    """
    legal = list(legal_arguments(class_of(name)))
    return [*legal, "gap"] if {"pos_margin", "neg_margin"} <= set(legal) else legal


def sensible_defaults(name: str, distance: str) -> dict[str, Any]:
    """Defaults of a loss or miner where the library has none, or one that makes no sense with this distance.

    >>> sensible_defaults("ContrastiveLoss", "CosineSimilarity"), sensible_defaults("ContrastiveLoss", "LpDistance")
    ({'pos_margin': 0.8, 'neg_margin': 0.2}, {})
    """
    return dict(SENSIBLE.get(name, {}).get(kind_of(distance), {}))


def default_arguments(name: str, distance: str | None = None) -> dict[str, Any]:
    """The library's default of every argument of a loss or miner, a sensible one where it has none that makes sense.

    Args:
        name: The loss's or miner's name.
        distance: The distance's name; None is the loss's own, for a miner cosine.

    Raises:
        CrossModalError: For an unknown name.

    >>> default_arguments("TripletMarginLoss")["margin"]
    0.05
    """
    measure = distance or (measure_of(name) if name in LOSSES else "CosineSimilarity")
    found = {key: each.default for key, each in legal_arguments(class_of(name)).items()}
    found |= sensible_defaults(name, measure)
    return {key: value for key, value in found.items() if value is not _NOTHING}


def arguments_from(name: str, distance: str, given: Mapping[str, Any], drawn: Mapping[str, Any]) -> dict[str, Any]:
    """A part's keyword arguments, with what was drawn.

    Args:
        name: The loss's or miner's name.
        distance: The distance's name.
        given: Arguments that were set before.
        drawn: Argument → value; a ``gap`` becomes the negative margin, on the side of the distance.

    >>> arguments_from("ContrastiveLoss", "CosineSimilarity", {}, {"pos_margin": 0.9, "gap": 0.5})
    {'pos_margin': 0.9, 'neg_margin': 0.4}
    """
    library = legal_arguments(class_of(name))  # what it leaves open (None) may stay open: nothing has to be said
    needed = {
        key: value for key, value in sensible_defaults(name, distance).items() if library[key].default is not None
    }
    arguments = {**needed, **given, **drawn}
    gap = arguments.pop("gap", None)
    if gap is not None:
        positive = arguments.get("pos_margin", default_arguments(name, distance)["pos_margin"])
        # rounded: 0.8 - 0.6 is to be 0.2, so that settings come back as they were written
        arguments["neg_margin"] = round(positive - gap if kind_of(distance) == COSINE else positive + gap, 12)
    return arguments


def drawn_from(name: str, distance: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The values under which `arguments_from` gives these arguments: the inverse, defaults filled in.

    >>> drawn_from("ContrastiveLoss", "LpDistance", {"pos_margin": 0.25})
    {'pos_margin': 0.25, 'neg_margin': 1, 'gap': 0.75}
    """
    values = default_arguments(name, distance) | dict(arguments)
    if "pos_margin" in values and "neg_margin" in values:
        sign = -1 if kind_of(distance) == COSINE else 1
        values["gap"] = sign * (values["neg_margin"] - values["pos_margin"])
    return values


_NOTHING: Any = inspect.Parameter.empty


def _ranges(table: Mapping[str, Any], kind: str) -> dict[str, Range | Choice]:
    found: dict[str, Range | Choice] = {}
    for key, each in table.items():
        found[key] = (each[kind] if kind in each else each[EUCLIDEAN]) if isinstance(each, dict) else each
    return found
