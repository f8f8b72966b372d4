"""One trial that trains a twin: validations go to Optuna as they come, the best twin and its values come out.

It knows no study and no tracking: what is reported and whether to stop are two functions. A trial leaves no checkpoint
behind, however it ends: a sweep of fifty trials must not leave fifty of them on the disk.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import optuna

from cross_modal.configuration import Experiment
from cross_modal.data.items import Items
from cross_modal.encoders.twin import TwinEncoder
from cross_modal.errors import CrossModalError
from cross_modal.training.listener import Silence
from cross_modal.training.loop import BEST, LAST, train
from cross_modal.training.shared_parts import SharedParts
from cross_modal.training.validation import SCORE
from cross_modal_mlflow.sweep.costs import latency_ms, weights_mb
from cross_modal_mlflow.sweep.validation_pairs import EER, ValidationPairs

COSTS: Mapping[str, Callable[[TwinEncoder], float]] = {"latency": latency_ms, "memory": weights_mb}
_VALIDATION = "validation/"


@dataclass(frozen=True)
class TrialOutcome:
    """What a trial came to.

    Attributes:
        values: One a target, in their order.
        metrics: The validation metrics of the best step, by name.
        twin: The best twin, in evaluation mode.
        seconds: Phase → seconds ("setup", "training", "validation").
        best_step: Steps done when it was best.
        constraints: What was measured for each constraint: "latency" in milliseconds, "memory" in megabytes.
    """

    values: list[float]
    metrics: dict[str, float]
    twin: TwinEncoder
    seconds: dict[str, float]
    best_step: int
    constraints: dict[str, float] = field(default_factory=dict)


class _Reporter(Silence):
    """Passes the validations on, and stops the training where it is told to."""

    def __init__(
        self, name: str | None, steps: int, report: Callable[[float, int], None], should_prune: Callable[[], bool]
    ) -> None:
        self._name, self._steps, self._report, self._should_prune = name, steps, report, should_prune
        self.validations: dict[int, dict[str, float]] = {}

    def on_validation(self, step: int, metrics: dict[str, float]) -> None:
        self.validations[step] = metrics
        value = metrics.get(self._name, math.nan) if self._name else math.nan
        if math.isnan(value):
            return
        self._report(value, step)
        # After the last step there is nothing left to save, and a whole trial teaches the sampler more.
        if step < self._steps and self._should_prune():
            raise optuna.TrialPruned(f"pruned at step {step}")


def run_training_trial(
    experiment: Experiment,
    items: Items,
    trial_report: Callable[[float, int], None],
    should_prune: Callable[[], bool],
    *,
    shared: SharedParts | None = None,
    folder: Path,
    targets: Sequence[str] = ("score",),
    constraints: Mapping[str, float] | None = None,
) -> TrialOutcome:
    """Trains a twin with a trial's settings.

    Args:
        experiment: The settings.
        items: Items of the splits train and validation.
        trial_report: Told (value, step) after each validation, as `optuna.Trial.report` is: of the first target that is
            known by then, "score" or "eer".
        should_prune: Asked after each report but the last.
        shared: What the trials have in common.
        folder: Where the checkpoints lie while it runs; they are gone afterwards.
        targets: What is optimised: "score" (the validation score that picks the best step), "eer" (equal error rate of
            that step on validation pairs), "seconds" (of training, validations not counted).
        constraints: What is to be measured of the twin, "latency" or "memory", with its limit.

    Returns:
        The outcome.

    Raises:
        optuna.TrialPruned: If it was told to stop.
        CrossModalError: If the settings or the data do not allow the training, or there is nothing to validate on.
        TrainingStopped: If the training collapsed.
    """
    pairs = ValidationPairs(experiment.evaluation.seed, items.source) if "eer" in targets else None
    monitor = SCORE if experiment.training.monitor == "auto" else experiment.training.monitor
    names = {"score": monitor, "eer": _VALIDATION + EER}
    reported = next((names[target] for target in targets if target in names), None)
    reporter = _Reporter(reported, experiment.training.steps, trial_report, should_prune)
    try:
        result = train(
            experiment, items, folder=folder, listener=reporter, shared=shared, measure=pairs, resumable=False
        )
    finally:
        for name in (BEST, LAST):
            (folder / name).unlink(missing_ok=True)
    if result.best_score is None:
        raise CrossModalError(f"{items.source}: expected validation items that give a trial its score, found none")
    metrics = reporter.validations[result.best_step]
    known = {
        "score": result.best_score,
        "eer": metrics.get(_VALIDATION + EER, math.nan),
        "seconds": result.seconds["training"],
    }
    return TrialOutcome(
        values=[known[target] for target in targets],
        metrics=dict(metrics),
        twin=result.twin,
        seconds=dict(result.seconds),
        best_step=result.best_step,
        constraints={name: COSTS[name](result.twin) for name in constraints or {}},
    )
