"""What a study came to: the winner's settings as a file that ``train --config`` runs, and the study as metrics."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import yaml

from cross_modal_mlflow.sweep.study import counts
from cross_modal_mlflow.sweep.trial_words import best_so_far, value_words

if TYPE_CHECKING:
    import optuna
    from optuna.trial import FrozenTrial

    from cross_modal.configuration import Experiment


def best_config_yaml(experiment: Experiment, study: optuna.Study, trial: FrozenTrial) -> str:
    """The settings of a trial as a file.

    Args:
        experiment: The trial's settings.
        study: The study.
        trial: The trial.

    Returns:
        YAML that ``cross-modal train --config`` reads: the same budget and seed, so the same twin on as many threads.
    """
    head = (
        f"# Trial {trial.number} of study {study.study_name}: {value_words(trial)} on validation classes.\n"
        "# cross-modal train --config best_config.yaml\n"
    )
    return head + yaml.safe_dump(dataclasses.asdict(experiment), sort_keys=False, allow_unicode=True)


def sweep_metrics(study: optuna.Study) -> dict[str, float]:
    """The study as metrics: the best values, and how many trials ended how."""
    trials = study.get_trials(deepcopy=False)
    best = best_so_far(study)
    found = {"sweep/trials": float(sum(map(counts, trials)))}
    for state in ("complete", "pruned", "fail"):
        found[f"sweep/{state}"] = float(sum(trial.state.name.lower() == state for trial in trials))
    if best is not None:
        for index, value in enumerate(best.values):
            found["sweep/best_value" + (f"_{index}" if len(best.values) > 1 else "")] = value
        found["sweep/best_trial"] = float(best.number)
    spent = sum(float(trial.user_attrs.get("training_seconds", 0.0)) for trial in trials)
    return found | ({"sweep/training_seconds": spent} if spent else {})
