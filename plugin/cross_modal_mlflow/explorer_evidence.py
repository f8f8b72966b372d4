"""What a training leaves for the explorer: a gallery of its test items, its map, and the test pairs with their scores.

Galleries are folders, so they lie beside a local store; a run of a remote one names none (`cross-modal index` writes
one where it is wanted). Nothing here ever costs a run: a fault becomes a note.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from cross_modal.configuration import DataConfig
from cross_modal.data.items import Items
from cross_modal.encoders.twin import TwinEncoder
from cross_modal.errors import CrossModalError
from cross_modal.gallery.binding import Binding
from cross_modal.gallery.cohort import ATTACHMENT
from cross_modal.gallery.gallery import Gallery
from cross_modal.gallery.indexing import IndexConfig, index_items
from cross_modal.gallery.item_ids import ReferenceRows, reference_rows
from cross_modal.verification.comparison import PICTURE
from cross_modal.verification.pair_scorer import PairScorer
from cross_modal_mlflow.class_calibration import drawn_pairs, scored_class_pairs
from cross_modal_mlflow.explorer_map import log_map
from cross_modal_mlflow.gallery_cohort import cohort_of
from cross_modal_mlflow.store import Store, sqlite_file
from cross_modal_mlflow.tracking import TrackedRun

GALLERY = "cross_modal.gallery"  # tag: where the run's gallery lies
GALLERIES, FOLDER, PAIRS = "galleries", "explorer", "verification_pairs.parquet"


def log_for_explorer(
    run: TrackedRun, twin: TwinEncoder, scorer: PairScorer, items: Items, data: DataConfig, model: str
) -> list[str]:
    """Writes the gallery and logs the pairs.

    Args:
        run: The run.
        twin: What was trained.
        scorer: What scores its pairs.
        items: All items; the test split becomes the gallery, the validation split its cohort.
        data: How pictures are decoded.
        model: The model's reference, kept in the gallery.

    Returns:
        Notes: what could not be written, and why.
    """
    test = items.split("test")
    if not len(test) or scorer.verify_only:
        return []
    notes = []
    try:
        _log_pairs(run, twin, scorer, test, data)
    except (CrossModalError, OSError) as error:
        notes.append(f"no pairs for the explorer: {error}")
    place = gallery_place(run.store, run.run_id)
    if place is None:
        return [*notes, "no gallery was written, as the store is not on this machine: cross-modal index writes one"]
    if run.known is not None:  # what an earlier process of the run may have left half-written
        shutil.rmtree(place, ignore_errors=True)
    try:
        with Gallery.create(place, Binding.of(twin, model)) as gallery:
            index_items(gallery, twin, test, IndexConfig(of="each"), data)
            try:
                gallery.attach(ATTACHMENT, cohort_of(twin, items.split("validation"), data).to_bytes())
            except CrossModalError:  # one validation class, say: a gallery without a cohort is one nevertheless
                notes.append("the run's gallery has no cohort: too few validation classes")
            notes += log_map(run, gallery)
        run.tags({GALLERY: str(place)})
    except (CrossModalError, OSError) as error:
        notes.append(f"no gallery for the explorer: {error}")
    return notes


def gallery_place(store: Store, run_id: str) -> Path | None:
    """Where a run's gallery goes: beside a local store; None for any other.

    >>> gallery_place(Store("http://host:5000", "0", None), "7") is None
    True
    """
    file = sqlite_file(store.uri)
    return None if file is None else (file.parent / GALLERIES / f"{run_id}.gallery").absolute()


def _log_pairs(run: TrackedRun, twin: TwinEncoder, scorer: PairScorer, items: Items, data: DataConfig) -> None:
    """Logs the pairs that verification was measured on: kind, ids in the gallery, score, verdict, owners."""
    scored = scored_class_pairs(twin, scorer, items, data)
    if not scored:
        return
    drawn, names = drawn_pairs(twin, items), _names(items, reference_rows(items, twin, "each"))
    tables = []
    for kind, pairs in scored.items():
        a, b = kind.split("_")
        tables.append(
            pd.DataFrame(
                {
                    "kind": kind,
                    "id_a": names[a][drawn[kind].a],
                    "id_b": names[b][drawn[kind].b],
                    "score": pairs.scores,
                    "same": pairs.same,
                    "owner_a": pairs.owners.a,
                    "owner_b": pairs.owners.b,
                }
            )
        )
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / PAIRS
        pd.concat(tables, ignore_index=True).to_parquet(file, index=False)
        run.store.client.log_artifact(run.run_id, str(file), FOLDER)


def _names(items: Items, rows: ReferenceRows) -> dict[str, np.ndarray]:
    """Side → (N,) the id in the gallery of each item's picture, or of its text; None where it has none."""
    found = {side: np.full(len(items), None, object) for side in ("picture", "text")}
    of_text: dict[tuple[object, str], str] = {}
    for place, kind, name in zip(rows.places.tolist(), rows.kinds.tolist(), rows.ids, strict=True):
        if kind == "image":
            found[PICTURE][place] = name
        else:
            of_text[_key(items, place)] = name  # a text that many items of a label share is one row
    for place in np.flatnonzero(items.has_text).tolist():
        found["text"][place] = of_text.get(_key(items, place))
    return found


def _key(items: Items, place: int) -> tuple[object, str]:
    return None if items.labels is None else items.labels[place], str(items.texts[place])
