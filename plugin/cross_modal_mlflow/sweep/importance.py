"""How much each setting decides, by PED-ANOVA.

PED-ANOVA asks what the best trials have in common that the others lack (Watanabe et al., IJCAI 2023; settings that
exist only beside others: Conditional PED-ANOVA, KDD 2026). Optuna's default takes the best tenth; of a sweep of thirty
trials that would be two or three, so at least five are taken here, as its authors advise. A setting that fewer than a
third of the trials drew is left out: with few values anything looks decisive.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import optuna

from cross_modal_mlflow.sweep.trial_facts import Target, complete_trials

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial

METHOD = "PED-ANOVA"
LEAST_TRIALS = 4  # complete ones, below which nothing is said
LEAST_BEST = 5
_SHARE = 1 / 3  # of the complete trials that have to have drawn a setting


def best_share(trials: int) -> float:
    """The share of the trials that counts as the best ones.

    Example:
        >>> best_share(20), best_share(500)
        (0.25, 0.1)
    """
    return min(0.5, max(0.1, LEAST_BEST / trials))


def importances(study: Study, target: Target) -> dict[str, float]:
    """How much each setting decides a target.

    Args:
        study: The study.
        target: The target.

    Returns:
        Name of a parameter → its share, the largest first, together 1 (or all 0, where none stands out); empty where
        there are too few trials or their values are all alike.
    """
    trials = complete_trials(study)
    names = assessable(trials)
    if len(trials) < LEAST_TRIALS or not names or len({target.final(trial) for trial in trials}) < 2:
        return {}
    sign = -1 if target.maximise else 1  # PED-ANOVA takes low values for good ones
    evaluator = optuna.importance.PedAnovaImportanceEvaluator(target_quantile=best_share(len(trials)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = optuna.importance.get_param_importances(
            study, evaluator=evaluator, params=names, target=lambda trial: sign * target.final(trial)
        )
    return {name: float(share) for name, share in found.items()}


def assessable(trials: list[FrozenTrial]) -> list[str]:
    """Parameters that enough of these trials drew, with more than one value."""
    drawn: dict[str, list[object]] = {}
    for trial in trials:
        for name, value in trial.params.items():
            drawn.setdefault(name, []).append(value)
    least = max(LEAST_TRIALS, _SHARE * len(trials))
    return [name for name, values in drawn.items() if len(values) >= least and len(set(values)) > 1]
