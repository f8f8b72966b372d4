"""What a request may ask for: its params, checked. Their types and defaults are written once more in the signature."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from cross_modal.errors import CrossModalError

TASKS = ("classify", "embed", "search", "verify")


@dataclass(frozen=True)
class ServedParams:
    """Params of a request; None stands for "the model's own".

    Attributes:
        task: "classify", "embed", "search" or "verify".
        method: The few-shot classifier of "classify"; None takes the logged support's, else prototypes.
        top: Neighbours of each query in "search".
        threshold: "verify": the score from which two are the same; "classify": the score below which a query is none
            of the classes. None takes the model's own, if it has one.
        reject: "classify" answers an empty label below the threshold, and insists on having one.

    >>> ServedParams.of({"task": "search", "top": 3}).top
    3
    """

    task: str = "classify"
    method: str | None = None
    top: int = 5
    threshold: float | None = None
    reject: bool = False

    @classmethod
    def of(cls, params: Mapping[str, Any] | None) -> ServedParams:
        """Reads the params of a request.

        Args:
            params: What came with it; what is missing has its default.

        Raises:
            CrossModalError: An unknown name, or a value that is out of range.
        """
        given = dict(params or {})
        known = [each.name for each in fields(cls)]
        for name in given:
            if name not in known:
                raise CrossModalError(f"params: expected {', '.join(known)}, found {name!r}")
        # What is None is as if it had not been said.
        asked = cls(**{name: value for name, value in given.items() if value is not None})
        if asked.task not in TASKS:
            raise CrossModalError(f"params.task: expected one of {', '.join(TASKS)}, found {asked.task!r}")
        if isinstance(asked.top, bool) or not isinstance(asked.top, int) or asked.top < 1:
            raise CrossModalError(f"params.top: expected an integer of at least 1, found {asked.top!r}")
        number = asked.threshold
        if number is not None and (
            isinstance(number, bool) or not isinstance(number, int | float) or not math.isfinite(number)
        ):
            raise CrossModalError(f"params.threshold: expected a finite number, found {number!r}")
        if not isinstance(asked.reject, bool):
            raise CrossModalError(f"params.reject: expected true or false, found {asked.reject!r}")
        if asked.method is not None and not isinstance(asked.method, str):
            raise CrossModalError(f"params.method: expected a name, found {asked.method!r}")
        return asked
