"""A part by its name: what a loss, a miner, a distance and a reducer are set by.

In a module of its own, since the settings of objectives and those of whole experiments both stand on it. No torch here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass
class PartConfig:
    """A part by name with its arguments, checked against its signature.

    Attributes:
        name: The name of the loss, miner, distance or reducer, e.g. "SupConLoss".
        arguments: Its keyword arguments.
    """

    name: str
    arguments: dict[str, Any] = field(default_factory=dict)
