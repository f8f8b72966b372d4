"""Samplers and pruners by name: how the next trial is drawn, and when a poor one is stopped."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import optuna

if TYPE_CHECKING:
    from optuna.pruners import BasePruner
    from optuna.samplers import BaseSampler

    from cross_modal_mlflow.sweep.settings import StudySettings

STARTUP = 5  # trials that the median pruner lets run to their end first
_CERTAIN = 0.1  # Wilcoxon's p below which a head is worse; Optuna's own


def build_sampler(settings: StudySettings, seed: int) -> BaseSampler:
    """The sampler of a study.

    Args:
        settings: What names it. "tpe" draws parameters together, each conditional group on its own, and counts trials
            that others run as poor, so that workers do not all try one place; "gp" is a Gaussian process; "random".
        seed: Of its draws; each worker has another.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        if settings.sampler == "random":
            return optuna.samplers.RandomSampler(seed=seed)
        if settings.sampler == "gp":  # parameters of single losses are drawn at random: no reason to warn at each
            return optuna.samplers.GPSampler(seed=seed, warn_independent_sampling=False)
        return optuna.samplers.TPESampler(multivariate=True, group=True, constant_liar=True, seed=seed)


def build_pruner(settings: StudySettings) -> BasePruner:
    """The pruner of a study: none where there are several targets, as Optuna prunes on one value only.

    Trainings report at validations: "median" stops one that is worse than the median of the others at that step, once
    `STARTUP` trials have ended; "hyperband" takes steps for the resource, from one validation to the whole budget.
    Heads report episodes, the same in every trial: "wilcoxon" stops one that is worse beyond doubt.
    """
    training = settings.experiment.get("training", {})
    steps, every = int(training.get("steps", 1)), max(1, int(training.get("validate_every", 1)))
    if settings.pruner == "none" or _why_not(settings) is not None:
        return optuna.pruners.NopPruner()
    if settings.pruner == "hyperband" and settings.kind == "training":
        return optuna.pruners.HyperbandPruner(min_resource=every, max_resource=max(steps, every), reduction_factor=2)
    if settings.pruner == "median" and settings.kind == "training":
        return optuna.pruners.MedianPruner(n_startup_trials=STARTUP)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return optuna.pruners.WilcoxonPruner(p_threshold=_CERTAIN)


def pruner_note(settings: StudySettings) -> str | None:
    """What to tell who asked for a pruner that does not come."""
    why = _why_not(settings)
    return None if settings.pruner == "none" or why is None else f"no trial is pruned: {why}"


def _why_not(settings: StudySettings) -> str | None:
    """Why trials of a study cannot be pruned; None where they can."""
    if len(settings.targets) > 1:
        return "pruners compare one value, and there are several targets"
    if settings.constraints:
        return "pruners know no constraints, and would measure a twin that keeps to them by others that do not"
    return None
