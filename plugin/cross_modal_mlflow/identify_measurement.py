"""``cross-modal identify --data``: a gallery measured on labelled probes, one MLflow run."""

from __future__ import annotations

import csv
import dataclasses
import io
from typing import TYPE_CHECKING

import numpy as np
import yaml

from cross_modal.data.items import Items, content_hashes
from cross_modal.data.sources import check_pictures, read_items, read_unsplit
from cross_modal.data.splits import split_name
from cross_modal.embed_items import open_pictures
from cross_modal.encoders.embedding import embed_images, embed_texts
from cross_modal.errors import CrossModalError
from cross_modal.fewshot.rejection import accepted
from cross_modal.gallery.identification_measure import IdentificationMeasure, measure_identification
from cross_modal.gallery.item_ids import DIGITS
from cross_modal_mlflow.device import on_device
from cross_modal_mlflow.identification_figures import detection_figure
from cross_modal_mlflow.phases import Clock, working
from cross_modal_mlflow.report import Report
from cross_modal_mlflow.store import Store
from cross_modal_mlflow.tracking import tracked_run

if TYPE_CHECKING:
    from rich.console import Console

    from cross_modal.encoders.twin import TwinEncoder
    from cross_modal_mlflow.gallery_identifier import Identifier
    from cross_modal_mlflow.identify_options import IdentifyOptions


def measure_probes(
    options: IdentifyOptions, identifier: Identifier, twin: TwinEncoder, store: Store, console: Console
) -> tuple[Report, list[str]]:
    """Measures a gallery on probes and logs it.

    Args:
        options: What to measure on what.
        identifier: The gallery with its threshold.
        twin: Its model.
        store: The tracking store.
        console: Where progress goes.

    Returns:
        The report, and notes.

    Raises:
        CrossModalError: Probes without labels, or none that are not references.
    """
    clock, source = Clock(), str(options.data)
    with clock.phase("data"), working(console, f"reading {source}"):
        probes, notes = read_probes(options, identifier)
    twin = on_device(twin)
    with tracked_run("identify", store, name=f"identify {len(identifier.enrolment)} identities") as run:
        run.parameters(options)
        run.tags({"cross_modal.model": identifier.gallery.binding.model, "cross_modal.gallery": options.gallery})
        run.text(yaml.safe_dump(dataclasses.asdict(options), sort_keys=False, allow_unicode=True), "config.yaml")
        run.environment()
        with clock.phase("embedding"), working(console, f"embedding {len(probes):,} probes"):
            embeddings = _embed(probes, identifier, twin, options)
        with clock.phase("calibration"), working(console, "settling the threshold"):
            calibration = identifier.calibration
        with clock.phase("evaluation"), working(console, "measuring"):
            labels = probe_labels(probes)
            measured = measure_identification(
                identifier.enrolment, embeddings, labels, calibration, options.how, seed=options.seed
            )
        metrics = measured.metrics | ({} if calibration is None else calibration.metrics())
        notes = [*identifier.all_notes(), *measured.notes, *notes]
        protocol = {**identifier.about(), "data": source, "split": options.split, "probes": len(probes), "notes": notes}
        report = Report("identify", protocol, metrics, clock.seconds, run.run_id)
        with clock.phase("logging"), working(console, "logging the run"):
            run.metrics(metrics)
            run.document(protocol, "protocol.json")
            run.document(metrics, "metrics.json")
            run.text(_answers(probes, labels, measured, identifier), "answers.csv")
            if measured.curve.size:
                run.figure(detection_figure(measured, calibration), "figures/identification.png")
            if notes:
                run.text("\n".join(notes) + "\n", "notes.txt")
        run.metrics({f"seconds/{name}": value for name, value in clock.seconds.items()})
    return report, notes


def read_probes(options: IdentifyOptions, identifier: Identifier) -> tuple[Items, list[str]]:
    """The probes that are no references of the gallery.

    Args:
        options: Their source, and which split of it.
        identifier: The gallery.

    Returns:
        The probes, and notes on what was left out.

    Raises:
        CrossModalError: Nothing is left, or there are no labels.
    """
    source, config = str(options.data), options.items
    if options.split is None:
        items = check_pictures(read_unsplit(source, config), config)
    else:
        split = split_name(options.split)
        items = read_items(source, config)
        if split is None or split not in set(items.splits.tolist() if items.splits is not None else []):
            raise CrossModalError(f"--split: expected a split of {source}, found {options.split!r}")
        items = items.split(split)
    if items.labels is None:
        raise CrossModalError(f"{source}: expected probes with a label column, found none")
    has = items.has_image if identifier.kind == "image" else items.has_text
    items = items.take(np.flatnonzero(has))
    notes = []
    if identifier.kind == "image" and len(items):
        known = set(identifier.matrix.column("content")[identifier.enrolment.rows].tolist())
        fresh = np.array([content.hex()[: 2 * DIGITS] not in known for content in content_hashes(items.images)], bool)
        if not fresh.all():
            notes.append(f"{int((~fresh).sum()):,} probes are references of the gallery: they are left out")
        items = items.take(np.flatnonzero(fresh))
    if not len(items):
        raise CrossModalError(f"{source}: expected probes that are no references of the gallery, found none")
    return items, notes


def probe_labels(probes: Items) -> np.ndarray:
    """(Q,) objects: who each is. A forgery of somebody is a stranger, and so is what has no label."""
    assert probes.labels is not None
    labels = np.array([*(None if label in (None, "") else str(label) for label in probes.labels), None], object)[:-1]
    if probes.genuine is not None:
        labels[~probes.genuine.astype(bool)] = None
    return labels


def _embed(probes: Items, identifier: Identifier, twin: TwinEncoder, options: IdentifyOptions) -> np.ndarray:
    if identifier.kind == "text":
        return embed_texts(twin, [str(text) for text in probes.texts])
    return embed_images(twin, open_pictures(probes, twin, options.items), np.arange(len(probes)))


def _answers(probes: Items, labels: np.ndarray, measured: IdentificationMeasure, identifier: Identifier) -> str:
    """A CSV file: what each probe is and what it was taken for."""
    calibration = identifier.calibration
    passed = np.zeros(len(labels), bool) if calibration is None else accepted(measured.scores, calibration.threshold)
    cells = probes.images if identifier.kind == "image" else probes.texts
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow([identifier.kind, "row", "label", "enrolled", "identity", "nearest", "score"])
    for row, label in enumerate(labels.tolist()):
        cell = cells[row] if isinstance(cells[row], str) else ""
        nearest = measured.nearest[row]
        writer.writerow(
            [
                cell,
                int(probes.rows[row]),
                label or "",
                int(measured.enrolled[row]),
                nearest if passed[row] else "",
                nearest,
                f"{measured.scores[row]:.6f}",
            ]
        )
    return file.getvalue()
