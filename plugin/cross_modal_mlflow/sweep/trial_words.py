"""A trial in words, for tables: its loss, margin and miner, or its head; its values, how it ended, how long it took."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import optuna

from cross_modal.configuration import Experiment
from cross_modal.errors import CrossModalError
from cross_modal.rebuild import rebuild
from cross_modal_mlflow.sweep.trial_facts import (
    COMPLETE,
    DIED,
    FAILED,
    INTERRUPTED,
    OUTSIDE,
    PRUNED,
    RUNNING,
    ending_of,
    ranked,
    settings_of,
)
from cross_modal_mlflow.sweep.trial_margins import LossMargins, margins_of, number

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial

LOSS, METHOD = "objective.loss", "method"


class TrialWords:
    """Puts the trials of one study in words.

    Args:
        study: The study; what it is about is read once. A study that another program made shows its parameters.
    """

    def __init__(self, study: Study) -> None:
        settings = settings_of(study)
        self.kind = settings.kind if settings else "other"
        self._known: dict[int, Experiment] = {}
        if settings is not None and self.kind == "training":
            from cross_modal_mlflow.sweep.space import SearchSpace

            try:
                self._space = SearchSpace.from_dict(settings.space)
                self._base = rebuild(Experiment, settings.experiment)
            except (LookupError, TypeError, CrossModalError):  # another version's: its parameters can still be shown
                self.kind = "other"

    @property
    def columns(self) -> tuple[str, ...]:
        """What the cells are."""
        known = {"training": ("loss", "margin", "miner"), "heads": ("head", "parameters")}
        return known.get(self.kind, ("parameters",))

    def cells(self, trial: FrozenTrial, *, short: bool = True) -> tuple[str, ...]:
        """One cell a column; empty ones while a trial is still being drawn.

        Args:
            trial: The trial.
            short: Without the words that all losses and miners end in, with units as in `UNITS`.
        """
        if self.kind == "training":
            return self._training(trial, short)
        parameters = dict(trial.params)
        if self.kind == "heads":
            head = str(parameters.pop(METHOD, ""))
            return head, _listed({name.removeprefix(f"{head}."): each for name, each in parameters.items()})
        return (_listed(parameters),)

    def experiment(self, trial: FrozenTrial) -> Experiment | None:
        """The experiment that a trial runs; None before all of it is drawn, and where a trial is none."""
        if self.kind != "training":
            return None
        if trial.number not in self._known:
            try:
                drawn = self._space.suggest(optuna.trial.FixedTrial(dict(trial.params)), self._base)
            except (ValueError, CrossModalError):  # a parameter is still missing, or another version drew it
                return None
            self._known[trial.number] = drawn
        return copy.deepcopy(self._known[trial.number])

    def margins(self, trial: FrozenTrial) -> LossMargins | None:
        """The margins of a trial's loss; None where there is no loss (yet)."""
        experiment = self.experiment(trial)
        return None if experiment is None else margins_of(experiment)

    def _training(self, trial: FrozenTrial, short: bool) -> tuple[str, ...]:
        experiment = self.experiment(trial)
        if experiment is None:
            return part_name(str(trial.params.get(LOSS, ""))), "", ""
        objective, margins = experiment.objective, margins_of(experiment)
        miner = objective.miner.name if objective.miner else "none"
        if short:
            return part_name(objective.loss.name), margins.short, part_name(miner)
        return objective.loss.name, margins.plain, miner


def part_name(name: str) -> str:
    """A loss's or miner's name without the word that its column says.

    Example:
        >>> part_name("TripletMarginLoss"), part_name("none")
        ('TripletMargin', 'none')
    """
    for ending in ("Loss", "Miner"):
        if name.endswith(ending) and name != ending:
            return name.removesuffix(ending)
    return name


def value_words(trial: FrozenTrial) -> str:
    """The values; of a trial without any, what it reported last, in brackets."""
    if trial.values:
        return " ".join(f"{value:.4f}" for value in trial.values)
    reported = trial.intermediate_values
    return f"({reported[max(reported)]:.4f})" if reported else ""


def state_words(trial: FrozenTrial) -> str:
    """How a trial stands, and since which step; of a failure its reason.

    Example:
        >>> from optuna.trial import TrialState, create_trial
        >>> state_words(create_trial(state=TrialState.FAIL, user_attrs={"error": "CrossModalError: no pairs"}))
        'failed: CrossModalError: no pairs'
    """
    ending = ending_of(trial)
    if ending == COMPLETE:
        return "done"
    reported = f" @{max(trial.intermediate_values)}" if trial.intermediate_values else ""
    if ending == PRUNED:
        return f"pruned{reported}"
    if ending in (DIED, INTERRUPTED):
        return "worker died" if ending == DIED else "interrupted"
    error = " ".join(str(trial.user_attrs.get("error", "")).split())
    said = "beyond a limit" if ending == OUTSIDE else ending
    if ending == RUNNING:
        again = trial.user_attrs.get("retry_of")
        return f"running{reported}" + ("" if again is None else f", was trial {again}")
    return f"{said}: {error}" if ending == FAILED and error else said


def duration_words(seconds: float) -> str:
    """Seconds as a clock.

    Example:
        >>> duration_words(75), duration_words(3700)
        ('1:15', '1:01:40')
    """
    whole = max(int(seconds), 0)
    hours, minutes = whole // 3600, whole % 3600 // 60
    return f"{hours}:{minutes:02d}:{whole % 60:02d}" if hours else f"{minutes}:{whole % 60:02d}"


def best_so_far(study: Study) -> FrozenTrial | None:
    """The best complete trial that keeps to the constraints; of a Pareto front the leader in the first target."""
    return next(iter(ranked(study)), None)


def _listed(parameters: dict[str, Any]) -> str:
    return ", ".join(f"{name.rpartition('.')[2]} {number(each)}" for name, each in parameters.items())
