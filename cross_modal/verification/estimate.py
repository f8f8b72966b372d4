"""A measured number with its 95 % interval, and the interval of a rate of which nothing was seen.

Resampling pairs among which no error occurred finds no error, ever. That nothing was seen is not that it never happens:
there, and where too little can be resampled, the interval is Clopper and Pearson's for as many cases as are independent
("rule of three": none among n leaves up to some 3.7 / n).

Sources: Clopper, Pearson 1934; Hanley, Lippman-Hand 1983, "If nothing goes wrong, is everything all right?".
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import beta

from cross_modal.errors import CrossModalError
from cross_modal.verification.bootstrap import central


@dataclass(frozen=True)
class Estimate:
    """A number and its interval.

    Attributes:
        value: What was measured.
        low: Lower bound of the 95 % interval.
        high: Upper bound.
    """

    value: float
    low: float
    high: float

    @property
    def half_width(self) -> float:
        """Half of the interval."""
        return (self.high - self.low) / 2

    def percent(self) -> str:
        """The number as people read it.

        >>> Estimate(0.0123, 0.004, 0.021).percent()
        '1.2 % (0.4–2.1)'
        """
        return f"{100 * self.value:.1f} % ({100 * self.low:.1f}–{100 * self.high:.1f})"

    def complement(self) -> Estimate:
        """One minus the number, with its interval."""
        return Estimate(1 - self.value, 1 - self.high, 1 - self.low)

    def to_list(self) -> list[float]:
        """As JSON-able primitives, for `from_list`."""
        return [self.value, self.low, self.high]

    @classmethod
    def from_list(cls, values: Sequence[float]) -> Estimate:
        """Reads what `to_list` wrote.

        Raises:
            CrossModalError: Something else.
        """
        if isinstance(values, str) or not isinstance(values, Sequence) or len(values) != 3:
            raise CrossModalError(f"estimate: expected a number and its two bounds, found {values!r}")
        if not all(isinstance(value, int | float) and math.isfinite(value) for value in values):
            raise CrossModalError(f"estimate: expected finite numbers, found {list(values)!r}")
        return cls(*(float(value) for value in values))


def rate_estimate(value: float, drawn: np.ndarray | None, independent: int) -> Estimate:
    """A rate with its interval.

    Args:
        value: In [0, 1].
        drawn: (R,) its resampled values; None where nothing could be resampled.
        independent: How many cases it rests on that do not depend on each other, at least 1.

    Returns:
        The central 95 % of the resampled values, which always hold the rate itself; Clopper and Pearson's interval
        where there are none; and the wider of both where no case, or every case, was hit, or all are one owner's:
        resamples show the same rate then, whatever is drawn.

    >>> rate_estimate(0.0, np.zeros(100), independent=100).high.__round__(3)
    0.036
    """
    low, high = (value, value) if drawn is None else central(drawn)
    if drawn is None or value <= 0 or value >= 1 or independent < 2:
        hits = value * independent
        exact = (
            0.0 if hits <= 0 else float(beta.ppf(0.025, hits, independent - hits + 1)),
            1.0 if hits >= independent else float(beta.ppf(0.975, hits + 1, independent - hits)),
        )
        low, high = min(low, exact[0]), max(high, exact[1])
    return Estimate(value, min(low, value), max(high, value))
