"""How the end of a trial reads as the end of an MLflow run: its status, its tags and its values."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from optuna.trial import TrialState

from cross_modal_mlflow.tracking import ERROR, shorten

VALUE = "optuna/value"
STATUS = {TrialState.COMPLETE: "FINISHED", TrialState.PRUNED: "KILLED", TrialState.FAIL: "FAILED"}


@dataclass(frozen=True)
class Ending:
    """How a trial's run ends.

    Attributes:
        status: MLflow's word for it.
        tags: State, value(s) and error.
        metrics: The value(s), to sort runs by.
    """

    status: str
    tags: dict[str, str] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)


def ending(
    state: TrialState, values: Sequence[float] | None = None, error: str | None = None, *, interrupted: bool = False
) -> Ending:
    """How the run of a trial ends.

    Args:
        state: How the trial ended.
        values: Its values; only a complete trial's count. One that is not a number makes it a failed trial.
        error: Why it failed, in one line.
        interrupted: Whether somebody stopped it (Ctrl-C): that is nobody's failure.

    Raises:
        ValueError: If the trial has not ended.

    Example:
        >>> ending(TrialState.COMPLETE, [0.5]).tags
        {'optuna.state': 'COMPLETE', 'optuna.value': '0.5'}
        >>> ending(TrialState.PRUNED).status, ending(TrialState.FAIL, interrupted=True).status
        ('KILLED', 'KILLED')
    """
    if state not in STATUS:
        raise ValueError(f"expected the state of a trial that has ended, found {state.name}")
    found = list(values or []) if state == TrialState.COMPLETE else []
    if any(math.isnan(value) for value in found):
        state, error, found = TrialState.FAIL, error or f"expected numbers as values, found {found}", []
    named = {"": found[0]} if len(found) == 1 else {f"_{index}": value for index, value in enumerate(found)}
    tags = {"optuna.state": state.name} | {f"optuna.value{end}": str(value) for end, value in named.items()}
    if error is not None:
        tags[ERROR] = shorten(" ".join(error.split()))
    status = "KILLED" if state == TrialState.FAIL and interrupted else STATUS[state]
    return Ending(status, tags, {f"{VALUE}{end}": float(value) for end, value in named.items()})
