"""The work of ``cross-modal evaluate``: a saved twin, a split, numbers, one MLflow run."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import yaml

from cross_modal.configuration import EvaluationConfig
from cross_modal.data.items import Items
from cross_modal.data.pairs import kind_of
from cross_modal.data.sources import read_items
from cross_modal.embed_items import image_rows, open_pictures, text_rows
from cross_modal.encoders.embedding import embed_images
from cross_modal.encoders.saved_twin import load_twin
from cross_modal.encoders.twin import TwinEncoder
from cross_modal.errors import CrossModalError
from cross_modal.evaluation import EvaluationItems, evaluate_embeddings
from cross_modal.fewshot.lake_runs import read_lake_runs, score_lake_runs
from cross_modal.fewshot.mixture import Mixture
from cross_modal.verification.pair_scorer import load_pair_scorer
from cross_modal.verification.saved_calibration import SavedCalibration
from cross_modal_mlflow.device import on_device
from cross_modal_mlflow.evidence import log_evidence
from cross_modal_mlflow.logged_items import log_items
from cross_modal_mlflow.measurement import classes_trained_on, embed, protocol, settings_for
from cross_modal_mlflow.open_set_measurement import measure_strangers
from cross_modal_mlflow.phases import Clock, working
from cross_modal_mlflow.pipeline import verify_test
from cross_modal_mlflow.report import Report
from cross_modal_mlflow.store import Store
from cross_modal_mlflow.tracking import TrackedRun, tracked_run

if TYPE_CHECKING:
    from rich.console import Console

    from cross_modal_mlflow.evaluate_options import EvaluateOptions


def measure_model(
    options: EvaluateOptions, folder: Path, card: dict[str, Any], store: Store, console: Console
) -> tuple[Report, list[str]]:
    """Measures a twin and logs it.

    Args:
        options: What to measure on what.
        folder: The saved twin.
        card: Its card.
        store: The tracking store.
        console: Where progress goes.

    Returns:
        The report, and notes.
    """
    clock, source = Clock(), str(options.data)
    if kind_of(source) != "items":
        from cross_modal_mlflow.evaluate_pairs import measure_pair_source

        return measure_pair_source(options, folder, store, console)
    config = EvaluationConfig(
        **{field.name: getattr(options, field.name) for field in dataclasses.fields(EvaluationConfig)}
    )
    with clock.phase("data"), working(console, f"reading {source}"):
        items = read_items(source, options.items)
        chosen = items if options.split == "all" else items.split(options.split)
        if not len(chosen):
            raise CrossModalError(f"{source}: expected items in the split {options.split}, found none")
    twin = load_twin(folder)
    mixture = Mixture.from_dict(card["mixture"]) if card.get("mixture") else None
    with tracked_run("evaluate", store, name=f"evaluate {Path(source).name}"[:80]) as run:
        run.parameters(options)
        run.tags({"cross_modal.model": options.model})
        run.text(yaml.safe_dump(dataclasses.asdict(options), sort_keys=False, allow_unicode=True), "config.yaml")
        run.environment()
        log_items(run, items, (options.split,), options.items)
        with clock.phase("embedding"), working(console, f"embedding {len(chosen):,} items"):
            embedded = embed(on_device(twin), chosen, options.items)
        with clock.phase("evaluation"), working(console, "measuring"):
            result = evaluate_embeddings(embedded, settings_for(chosen, config), mixture=mixture, metric=twin.metric)
            metrics, notes = dict(result.metrics), [*leak_notes(card, chosen), *result.notes]
            metrics |= verify_test(twin, load_pair_scorer(folder), chosen, options.items, SavedCalibration.load(folder))
            if options.open_set:
                found, more = _measure_open_set(twin, items, embedded, options, settings_for(chosen, config))
                metrics |= found
                notes += more
            if options.lake_runs is not None:
                metrics |= measure_lake_runs(twin, options, source, run)
        report = Report("evaluate", protocol(items, options.split, config), metrics, clock.seconds, run.run_id)
        report.protocol["model"] = options.model
        with clock.phase("logging"), working(console, "logging the run"):
            run.metrics(metrics)
            run.document(report.protocol, "protocol.json")
            run.document(metrics, "metrics.json")
            rows = (image_rows(chosen, twin), text_rows(chosen, twin))
            log_evidence(run, chosen, embedded, rows, config, mixture=mixture, metric=twin.metric)
            if notes:
                run.text("\n".join(notes) + "\n", "notes.txt")
        run.metrics({f"seconds/{name}": value for name, value in clock.seconds.items()})
    return report, notes


def _measure_open_set(
    twin: TwinEncoder, items: Items, measured: EvaluationItems, options: EvaluateOptions, config: EvaluationConfig
) -> tuple[dict[str, float], list[str]]:
    """Open-set episodes; the thresholds come from the source's validation classes, unless those are measured."""
    validation = items.split("validation")
    apart = options.split in {"train", "test"} and len(validation) and validation.labels is not None
    return measure_strangers(
        embed(twin, validation, options.items) if apart else None,
        measured,
        config,
        false_accept_rate=options.false_accept_rate,
        metric=twin.metric,
    )


def measure_lake_runs(twin: TwinEncoder, options: EvaluateOptions, source: str, run: TrackedRun) -> dict[str, float]:
    """Scores Lake's fixed runs; image names are looked up beside the table, then beside the manifest."""
    table = Path(str(options.lake_runs))
    runs = read_lake_runs(table)
    folders = [table.parent, Path(source).parent if Path(source).suffix else Path(source)]
    paths = []
    for name in runs.images:
        found = next((folder / name for folder in folders if (folder / name).is_file()), None)
        if found is None:
            raise CrossModalError(f"{table}: expected the image {name} in {' or '.join(map(str, folders))}, found none")
        paths.append(str(found))
    pictures = open_pictures(Items.of(images=paths, source=str(table)), twin, options.items)
    embeddings = embed_images(twin, pictures, np.arange(len(paths)))
    result = score_lake_runs(embeddings, runs.images, runs, metric=twin.metric)
    run.table({"run": list(result.of_run), "accuracy": list(result.of_run.values())}, "lake_runs.json")
    return {"lake/accuracy": result.accuracy, "lake/accuracy/ci95": result.interval}


def leak_notes(card: dict[str, Any], items: Items) -> list[str]:
    """A sentence where classes that are measured were trained on."""
    seen = classes_trained_on(card, items)
    if not seen:
        return []
    return [
        f"{len(seen)} of the {len(items.classes)} classes have the name of a class that the model was trained on "
        f"({seen[0]}): where they are the same, this does not measure unseen classes"
    ]
