"""What a trial says about itself, read from the study alone: how it ended, what it is worth, who leads.

Tables and figures share these readings, so that a trial is never "pruned" in one and "failed" in the other. Studies
that another program made can be read too: their targets are called what Optuna calls them.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from optuna.study import StudyDirection
from optuna.trial import TrialState

from cross_modal.errors import CrossModalError
from cross_modal_mlflow.sweep.settings import StudySettings

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from optuna import Study
    from optuna.trial import FrozenTrial

COMPLETE, OUTSIDE, PRUNED, FAILED, DIED, INTERRUPTED, RUNNING, WAITING = (
    "complete", "outside", "pruned", "failed", "died", "interrupted", "running", "waiting",
)  # fmt: skip
#: What the values of our own targets are.
LABELS = {"score": "validation score", "eer": "equal error rate", "seconds": "training seconds"}


@dataclass(frozen=True)
class Target:
    """One thing that a study optimises.

    Attributes:
        index: Its place among a trial's values.
        name: Its name, e.g. "score".
        label: What it is, for axes.
        maximise: Whether more is better.
    """

    index: int
    name: str
    label: str
    maximise: bool

    def value(self, trial: FrozenTrial) -> float | None:
        """The value of a trial; for one that was stopped, the last that it reported; None where there is none."""
        if trial.values is not None:
            return float(trial.values[self.index])
        if self.index == 0 and trial.intermediate_values:
            return float(trial.intermediate_values[max(trial.intermediate_values)])
        return None

    def final(self, trial: FrozenTrial) -> float:
        """The value of a complete trial."""
        return float(trial.values[self.index])


def settings_of(study: Study) -> StudySettings | None:
    """What the study is about; None if another program, or a version that keeps it in another way, made it."""
    try:
        return StudySettings.of(study)
    except (CrossModalError, ValueError, TypeError):
        return None


def targets_of(study: Study) -> list[Target]:
    """What a study optimises, in the order of its trials' values."""
    settings = settings_of(study)
    names = settings.targets if settings else study.metric_names or []
    if len(names) != len(study.directions):
        names = ["value"] if len(study.directions) == 1 else [f"value_{i}" for i in range(len(study.directions))]
    heads = settings is not None and settings.kind == "heads"
    return [
        Target(
            index,
            name,
            "validation accuracy" if heads and name == "score" else LABELS.get(name, name),
            direction == StudyDirection.MAXIMIZE,
        )
        for index, (name, direction) in enumerate(zip(names, study.directions, strict=True))
    ]


def ending_of(trial: FrozenTrial) -> str:
    """How a trial stands, in one word; "outside" is complete, but beyond a constraint.

    Example:
        >>> import optuna
        >>> ending_of(optuna.trial.create_trial(state=optuna.trial.TrialState.FAIL))
        'died'
    """
    if trial.state == TrialState.FAIL:
        return FAILED if "error" in trial.user_attrs else INTERRUPTED if "interrupted" in trial.user_attrs else DIED
    if trial.state == TrialState.COMPLETE:
        return COMPLETE if is_feasible(trial) else OUTSIDE
    return {TrialState.PRUNED: PRUNED, TrialState.RUNNING: RUNNING}.get(trial.state, WAITING)


def is_feasible(trial: FrozenTrial) -> bool:
    """Whether a trial keeps to every constraint that was measured for it."""
    return all(value <= 0 for value in trial.constraints.values())


def complete_trials(study: Study) -> list[FrozenTrial]:
    """The trials with numbers as values, in their order; beyond a constraint or not."""
    return [trial for trial in study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)) if _finite(trial)]


def ranked(study: Study) -> list[FrozenTrial]:
    """The complete trials of a study that keep to the constraints, the best first (see `rank`)."""
    return rank(targets_of(study), study.get_trials(deepcopy=False))


def rank(targets: Sequence[Target], trials: Iterable[FrozenTrial]) -> list[FrozenTrial]:
    """Those trials that are complete and keep to the constraints, the best first.

    With several targets the Pareto front comes first; inside it and after it the first target decides, then the number.
    """
    done = [trial for trial in trials if ending_of(trial) == COMPLETE and _finite(trial)]
    front = {trial.number for trial in pareto_front(targets, done)} if len(targets) > 1 else set()
    return sorted(done, key=lambda trial: (trial.number not in front, *_place(targets[0], trial)))


def pareto_front(targets: Sequence[Target], trials: Iterable[FrozenTrial]) -> list[FrozenTrial]:
    """Those of these complete trials that no other surpasses in one target without falling behind in another."""
    points = [(trial, [-t.final(trial) if t.maximise else t.final(trial) for t in targets]) for trial in trials]
    return [
        trial
        for trial, losses in points
        if not any(
            all(other <= own for other, own in zip(others, losses, strict=True)) and others != losses
            for _, others in points
        )
    ]


def tally(trials: Iterable[FrozenTrial]) -> dict[str, int]:
    """How many trials stand how; endings that do not occur are left out."""
    found = Counter(ending_of(trial) for trial in trials)
    order = (COMPLETE, OUTSIDE, PRUNED, FAILED, DIED, INTERRUPTED, RUNNING, WAITING)
    return {name: found[name] for name in order if found[name]}


def drawn_number(value: Any) -> bool:
    """Whether a parameter's value is a finite number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _finite(trial: FrozenTrial) -> bool:
    return all(math.isfinite(value) for value in trial.values)


def _place(target: Target, trial: FrozenTrial) -> tuple[float, int]:
    """The order of trials: the better value, then the earlier trial."""
    return (-target.final(trial) if target.maximise else target.final(trial)), trial.number
