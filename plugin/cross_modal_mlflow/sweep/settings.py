"""What a study is about, kept with the study itself: a worker on another machine needs nothing but its name.

Kept as one JSON text under one user attribute, written once, before the first trial.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cross_modal.errors import CrossModalError

if TYPE_CHECKING:
    import optuna

ATTRIBUTE = "cross_modal.settings"


@dataclass(frozen=True)
class StudySettings:
    """Everything that makes a trial of a study.

    Attributes:
        kind: "training" (a trial trains a twin) or "heads" (a trial is a few-shot classifier on fixed embeddings).
        experiment: `dataclasses.asdict` of the experiment that every trial starts from.
        space: What `SearchSpace.to_dict` (or `HeadSpace.to_dict`) gives.
        targets: What is optimised, e.g. ["score"].
        sampler: "tpe", "gp" or "random".
        sampler_seed: Seed of the first worker's sampler.
        pruner: "median", "hyperband", "wilcoxon" or "none".
        constraints: "latency" (milliseconds) and "memory" (megabytes) → the most there may be.
        trials: Trials in all when the study was started; a later start may raise it.
        digest: Of the items: a worker with other data is refused.
        model: The model reference of a study of heads.
        tracking_uri: MLflow's tracking URI as the starter saw it.
        experiment_id: The MLflow experiment.
        run_id: The parent run.
        version: The version of cross-modal that started it.
    """

    kind: str
    experiment: dict[str, Any]
    space: dict[str, Any]
    targets: list[str]
    sampler: str
    sampler_seed: int
    pruner: str
    trials: int
    digest: str
    tracking_uri: str
    experiment_id: str
    run_id: str
    version: str
    constraints: dict[str, float] = field(default_factory=dict)
    model: str | None = None

    def keep(self, study: optuna.Study) -> None:
        """Writes the settings into the study."""
        study.set_user_attr(ATTRIBUTE, json.dumps(dataclasses.asdict(self)))

    @classmethod
    def of(cls, study: optuna.Study) -> StudySettings:
        """Reads the settings of a study.

        Raises:
            CrossModalError: If another program made the study.
        """
        said = study.user_attrs.get(ATTRIBUTE)
        if said is None:
            raise CrossModalError(f"study {study.study_name}: expected one that `cross-modal sweep` made, found none")
        known = {each.name for each in dataclasses.fields(cls)}
        return cls(**{name: value for name, value in json.loads(said).items() if name in known})
