"""The main job, shared by `demo` and `train`: items → twin → unseen classes → one MLflow run.

The order is that of cost: whatever can fail for free fails first (settings, the tracking store, the data), then comes
training, then measuring. The mixture of picture and name is learned on validation classes; the test split is read once.
"""

from __future__ import annotations

import dataclasses
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from cross_modal.configuration import DataConfig, EvaluationConfig, Experiment
from cross_modal.data.items import Items
from cross_modal.data.sources import read_items
from cross_modal.embed_items import embed_items, image_rows, open_pictures, text_rows
from cross_modal.encoders.saved_twin import save_twin
from cross_modal.encoders.twin import TwinEncoder
from cross_modal.errors import CrossModalError
from cross_modal.evaluation import EvaluationItems, evaluate_embeddings
from cross_modal.fewshot.mixture import Mixture, fit_mixture
from cross_modal.fewshot.scoring import Metric
from cross_modal.training.loop import TrainingResult, train
from cross_modal_mlflow import figures
from cross_modal_mlflow.dataset import ItemsDataset, profile
from cross_modal_mlflow.evidence import log_evidence
from cross_modal_mlflow.progress import Listeners, Progress
from cross_modal_mlflow.report import Report
from cross_modal_mlflow.store import FOLDER, Store, open_store
from cross_modal_mlflow.tracking import TrackedRun, tracked_run

if TYPE_CHECKING:
    from rich.console import Console

MODEL = "model"  # artifact path of the twin


@dataclass
class Clock:
    """Seconds of each phase."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Times a block."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - began


@dataclass(frozen=True)
class Outcome:
    """What a training run gave.

    Attributes:
        report: For the table and ``--json``.
        notes: Sentences worth reading: settings left out, warnings of the training.
        store: Where it was logged.
    """

    report: Report
    notes: list[str]
    store: Store


def train_and_evaluate(command: str, experiment: Experiment, console: Console) -> Outcome:
    """Trains, evaluates on the test split and logs all of it as one run.

    Args:
        command: "demo" or "train".
        experiment: All settings.
        console: Where progress goes (standard error).

    Returns:
        What was measured.

    Raises:
        CrossModalError: If settings, data or store do not allow it, or training collapsed.
    """
    clock = Clock()
    with clock.phase("store"):
        store = open_store()
    with clock.phase("data"), working(console, f"reading {experiment.data}"):
        items = read_items(experiment.data, experiment.items)
    with tracked_run(command, store, name=f"{command} {Path(experiment.data).name}"[:80]) as run:
        log_start(run, experiment, items)
        folder = (FOLDER / "checkpoints" / run.run_id).absolute()
        with _keeps_checkpoint(folder, run):
            with Progress(experiment.training.steps, console) as bar:
                result = train(experiment, items, folder=folder, listener=Listeners(bar, run))
            clock.seconds |= result.seconds
            with clock.phase("evaluation"), working(console, "measuring on unseen classes"):
                metrics, notes, mixture, embedded = measure_test(result.twin, items, experiment)
        report = Report(command, protocol(items, "test", experiment.evaluation), metrics, clock.seconds, run.run_id)
        with clock.phase("logging"), working(console, "logging the run"):
            model = save_twin(result.twin, folder / MODEL, card(experiment, items, result, mixture, metrics))
            with _or_says_where(model, store):
                log_result(run, result, report, notes)
                run.folder(model, MODEL)
                if embedded is not None:
                    test = items.split("test")
                    rows = (image_rows(test, result.twin), text_rows(test, result.twin))
                    log_evidence(
                        run, test, embedded, rows, experiment.evaluation, mixture=mixture, metric=metric_of(result.twin)
                    )
        run.metrics({f"seconds/{name}": value for name, value in clock.seconds.items()})
    shutil.rmtree(folder, ignore_errors=True)  # the model is in the store now
    return Outcome(report, [*result.messages, *notes], store)


def measure_test(
    twin: TwinEncoder, items: Items, experiment: Experiment
) -> tuple[dict[str, float], list[str], Mixture | None, EvaluationItems | None]:
    """Learns the mixture on validation classes and measures the test split.

    Returns:
        Metrics, notes, the mixture, and the test split's embeddings; without a test split a note only.
    """
    mixture, notes = learn_mixture(twin, items.split("validation"), experiment.items, experiment.evaluation)
    test = items.split("test")
    if not len(test):
        return {}, [*notes, f"{items.source} has no test split: nothing was measured on unseen classes"], mixture, None
    embedded = embed(twin, test, experiment.items)
    result = evaluate_embeddings(embedded, experiment.evaluation, mixture=mixture, metric=metric_of(twin))
    return result.metrics, [*notes, *result.notes], mixture, embedded


def learn_mixture(
    twin: TwinEncoder, validation: Items, data: DataConfig, config: EvaluationConfig
) -> tuple[Mixture | None, list[str]]:
    """How picture and name are weighed, learned on the validation split; None with a note where it cannot be."""
    if twin.image is None or twin.text is None or not len(validation) or validation.labels is None:
        return None, []
    embedded, metric = embed(twin, validation, data), metric_of(twin)
    texts = embedded.text_by_class(metric)
    if embedded.images is None or texts is None:
        return None, []
    try:
        mixture = fit_mixture(
            embedded.images,
            embedded.genuine_classes,
            texts,
            shots=sorted(set(config.shots)),
            ways=max(config.ways),
            queries=config.queries,
            seed=config.seed,
            metric=metric,
            groups=embedded.groups,
            sets=embedded.sets,
        )
    except CrossModalError as error:
        return None, [f"no mixture of picture and name was learned: {error}"]
    return mixture, []


def embed(twin: TwinEncoder, items: Items, data: DataConfig) -> EvaluationItems:
    """Embeds a split."""
    pictures = open_pictures(items, twin, data) if twin.image is not None and items.has_images else None
    return embed_items(twin, items, pictures)


def metric_of(twin: TwinEncoder) -> Metric:
    """Cosine for embeddings of length one, else Euclidean distance."""
    return "cosine" if twin.normalise else "euclidean"


def protocol(items: Items, split: str, config: EvaluationConfig) -> dict[str, Any]:
    """What was measured, on what, how: everything that somebody needs to measure it again."""
    measured = items if split == "all" else items.split(split)
    return {
        "data": items.source,
        "digest": items.digest,
        "split": split,
        "split_digest": measured.digest,
        **{name: value for name, value in profile(measured).items() if name != "skipped"},
        "seeds": [config.seed],
        "episodes": config.episodes,
        "ways": config.ways,
        "shots": config.shots,
        "queries": config.queries,
        "within_prefix": config.within_prefix,
        "method": "prototypes; names; both by a mixture learned on validation classes",
        "interval": "95 %, Student t",
    }


def card(
    experiment: Experiment, items: Items, result: TrainingResult, mixture: Mixture | None, metrics: dict[str, float]
) -> dict[str, Any]:
    """What travels with the model: how it came about, and what it takes to use it."""
    return {
        "data": experiment.data,
        "digest": items.digest,
        "experiment": dataclasses.asdict(experiment),
        "trained_on": {"digest": items.split("train").digest, "classes": items.split("train").classes},
        "mixture": None if mixture is None else mixture.to_dict(),
        "metric": metric_of(result.twin),
        "best_step": result.best_step,
        "validation_score": result.best_score,
        "metrics": metrics,
    }


def log_start(run: TrackedRun, experiment: Experiment, items: Items) -> None:
    """Logs what is known before the first step: a run that is killed has it too."""
    run.parameters(experiment)
    run.text(config_yaml(experiment), "config.yaml")
    run.environment()
    log_items(run, items, ("train", "validation", "test"))


def log_items(run: TrackedRun, items: Items, splits: tuple[str, ...]) -> None:
    """Logs the data: one dataset a split, counts as parameters, and the items that were left out."""
    run.tags({"cross_modal.data": items.source, "cross_modal.digest": items.digest})
    for split in splits:
        part = items if split == "all" else items.split(split)
        if len(part):
            run.dataset(ItemsDataset(part, name=f"{Path(items.source).name or items.source}"), context=split)
            counts = {name: count for name, count in profile(part).items() if name != "skipped"}
            run.parameters({f"data.{split}": counts})
    if items.skipped:
        columns: dict[str, list[Any]] = {
            "row": [bad.row for bad in items.skipped],
            "where": [bad.where for bad in items.skipped],
            "reason": [bad.reason for bad in items.skipped],
        }
        run.table(columns, "skipped_items.json")
        run.metrics({"data/skipped_items": len(items.skipped)})


def log_result(run: TrackedRun, result: TrainingResult, report: Report, notes: list[str]) -> None:
    """Logs what training and evaluation gave."""
    run.metrics(report.metrics, step=result.best_step)
    run.metrics({"model/parameters": result.parameters, "training/steps": result.steps}, step=result.best_step)
    run.metrics({"training/best_step": result.best_step}, step=result.best_step)
    run.document(report.protocol, "protocol.json")
    run.document(report.metrics, "metrics.json")
    if result.messages or notes:
        run.text("\n".join([*result.messages, *notes]) + "\n", "notes.txt")
    if run.history:
        run.figure(figures.curves(run.history), "curves.png")


def config_yaml(experiment: Experiment) -> str:
    """All settings as the file that ``--config`` reads."""
    head = "# cross-modal train --config config.yaml\n"
    return head + yaml.safe_dump(dataclasses.asdict(experiment), sort_keys=False, allow_unicode=True)


def classes_trained_on(card: dict[str, Any], items: Items) -> list[str]:
    """The classes of the items that a model was trained on, by its card and by name."""
    trained = set(card.get("trained_on", {}).get("classes", ()))
    return [name for name in items.classes if name in trained] if items.labels is not None else []


@contextmanager
def working(console: Console, what: str) -> Iterator[None]:
    """Says what is being done, on a terminal only."""
    if not console.is_terminal:
        yield
        return
    with console.status(what):
        yield


@contextmanager
def _keeps_checkpoint(folder: Path, run: TrackedRun) -> Iterator[None]:
    """An interrupt says where the last checkpoint is."""
    try:
        yield
    except KeyboardInterrupt as interrupt:
        kept = sorted(path.name for path in folder.glob("*.pt"))
        where = f"; {' and '.join(kept)} are in {folder}" if kept else ""
        interrupt.args = (f"run {run.run_id} ended KILLED{where}",)
        raise


@contextmanager
def _or_says_where(model: Path, store: Store) -> Iterator[None]:
    """A store that is lost after training must not cost the model."""
    from mlflow.exceptions import MlflowException

    try:
        yield
    except (MlflowException, OSError) as error:
        reason = " ".join(str(error).split())[:200]
        raise CrossModalError(
            f"tracking store {store.uri}: lost while the results were logged ({reason}); the model is kept in {model}"
        ) from error
