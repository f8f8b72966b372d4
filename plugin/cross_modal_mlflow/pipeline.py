"""The main job, shared by `demo` and `train`: items → twin → unseen classes → one MLflow run.

The order is that of cost: whatever can fail for free fails first (settings, the tracking store, the data), then comes
training, then measuring. The mixture of picture and name and the thresholds of "same or not" are learned on validation
classes; the test split is read once. Manifests of pairs go their own way (`pair_pipeline`).
"""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from cross_modal.configuration import DataConfig, Experiment
from cross_modal.data.items import Items
from cross_modal.data.pairs import kind_of
from cross_modal.data.sources import read_items
from cross_modal.embed_items import image_rows, text_rows
from cross_modal.encoders.saved_twin import save_twin
from cross_modal.encoders.twin import TwinEncoder
from cross_modal.errors import CrossModalError
from cross_modal.fewshot.mixture import Mixture
from cross_modal.objectives.health import TrainingStopped
from cross_modal.objectives.pair_head_file import save_pair_head
from cross_modal.training.loop import LAST, TrainingResult, train
from cross_modal.training.processes import ProcessLost
from cross_modal.verification.pair_scorer import PairScorer
from cross_modal.verification.saved_calibration import SavedCalibration
from cross_modal_mlflow import figures
from cross_modal_mlflow.class_calibration import calibrate_on_classes, verify_classes
from cross_modal_mlflow.evidence import log_evidence
from cross_modal_mlflow.explorer_evidence import log_for_explorer
from cross_modal_mlflow.follower import leading
from cross_modal_mlflow.logged_items import log_items
from cross_modal_mlflow.logged_twin import log_model_metrics, log_twin
from cross_modal_mlflow.measurement import measure_test, protocol
from cross_modal_mlflow.phases import Clock, working
from cross_modal_mlflow.progress import Listeners, Progress
from cross_modal_mlflow.registry import Registration, register
from cross_modal_mlflow.report import Report
from cross_modal_mlflow.resumed_run import CHECKPOINTS, ResumedRun, intentions
from cross_modal_mlflow.run_context import experiment_tags
from cross_modal_mlflow.run_listener import RunListener
from cross_modal_mlflow.store import FOLDER, Store, open_store
from cross_modal_mlflow.tracking import TrackedRun, tracked_run

if TYPE_CHECKING:
    from rich.console import Console

MODEL = "model"  # the logged model's name: runs:/ID/model


@dataclass(frozen=True)
class Outcome:
    """What a training run gave.

    Attributes:
        report: For the table and ``--json``.
        notes: Sentences worth reading: settings left out, warnings of the training.
        store: Where it was logged.
        serve: The shell lines that serve it, where it was registered.
        next_steps: Other command lines to go on with.
    """

    report: Report
    notes: list[str]
    store: Store
    serve: list[str] = field(default_factory=list)
    next_steps: list[str] = field(default_factory=list)


def train_and_evaluate(
    command: str,
    experiment: Experiment,
    console: Console,
    *,
    register_as: str | None = None,
    explorer: bool = True,
    resume: ResumedRun | None = None,
) -> Outcome:
    """Trains, evaluates on the test split and logs all of it as one run.

    Args:
        command: "demo" or "train".
        experiment: All settings.
        console: Where progress goes (standard error).
        register_as: The registered model that the twin becomes a version of; None registers nothing.
        explorer: Leave what the explorer shows of a run.
        resume: The run to go on with, of the same settings; None starts one.

    Returns:
        What was measured.

    Raises:
        CrossModalError: If settings, data or store do not allow it, or training collapsed.
    """
    if kind_of(experiment.data) != "items":
        from cross_modal_mlflow.pair_pipeline import train_on_pairs

        return train_on_pairs(command, experiment, console, register_as=register_as, resume=resume)
    clock = Clock()
    with clock.phase("store"):
        store = open_store()
    reading = working(console, f"reading {experiment.data}")
    with clock.phase("data"), reading, leading(experiment, resume is not None) as together:
        items = read_items(experiment.data, experiment.items, together=together)
    tags = experiment_tags(experiment.twin, experiment.evaluation)
    name = f"{command} {Path(experiment.data).name}"[:80] if resume is None else None  # people rename runs
    known: Mapping[str, Mapping[int, float]] = {}
    with tracked_run(command, store, name=name, about=tags, run_id=None if resume is None else resume.run_id) as run:
        if resume is None:
            log_start(run, experiment, items)
            run.tags(intentions(register_as, explorer))
        else:
            known = run.take_up()
        folder = checkpoint_folder(run) if resume is None else resume.folder
        with keeps_checkpoint(folder, run):
            heard = RunListener(run, experiment.training, known)
            with Progress(experiment.training.steps, console) as bar:
                listener = Listeners(bar, heard)
                result = train(experiment, items, folder=folder, listener=listener, resume=resume is not None)
            clock.seconds |= result.seconds
            with clock.phase("evaluation"), working(console, "measuring on unseen classes"):
                metrics, notes, mixture, embedded = measure_test(result.twin, items, experiment)
                scorer = PairScorer.of(result.twin, result.head)
                calibration, more = learn_thresholds(result.twin, scorer, items, experiment)
                metrics |= verify_test(result.twin, scorer, items.split("test"), experiment.items, calibration)
                notes = [*notes, *more]
        report = Report(command, protocol(items, "test", experiment.evaluation), metrics, clock.seconds, run.run_id)
        with clock.phase("logging"), working(console, "logging the run"):
            made = card(experiment, items, result, mixture, metrics)
            with (
                keeps_checkpoint(folder, run),
                or_says_where(saved_model(folder, result.twin, made, scorer, calibration), store),
            ):
                info = log_twin(  # first: it took the time
                    run, result.twin, MODEL, made, items, result.best_step, scorer=scorer, calibration=calibration
                )
                log_calibration(run, calibration)
                log_model_metrics(run, info.model_id, items, metrics, result.best_step)
                log_result(run, result, report, notes)
                run.figure(figures.curves(heard.history), "curves.png")
                if explorer:
                    notes += log_for_explorer(
                        run, result.twin, scorer, items, experiment.items, f"runs:/{run.run_id}/{MODEL}"
                    )
                if embedded is not None:
                    test = items.split("test")
                    rows = (image_rows(test, result.twin), text_rows(test, result.twin))
                    log_evidence(
                        run, test, embedded, rows, experiment.evaluation, mixture=mixture, metric=result.twin.metric
                    )
        run.metrics({f"seconds/{name}": value for name, value in clock.seconds.items()})
    remove_checkpoints(folder)
    outcome = Outcome(report, [*result.messages, *notes], store)
    return outcome if register_as is None else registered(outcome, register(store, register_as, info.model_uri, report))


def registered(outcome: Outcome, registration: Registration) -> Outcome:
    """The outcome with what the registry said."""
    return dataclasses.replace(
        outcome, notes=[*outcome.notes, registration.sentence], serve=registration.serve(outcome.store)
    )


def learn_thresholds(
    twin: TwinEncoder, scorer: PairScorer, items: Items, experiment: Experiment
) -> tuple[SavedCalibration | None, list[str]]:
    """Thresholds of "same or not", learned on the validation classes; None where they do not allow it."""
    provenance = {"data": experiment.data, "digest": items.digest, "score": scorer.name}
    try:
        return calibrate_on_classes(twin, scorer, items.split("validation"), experiment.items, provenance), []
    except CrossModalError as error:  # no reason to lose the model
        return None, [f"no threshold was learned: {error}"]


def verify_test(
    twin: TwinEncoder, scorer: PairScorer, items: Items, data: DataConfig, calibration: SavedCalibration | None
) -> dict[str, float]:
    """Error rates of "same or not" on classes that were not seen, at the thresholds of validation classes."""
    try:
        return verify_classes(twin, scorer, items, data, calibration)
    except CrossModalError:  # two classes of one set, say: no reason to lose the model
        return {}


def saved_model(
    folder: Path, twin: TwinEncoder, made: dict[str, Any], scorer: PairScorer, calibration: SavedCalibration | None
) -> Path:
    """The model on disk, until the store has it."""
    model = save_twin(twin, folder / MODEL, made)
    if scorer.head is not None:
        save_pair_head(scorer.head, model)
    if calibration is not None:
        calibration.save(model)
    return model


def log_calibration(run: TrackedRun, calibration: SavedCalibration | None) -> None:
    """Logs a calibration's numbers and keeps it as `verification.json`."""
    if calibration is None:
        return
    run.document(calibration.to_dict(), "verification.json")
    for name, each in calibration.calibrations.items():
        main = each is calibration.main
        run.metrics(each.metrics("calibration" if main else f"calibration/{name}"))


def checkpoint_folder(run: TrackedRun) -> Path:
    """Where the checkpoints of a run go, which its tag says from now on."""
    folder = (FOLDER / "checkpoints" / run.run_id).absolute()
    run.tags({CHECKPOINTS: folder})
    return folder


def remove_checkpoints(folder: Path) -> None:
    """Removes a run's checkpoints: the model is in the store now."""
    shutil.rmtree(folder, ignore_errors=True)
    with suppress(OSError):  # other runs' checkpoints
        folder.parent.rmdir()


def card(
    experiment: Experiment, items: Items, result: TrainingResult, mixture: Mixture | None, metrics: dict[str, float]
) -> dict[str, Any]:
    """What travels with the model: how it came about, and what it takes to use it."""
    learned = items.split("train")
    return {
        "data": str(Path(experiment.data).absolute()) if Path(experiment.data).exists() else experiment.data,
        "digest": items.digest,
        "experiment": dataclasses.asdict(experiment),
        "trained_on": {"digest": learned.digest, "classes": learned.classes if learned.labels is not None else []},
        "mixture": None if mixture is None else mixture.to_dict(),
        "metric": result.twin.metric,
        "best_step": result.best_step,
        "validation_score": result.best_score,
        "metrics": metrics,
    }


def log_start(run: TrackedRun, experiment: Experiment, items: Items) -> None:
    """Logs what is known before the first step: a run that is killed has it too."""
    run.parameters(experiment)
    run.text(config_yaml(experiment), "config.yaml")
    run.environment()
    log_items(run, items, ("train", "validation", "test"), experiment.items)


def log_result(run: TrackedRun, result: TrainingResult, report: Report, notes: list[str]) -> None:
    """Logs what training and evaluation gave; the metrics are logged with the model."""
    run.metrics({"model/parameters": result.parameters, "training/steps": result.steps}, step=result.best_step)
    run.metrics({"training/best_step": result.best_step}, step=result.best_step)
    run.metrics({"training/peak_memory_gigabytes": result.peak_memory}, step=result.best_step)
    run.document(report.protocol, "protocol.json")
    run.document(report.metrics, "metrics.json")
    if result.messages or notes:
        run.text("\n".join([*result.messages, *notes]) + "\n", "notes.txt")


def config_yaml(experiment: Experiment) -> str:
    """All settings as the file that ``--config`` reads."""
    head = "# cross-modal train --config config.yaml\n"
    return head + yaml.safe_dump(dataclasses.asdict(experiment), sort_keys=False, allow_unicode=True)


@contextmanager
def keeps_checkpoint(folder: Path, run: TrackedRun) -> Iterator[None]:
    """Whatever breaks a training off says how to go on with it, where that helps."""
    try:
        yield
    except (KeyboardInterrupt, CrossModalError) as broken:
        stopped = isinstance(broken, KeyboardInterrupt)
        helps = stopped or isinstance(broken, ProcessLost) or run.known is None
        helps = helps and not isinstance(broken, TrainingStopped)
        again = f"; go on with: cross-modal train --resume {run.run_id}" if helps and (folder / LAST).is_file() else ""
        broken.args = (f"run {run.run_id} ended KILLED{again}" if stopped else f"{broken}{again}",)
        raise


@contextmanager
def or_says_where(model: Path, store: Store) -> Iterator[None]:
    """A store that is lost after training must not cost the model."""
    from mlflow.exceptions import MlflowException

    try:
        yield
    except (MlflowException, OSError) as error:
        reason = " ".join(str(error).split())[:200]
        raise CrossModalError(
            f"tracking store {store.uri}: lost while the results were logged ({reason}); the model is kept in {model}"
        ) from error
