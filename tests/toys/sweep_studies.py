"""Studies as a sweep leaves them, without its trainings: drawn from the built-in space, scored by a formula.

The formula has one best margin for each loss, a best learning rate, and a little noise, so that figures and tables show
what they would show of a real sweep. Times are made up too.
"""

import datetime
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import optuna
from optuna.trial import FrozenTrial, TrialState

from cross_modal.configuration import Experiment
from cross_modal_mlflow.sweep.head_space import HeadSpace
from cross_modal_mlflow.sweep.options import TARGETS, SweepOptions
from cross_modal_mlflow.sweep.settings import StudySettings
from cross_modal_mlflow.sweep.space import SearchSpace

optuna.logging.set_verbosity(optuna.logging.ERROR)

STEPS = (30, 60, 90, 120)
START = datetime.datetime(2026, 5, 4, 9, 30)
BEST = {
    "TripletMarginLoss.margin": 0.25,
    "CircleLoss.m": 0.3,
    "ContrastiveLoss[CosineSimilarity].gap": 0.6,
    "ContrastiveLoss[LpDistance].gap": 0.5,
    "MultiSimilarityLoss[CosineSimilarity].base": 0.4,
}
LOSSES = tuple(SweepOptions().losses)


def settings(
    space: dict[str, Any], *, kind: str = "training", targets: Sequence[str] = ("score",), trials: int = 30,
    constraints: dict[str, float] | None = None, experiment: Experiment | None = None,
) -> StudySettings:  # fmt: skip
    import dataclasses

    return StudySettings(
        kind=kind,
        experiment=dataclasses.asdict(experiment or Experiment(data="glyphs")),
        space=space,
        targets=list(targets),
        sampler="tpe",
        sampler_seed=0,
        pruner="median",
        trials=trials,
        digest="ab12",
        tracking_uri="sqlite:///mlruns/mlflow.db",
        experiment_id="1",
        run_id="0" * 32,
        version="0.1.0",
        constraints=constraints or {},
        model="models:/birds@champion" if kind == "heads" else None,
    )


def training_study(
    trials: int = 30,
    *,
    losses: Sequence[str] = LOSSES,
    miners: Sequence[str] = ("none", "MultiSimilarityMiner", "TripletMarginMiner"),
    targets: Sequence[str] = ("score",),
    constraints: dict[str, float] | None = None,
    storage: optuna.storages.BaseStorage | None = None,
    sampler: optuna.samplers.BaseSampler | None = None,
    ends: bool = True,
    name: str = "glyphs-sweep",
) -> optuna.Study:
    """A study of trainings.

    Args:
        trials: Trials that end; every sixth fails or dies where `ends`, about a fourth is pruned.
        losses: Of the space.
        miners: Of the space.
        targets: What is optimised.
        constraints: Name → limit.
        storage: Where the study goes; None keeps it in memory.
        sampler: None takes TPE.
        ends: Whether some trials are pruned, fail or die.
        name: The study's name.
    """
    base = Experiment(data="glyphs")
    space = SearchSpace.default(losses, miners, base)
    directions = [TARGETS[target] for target in targets]
    study = optuna.create_study(storage=storage, study_name=name, directions=directions)
    settings(space.to_dict(), targets=targets, trials=trials, constraints=constraints, experiment=base).keep(study)
    draft = optuna.create_study(
        sampler=sampler or optuna.samplers.TPESampler(multivariate=True, group=True, seed=1), directions=directions
    )
    draft.enqueue_trial(space.parameters_of(base))
    random, clock = np.random.default_rng(0), [START, START + datetime.timedelta(seconds=1)]
    for number in range(trials):
        trial = draft.ask()
        space.suggest(trial, base)
        score = _score(trial.params, random)
        values = [{"score": score, "eer": 0.5 * (1 - score) + 0.02 * random.random(), "seconds": 20 * score + 4 * random.random()}[t] for t in targets]  # fmt: skip  # noqa: E501
        draft.tell(trial, values)
        pruned = ends and len(targets) == 1 and number > 4 and score < 0.42
        state, extra = (TrialState.PRUNED, {}) if pruned else (TrialState.COMPLETE, {})
        if ends and number % 11 == 7:
            state, extra = TrialState.FAIL, {"error": "TrainingStopped: the loss became NaN at step 41"}
        elif ends and number % 13 == 9:
            state, extra = TrialState.FAIL, {}  # its worker died
        if number == 0:
            state, extra = TrialState.COMPLETE, {"role": "default"}
        seconds = (6 + 6 * random.random()) * (0.5 if state != TrialState.COMPLETE else 1)
        worker = number % 2
        began, clock[worker] = clock[worker], clock[worker] + datetime.timedelta(seconds=seconds)
        limits = {key: random.normal() - 0.5 for key in constraints or {}}
        study.add_trial(
            frozen(trial, state, values, extra | {"training_seconds": seconds}, (began, clock[worker]), score, limits)
        )
    return study


def heads_study(trials: int = 40) -> optuna.Study:
    """A study of few-shot heads."""
    space = HeadSpace.default()
    study = optuna.create_study(study_name="birds-heads", direction="maximize")
    settings(space.to_dict(), kind="heads", trials=trials).keep(study)
    draft = optuna.create_study(sampler=optuna.samplers.TPESampler(multivariate=True, group=True, seed=1))
    random = np.random.default_rng(0)
    for number in range(trials):
        trial = draft.ask()
        head = space.suggest(trial)
        score = 0.6 + 0.05 * (head.method == "prototypes") + 0.02 * random.normal()
        draft.tell(trial, -score)
        times = (START + datetime.timedelta(seconds=number), START + datetime.timedelta(seconds=number + 0.7))
        study.add_trial(frozen(trial, TrialState.COMPLETE, [score], {}, times, score))
    return study


def frozen(
    trial: optuna.Trial,
    state: TrialState,
    values: Sequence[float] | None,
    attributes: dict[str, Any],
    times: tuple[datetime.datetime, datetime.datetime],
    score: float = 0.5,
    limits: dict[str, float] | None = None,
) -> FrozenTrial:
    """A trial of another study as one that has ended in this way."""
    single = values is not None and len(values) == 1
    shown = STEPS[:2] if state == TrialState.PRUNED else STEPS[:1] if state == TrialState.FAIL else STEPS
    made = optuna.trial.create_trial(
        state=state,
        values=values if state == TrialState.COMPLETE else None,
        params=trial.params,
        distributions=trial.distributions,
        user_attrs=attributes,
        intermediate_values={step: score * (0.5 + 0.5 * step / 120) for step in shown} if single else {},
        constraints=limits or None,
    )
    made.datetime_start, made.datetime_complete = times
    return made


def _score(parameters: dict[str, Any], random: np.random.Generator) -> float:
    score = {"SupConLoss": 0.46, "TripletMarginLoss": 0.53}.get(parameters["objective.loss"], 0.5)
    for name, best in BEST.items():
        if name in parameters:
            score -= 0.4 * min(abs(parameters[name] - best), 0.4)
    score -= 0.12 * (math.log10(parameters["training.learning_rate"]) + 2.7) ** 2
    score += 0.01 * math.log2(parameters["twin.pooling.queries"])
    return float(score + 0.01 * random.normal())
