"""The demo's small study: eight few-shot heads on the twin that was just trained, so that there is a sweep to look at.

Heads are tuned on the embeddings of validation classes and nothing is trained, so it takes seconds. A fault costs the
study and never the demo, whose run is finished and printed before.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from cross_modal.configuration import Experiment
from cross_modal.errors import CrossModalError
from cross_modal_mlflow.sweep.options import SweepOptions

if TYPE_CHECKING:
    from rich.console import Console

TRIALS, EPISODES = 8, 300


def study_options(experiment: Experiment, run_id: str) -> SweepOptions:
    """What the study searches.

    Args:
        experiment: The demo's settings.
        run_id: The demo's run, whose twin it is about.

    Returns:
        The options of a sweep over heads; its name is the demo's own, so that a second demo has a second study.

    Example:
        >>> options = study_options(Experiment(data="glyphs"), "9b869e1a39684bf49c054e621a994633")
        >>> options.study, options.trials, options.evaluation.episodes
        ('demo-9b869e1a', 8, 300)
    """
    evaluation = dataclasses.replace(experiment.evaluation, episodes=min(EPISODES, experiment.evaluation.episodes))
    settings = {field.name: getattr(experiment, field.name) for field in dataclasses.fields(Experiment)}
    return SweepOptions(
        **(settings | {"evaluation": evaluation}),
        model=f"runs:/{run_id}/model",
        trials=TRIALS,
        study=f"demo-{run_id[:8]}",
        pruner="none",  # eight whole trials say what decides; pruned ones would not
    )


def run_demo_study(experiment: Experiment, run_id: str, console: Console) -> str:
    """Runs the study.

    Args:
        experiment: The demo's settings.
        run_id: The demo's run.
        console: Where progress goes (standard error).

    Returns:
        What came of it, in one line.
    """
    from cross_modal_mlflow.sweep.coordinate import sweep
    from cross_modal_mlflow.sweep.trial_words import best_so_far

    options = study_options(experiment, run_id)
    try:
        study = sweep(options, console).study
    except CrossModalError as error:
        return f"note: no study of heads: {error}"
    best = best_so_far(study)
    assert best is not None  # else the sweep had ended with an error
    head = best.params["method"].replace("_", " ")
    return f"study {study.study_name}: {options.trials} few-shot heads on the twin; best on validation classes: {head}"
