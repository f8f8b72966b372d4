"""What a setting may be drawn from: a range of numbers or a few values; and the bounds outside which it means nothing.

Plain values without a search library, so that any optimiser can read them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from cross_modal.errors import CrossModalError


def is_number(value: Any) -> bool:
    """A finite number; truth values are none.

    >>> is_number(3), is_number(True), is_number(float("nan"))
    (True, False, False)
    """
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, both included; whole numbers where both are `int`.

    Attributes:
        low: The smallest.
        high: The largest.
        log: Every factor counts alike, not every difference.
        step: Distance between neighbours; None is any number (whole numbers: 1).
        unit: What the numbers count, e.g. "cosine", "L2 distance", "degrees"; ranges that differ in it alone are equal.

    Raises:
        CrossModalError: For a range without numbers in it.

    >>> Range(0.02, 0.5, log=True).contains(0.05), Range(1, 5).contains(2.5)
    (True, False)
    """

    low: float
    high: float
    log: bool = False
    step: float | None = None
    unit: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        if not (is_number(self.low) and is_number(self.high) and self.low < self.high):
            raise CrossModalError(
                f"range: expected two finite numbers low < high, found {self.low!r} and {self.high!r}"
            )
        if self.log and (self.low <= 0 or self.step is not None):
            found = f"low {self.low}" if self.low <= 0 else f"step {self.step}"
            raise CrossModalError(f"range: expected low above 0 and no step with log, found {found}")
        if self.step is not None and not (is_number(self.step) and 0 < self.step <= self.high - self.low):
            raise CrossModalError(
                f"range: expected a step above 0 that fits between {self.low} and {self.high}, found {self.step!r}"
            )
        if self.integer and self.step is not None and not isinstance(self.step, int):
            raise CrossModalError(f"range: expected a whole step between whole numbers, found {self.step!r}")

    @property
    def integer(self) -> bool:
        """Whether the numbers are whole."""
        return isinstance(self.low, int) and isinstance(self.high, int)

    def contains(self, value: Any) -> bool:
        """Whether it is a number of this range (a step is not looked at)."""
        return is_number(value) and self.low <= value <= self.high and (not self.integer or float(value).is_integer())

    def nearest(self, value: Any) -> float:
        """The number of this range that is nearest to `value`; for what is no number, the lowest.

        >>> Range(1, 9, step=2).nearest(5.8), Range(0.0, 1.0).nearest(-3), Range(1, 5).nearest("all")
        (5, 0.0, 1)
        """
        if not is_number(value):
            return self.low
        inside = min(max(value, self.low), self.high)
        if self.step is None and not self.integer:
            return float(inside)
        step = self.step or 1
        steps = min(round((inside - self.low) / step), math.floor((self.high - self.low) / step + 1e-9))
        return self.low + steps * step

    def __str__(self) -> str:
        details = [f"{self.low:g} to {self.high:g}"]
        details += ["log"] if self.log else []
        details += [f"step {self.step:g}"] if self.step is not None else []
        return ", ".join([*details, *([self.unit] if self.unit else [])])


@dataclass(frozen=True)
class Choice:
    """One of a few values.

    Attributes:
        values: Numbers, words or truth values; None stands for "nothing".

    Raises:
        CrossModalError: Where there is none, or one twice.

    >>> Choice((1, 2, 4)).contains(True), Choice((1, 2, 4)).nearest(5)
    (False, 4)
    """

    values: tuple[Any, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", tuple(self.values))
        if not self.values:
            raise CrossModalError("choice: expected at least one value, found none")
        for place, value in enumerate(self.values):
            if any(_same(value, earlier) for earlier in self.values[:place]):
                raise CrossModalError(f"choice: expected distinct values, found {value!r} twice")

    def contains(self, value: Any) -> bool:
        """Whether it is one of the values; 1 is not `True`."""
        return any(_same(value, each) for each in self.values)

    def nearest(self, value: Any) -> Any:
        """The value itself, else the nearest number, else the first value."""
        for each in self.values:
            if _same(value, each):
                return each
        numbers = [each for each in self.values if is_number(each)]
        return min(numbers, key=lambda each: abs(each - value)) if numbers and is_number(value) else self.values[0]

    def __str__(self) -> str:
        words = ("none" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
                 for value in self.values)  # fmt: skip
        return ", ".join(words)


def _same(one: Any, other: Any) -> bool:
    return isinstance(one, bool) == isinstance(other, bool) and one == other


@dataclass(frozen=True)
class Bounds:
    """The outermost numbers that mean anything.

    Attributes:
        low: Lower bound.
        high: Upper bound.
        open_low: The lower bound itself means nothing.
        open_high: The upper bound itself means nothing.

    >>> str(Bounds(0, 2, open_low=True)), Bounds(0, 2, open_low=True).contains(0)
    ('(0, 2]', False)
    """

    low: float
    high: float
    open_low: bool = False
    open_high: bool = False

    def contains(self, value: float) -> bool:
        """Whether the number lies inside."""
        above = value > self.low if self.open_low else value >= self.low
        return above and (value < self.high if self.open_high else value <= self.high)

    def __str__(self) -> str:
        right = ")" if self.open_high or math.isinf(self.high) else "]"
        return f"{'(' if self.open_low or math.isinf(self.low) else '['}{self.low:g}, {self.high:g}{right}"
