"""How a run that trains is doing: its age, its step, when it was last heard of, and whether it may be dead.

A run that was killed outright stays RUNNING in MLflow for ever; only its silence tells. No Streamlit here.
"""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from cross_modal_dashboards.catalogue import RunFacts

SILENT = 120  # seconds without a new step after which a run may be dead
STEPS = "training.steps"  # the parameter that says how many there will be


@dataclass(frozen=True)
class RunLife:
    """A run at one moment.

    Attributes:
        age: Seconds since it started.
        silence: Seconds since its last metric, or since its start where it has logged none.
        step: Its last step; None before the first.
        steps: How many there will be, where it says so.
    """

    age: float
    silence: float
    step: int | None
    steps: int | None

    @classmethod
    def of(cls, run: RunFacts, points: pd.DataFrame, now: float) -> RunLife:
        """A run as it is now.

        Args:
            run: The run.
            points: Its curves, as from `curves`.
            now: Seconds since 1970.
        """
        planned = run.parameters.get(STEPS, "")
        heard = float(points["time"].max()) if len(points) else float(run.started)
        return cls(
            max(now - run.started / 1000, 0.0),
            max(now - heard / 1000, 0.0),
            int(points["step"].max()) if len(points) else None,
            int(planned) if planned.isdecimal() else None,
        )

    @property
    def silent(self) -> bool:
        """It has not been heard of for so long that it may be dead."""
        return self.silence >= SILENT

    @property
    def sentence(self) -> str:
        """How it is doing, in one line."""
        at = "no step yet" if self.step is None else f"step {self.step:,}"
        at += f" of {self.steps:,}" if self.step is not None and self.steps else ""
        return f"Running for {spoken(self.age)}; {at}; last heard of {spoken(self.silence)} ago."

    @property
    def warning(self) -> str | None:
        """What to think of its silence; None while there is nothing to think."""
        if not self.silent:
            return None
        return (
            f"No new step for {spoken(self.silence)}: the run may have died without saying so. If its process is gone, "
            "cross-modal train --resume RUN goes on from its last checkpoint."
        )


def spoken(seconds: float) -> str:
    """A time as people say it.

    >>> spoken(1.2), spoken(90), spoken(7_300), spoken(200_000)
    ('1 second', '1 minute', '2 hours', '2 days')
    """
    for size, name in ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second")):
        if seconds >= size or size == 1:
            count = int(seconds // size)
            return f"{count} {name}{'' if count == 1 else 's'}"
    raise AssertionError
