"""Few-shot heads searched with and without pruning on paired episodes: episodes and seconds spent, and the heads found.

    python tests/benchmarks/head_sweep.py MODEL --data glyphs --trials 40

Both searches draw the same heads (random sampler, one seed), so that the best without pruning is what pruning may lose.
The study lies in a journal file, as it does for users.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np
import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from cross_modal.configuration import DataConfig, EvaluationConfig
from cross_modal.data.sources import read_items
from cross_modal.encoders.saved_twin import load_twin
from cross_modal.fewshot.intervals import mean_and_interval
from cross_modal_mlflow.measurement import embed
from cross_modal_mlflow.models import model_folder
from cross_modal_mlflow.store import open_store
from cross_modal_mlflow.sweep.comparison import compare_heads
from cross_modal_mlflow.sweep.head_space import HeadSpace
from cross_modal_mlflow.sweep.trial_head import HeadEpisodes, episodes_spent, run_head_trial

SPACE = HeadSpace.default()


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("model")
    arguments.add_argument("--data", default="glyphs")
    arguments.add_argument("--trials", type=int, default=40)
    asked = arguments.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    twin, items = load_twin(model_folder(asked.model, open_store)), read_items(asked.data, DataConfig())
    embedded = {split: embed(twin, items.split(split), DataConfig()) for split in ("validation", "test")}
    episodes = HeadEpisodes.of(embedded["validation"], EvaluationConfig(), twin.metric)
    with tempfile.TemporaryDirectory() as folder:
        whole, slow = search(episodes, optuna.pruners.NopPruner(), asked.trials, Path(folder) / "whole")
        pruned, fast = search(episodes, optuna.pruners.WilcoxonPruner(), asked.trials, Path(folder) / "pruned")
        alone = scoring_seconds(episodes, whole)
        best, found = (SPACE.suggest(optuna.trial.FixedTrial(study.best_params)) for study in (whole, pruned))
        scored = [episodes.accuracies(head) for head in (best, found)]
        lost, half = mean_and_interval(np.mean([scored[0][name] - scored[1][name] for name in scored[0]], axis=0))
        print(
            json.dumps(
                {
                    "episodes_spent": round(episodes_spent(pruned) / episodes_spent(whole), 3),
                    "processor_seconds": {
                        "whole": round(slow, 2),
                        "pruned": round(fast, 2),
                        "scoring_of_whole": round(alone, 2),
                    },
                    "values": {
                        "default": whole.trials[0].value,
                        "whole": whole.best_value,
                        "pruned": pruned.best_value,
                    },
                    "same_head": best == found,
                    "lost": lost,
                    "lost_ci95": half,
                    "head": {"method": found.method, **found.parameters},
                }
            )
        )
    default = SPACE.suggest(optuna.trial.FixedTrial(SPACE.parameters_of_default()))
    compared = compare_heads(found, default, embedded["test"], EvaluationConfig(), twin.metric)
    print("\n".join(compared.sentences()))


def search(
    episodes: HeadEpisodes, pruner: optuna.pruners.BasePruner, trials: int, file: Path
) -> tuple[optuna.Study, float]:
    """A study of the same heads under any pruner, and its seconds of processor time."""
    began = time.process_time()
    study = optuna.create_study(
        storage=JournalStorage(JournalFileBackend(str(file))),
        direction="maximize",
        sampler=optuna.samplers.RandomSampler(0),
        pruner=pruner,
    )
    study.enqueue_trial(SPACE.parameters_of_default())
    study.optimize(lambda trial: run_head_trial(SPACE.suggest(trial), episodes, trial).value, n_trials=trials)
    return study, time.process_time() - began


def scoring_seconds(episodes: HeadEpisodes, study: optuna.Study) -> float:
    """Seconds of processor time of scoring the same heads without a study."""
    began = time.process_time()
    for trial in study.trials:
        head = SPACE.suggest(optuna.trial.FixedTrial(trial.params))
        for block in episodes.blocks():
            episodes.accuracies(head, block)
    return time.process_time() - began


if __name__ == "__main__":
    main()
