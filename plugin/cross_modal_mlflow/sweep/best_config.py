"""What a study came to: the winner's settings as a file that ``train --config`` runs, and the study as metrics."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import yaml

from cross_modal_mlflow.sweep.importance import importances
from cross_modal_mlflow.sweep.study import counts
from cross_modal_mlflow.sweep.trial_facts import FAILED, tally, targets_of
from cross_modal_mlflow.sweep.trial_margins import margins_of
from cross_modal_mlflow.sweep.trial_words import best_so_far

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial

    from cross_modal.configuration import Experiment


def best_config_yaml(experiment: Experiment, study: Study, trial: FrozenTrial) -> str:
    """The settings of a trial as a file.

    Args:
        experiment: The trial's settings.
        study: The study.
        trial: The trial, complete.

    Returns:
        YAML that ``cross-modal train --config`` reads: the same budget and seed, so the same twin on as many threads.
    """
    values = ", ".join(f"{target.label} {target.final(trial):.4f}" for target in targets_of(study))
    asked = sum(map(counts, study.get_trials(deepcopy=False)))
    head = [
        f"Trial {trial.number} of study {study.study_name} ({asked} trials): {values}, on validation classes.",
        margins_of(experiment).sentence,
        "cross-modal train --config best_config.yaml",
    ]
    said = "".join(f"# {' '.join(line.split())}\n" for line in head)  # no name breaks out of the comment
    return said + yaml.safe_dump(dataclasses.asdict(experiment), sort_keys=False, allow_unicode=True)


def sweep_metrics(study: Study) -> dict[str, float]:
    """The study as metrics: the best values, how many trials ended how, what they took, and which settings decided.

    Args:
        study: The study.

    Returns:
        Name → number: "sweep/best_value" (several targets: "sweep/best_value_0", …, of the front's leader in the first
        target), "sweep/best_trial", "sweep/trials", "sweep/complete", …, and "importance/training.learning_rate" (a
        share of 1, by PED-ANOVA; several targets: "importance/eer/…").
    """
    trials, targets = study.get_trials(deepcopy=False), targets_of(study)
    found = {"sweep/trials": float(sum(map(counts, trials)))}
    found |= {f"sweep/{name}": 0.0 for name in ("complete", "pruned", FAILED)}
    found |= {f"sweep/{ending}": float(count) for ending, count in tally(trials).items()}
    best = best_so_far(study)
    if best is not None:
        end = {target: "" if len(targets) == 1 else f"_{target.index}" for target in targets}
        found |= {f"sweep/best_value{end[target]}": target.final(best) for target in targets}
        found["sweep/best_trial"] = float(best.number)
    spent = sum(float(trial.user_attrs.get("training_seconds", 0.0)) for trial in trials)
    found |= {"sweep/training_seconds": spent} if spent else {}
    for target in targets:
        room = "importance/" if len(targets) == 1 else f"importance/{target.name}/"
        shares = importances(study, target)
        found |= {room + _metric(name): share for name, share in shares.items()}
    return found


def _metric(name: str) -> str:
    """A parameter's name as MLflow takes it, the same in every report.

    >>> _metric("ContrastiveLoss[LpDistance].gap")
    'ContrastiveLoss.LpDistance.gap'
    """
    return name.replace("[", ".").replace("]", "")
