"""Training on labelled pairs or triplets, as one MLflow run: pairs → twin → calibration → pairs of unseen items.

As `pipeline` does for classes. Thresholds and probabilities are learned on the validation pairs and kept with the
model; the test pairs are read once, at the end.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cross_modal.configuration import Experiment
from cross_modal.data.pairs import Pairs, Triplets
from cross_modal.errors import CrossModalError
from cross_modal.training.loop import TrainingResult, train
from cross_modal.verification.pair_scorer import PairScorer
from cross_modal.verification.saved_calibration import SavedCalibration
from cross_modal_mlflow import figures
from cross_modal_mlflow.follower import leading
from cross_modal_mlflow.logged_twin import log_model_metrics, log_twin
from cross_modal_mlflow.pair_data import (
    as_pairs,
    log_pair_data,
    pair_counts,
    pair_protocol,
    read_pair_source,
)
from cross_modal_mlflow.pair_evidence import log_pair_evidence
from cross_modal_mlflow.pair_measurement import (
    PairMeasures,
    ScoredPairs,
    learn_calibration,
    measure_pairs,
    score_pairs,
    triplet_accuracy,
)
from cross_modal_mlflow.phases import Clock, working
from cross_modal_mlflow.pipeline import (
    MODEL,
    Outcome,
    card,
    checkpoint_folder,
    config_yaml,
    keeps_checkpoint,
    log_calibration,
    log_result,
    or_says_where,
    registered,
    remove_checkpoints,
    saved_model,
)
from cross_modal_mlflow.progress import Listeners, Progress
from cross_modal_mlflow.registry import register
from cross_modal_mlflow.report import Report
from cross_modal_mlflow.resumed_run import ResumedRun, intentions
from cross_modal_mlflow.run_context import experiment_tags
from cross_modal_mlflow.run_listener import RunListener
from cross_modal_mlflow.store import open_store
from cross_modal_mlflow.tracking import TrackedRun, tracked_run

if TYPE_CHECKING:
    from rich.console import Console


@dataclass(frozen=True)
class Measured:
    """What was learned and measured after training.

    Attributes:
        metrics: `verification/…` of the test pairs; of the validation pairs where there is no test split.
        notes: Sentences worth reading.
        calibration: Learned on the validation pairs, or None.
        scored: The measured pairs, or None.
        measures: What was measured on them, or None.
        split: Which they are.
    """

    metrics: dict[str, float]
    notes: list[str]
    calibration: SavedCalibration | None = None
    scored: ScoredPairs | None = None
    measures: PairMeasures | None = None
    split: str = "test"


def train_on_pairs(
    command: str,
    experiment: Experiment,
    console: Console,
    *,
    register_as: str | None = None,
    resume: ResumedRun | None = None,
) -> Outcome:
    """Trains on a manifest of pairs or triplets, calibrates, measures the test split, logs all of it as one run.

    Args:
        command: "train".
        experiment: All settings.
        console: Where progress goes (standard error).
        register_as: The registered model that the twin becomes a version of; None registers nothing.
        resume: The run to go on with, of the same settings; None starts one.

    Returns:
        What was measured.

    Raises:
        CrossModalError: If settings, data or store do not allow it, or training collapsed.
    """
    clock = Clock()
    with clock.phase("store"):
        store = open_store()
    reading = working(console, f"reading {experiment.data}")
    with clock.phase("data"), reading, leading(experiment, resume is not None) as together:
        data = read_pair_source(experiment.data, experiment.items, together)
        pairs = as_pairs(data)
    tags = experiment_tags(experiment.twin)
    name = f"{command} {Path(experiment.data).name}"[:80] if resume is None else None  # people rename runs
    known: Mapping[str, Mapping[int, float]] = {}
    with tracked_run(command, store, name=name, about=tags, run_id=None if resume is None else resume.run_id) as run:
        if resume is None:
            _log_start(run, experiment, pairs)
            run.tags(intentions(register_as))
        else:
            known = run.take_up()
        folder = checkpoint_folder(run) if resume is None else resume.folder
        heard = RunListener(run, experiment.training, known)
        with keeps_checkpoint(folder, run), Progress(experiment.training.steps, console) as bar:
            listener = Listeners(bar, heard)
            result = train(experiment, data, folder=folder, listener=listener, resume=resume is not None)
        clock.seconds |= result.seconds
        scorer = PairScorer.of(result.twin, result.head)
        evaluating = working(console, "calibrating and measuring pairs")
        with keeps_checkpoint(folder, run), clock.phase("evaluation"), evaluating:
            found = calibrate_and_measure(result, scorer, pairs, experiment, triplets=isinstance(data, Triplets))
        about = pair_protocol(pairs, found.split, scorer, experiment.evaluation.seed)
        report = Report(command, about, found.metrics, clock.seconds, run.run_id)
        with clock.phase("logging"), working(console, "logging the run"):
            made = card(experiment, pairs.items, result, None, found.metrics) | {"digest": pairs.digest}
            with (
                keeps_checkpoint(folder, run),
                or_says_where(saved_model(folder, result.twin, made, scorer, found.calibration), store),
            ):
                info = log_twin(
                    run,
                    result.twin,
                    MODEL,
                    made,
                    pairs.items,
                    result.best_step,
                    scorer=scorer,
                    calibration=found.calibration,
                    pairs=pairs,
                )
                log_model_metrics(run, info.model_id, pairs.items, found.metrics, result.best_step, found.split)
                log_result(run, result, report, found.notes)
                run.figure(figures.curves(heard.history), "curves.png")
                log_calibration(run, found.calibration)
                if found.scored is not None and found.measures is not None:
                    log_pair_evidence(run, found.scored, found.measures)
        run.metrics({f"seconds/{name}": value for name, value in clock.seconds.items()})
    remove_checkpoints(folder)
    next_steps = [f"cross-modal verify runs:/{run.run_id}/{MODEL} {words}" for words in ("A B", "--pairs FILE")]
    outcome = Outcome(report, [*result.messages, *found.notes], store, next_steps=next_steps)
    return outcome if register_as is None else registered(outcome, register(store, register_as, info.model_uri, report))


def calibrate_and_measure(
    result: TrainingResult, scorer: PairScorer, pairs: Pairs, experiment: Experiment, *, triplets: bool = False
) -> Measured:
    """Learns the calibration on the validation pairs and measures the test pairs.

    Args:
        result: The trained twin.
        scorer: What scores its embeddings.
        pairs: All pairs.
        experiment: The settings.
        triplets: The pairs are triplets, one after the other: their order is measured too.
    """
    twin, notes = result.twin, list[str]()
    calibration, validation = None, pairs.split("validation")
    scored = None
    if len(validation):
        scored = score_pairs(twin, scorer, validation, experiment.items)
        provenance = {
            "data": str(experiment.data),
            "digest": pairs.digest,
            "split": "validation",
            "score": scorer.name,
            **pair_counts(validation),
        }
        calibration, notes = learn_calibration(scored, twin, provenance)
    else:
        notes.append(f"{pairs.source} has no validation pairs: the model has no threshold")
    split, test = "test", pairs.split("test")
    if len(test):
        scored = score_pairs(twin, scorer, test, experiment.items)
    elif scored is not None:
        split = "validation"
        notes.append(f"{pairs.source} has no test pairs: measured on those that chose step and threshold")
    if scored is None:
        return Measured({}, [*notes, "nothing was measured on unseen pairs"], calibration)
    try:
        measures = measure_pairs(scored, calibration, seed=experiment.evaluation.seed)
    except CrossModalError as error:  # one verdict only, say: no reason to lose the model
        return Measured({}, [*notes, str(error)], calibration)
    ordered = triplet_accuracy(scored.scores) if triplets else {}
    return Measured({**measures.metrics, **ordered}, [*notes, *measures.notes], calibration, scored, measures, split)


def _log_start(run: TrackedRun, experiment: Experiment, pairs: Pairs) -> None:
    """Logs what is known before the first step: a run that is killed has it too."""
    run.parameters(experiment)
    run.text(config_yaml(experiment), "config.yaml")
    run.environment()
    log_pair_data(run, pairs, experiment.items, ("train", "validation", "test"))
