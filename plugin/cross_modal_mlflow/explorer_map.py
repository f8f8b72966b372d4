"""The map that a training leaves for the explorer: where the gallery's embeddings lie on a plane, and who is misplaced.

It is computed with the run and logged as one Parquet file, so that no page ever waits for it: a row for each row of the
gallery, and in the file's own metadata how the plane was made and what it is worth.
"""

from __future__ import annotations

import json
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from cross_modal.errors import CrossModalError
from cross_modal.gallery.leave_one_out import rivals
from cross_modal.gallery.projection import ProjectionConfig, gap, project

if TYPE_CHECKING:
    from cross_modal.gallery.gallery import Gallery
    from cross_modal_mlflow.tracking import TrackedRun

FOLDER, MAP = "explorer", "map.parquet"
ARTIFACT = f"{FOLDER}/{MAP}"
METADATA = b"cross_modal.map"
JUDGED = 30_000  # rows; comparing each with each takes a minute above that
COLUMNS = ("id", "x", "y", "kind", "label", "text", "split", "own", "other", "error")


@dataclass(frozen=True)
class MapFacts:
    """How a map was made, and what it is worth.

    Attributes:
        method: "t-SNE", "t-SNE of a sample" or "PCA".
        landmarks: Rows that t-SNE laid out; the others were placed among them.
        seed: Of all that was drawn.
        gallery_version: The gallery's version whose rows it shows.
        seconds: What it took.
        gap: Distance of the centroids of pictures and texts; None where there is one kind only.
        kept: Share of nearest rows that are nearest on the map, too; None where there are too few rows.
        trustworthiness: Of the map, 0–1; None where there are too few rows.
        judged: Whether errors were looked for.
    """

    method: str
    landmarks: int
    seed: int
    gallery_version: int
    seconds: float
    gap: float | None
    kept: float | None
    trustworthiness: float | None
    judged: bool


def log_map(run: TrackedRun, gallery: Gallery) -> list[str]:
    """Computes the map of a gallery and logs it with a run.

    Args:
        run: The run.
        gallery: Its gallery; an empty one has no map.

    Returns:
        A note where it could not be made: no run ends for want of a map.
    """
    if not len(gallery):
        return []
    try:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / MAP
            pq.write_table(map_table(gallery), file, compression="zstd")
            run.store.client.log_artifact(run.run_id, str(file), FOLDER)
    except (CrossModalError, OSError, ValueError) as error:  # ValueError: what scikit-learn refuses
        return [f"no map for the explorer: {error}"]
    return []


def map_table(gallery: Gallery, config: ProjectionConfig | None = None) -> pa.Table:
    """A gallery's map.

    Args:
        gallery: The gallery, not empty.
        config: How it is laid out.

    Returns:
        N rows: id, x and y (float32 in [0, 1]), kind, label, text, split, the score of the nearest other support of
        its own class and of any other class (`own`, `other`; None where there is none), and `error`: the other one is
        nearer (None where one is missing). The facts stand in the metadata; `map_facts` reads them.
    """
    matrix, start = gallery.matrix(), time.perf_counter()
    kinds, labels = matrix.column("kind"), matrix.column("label")
    made = project(matrix.vectors, kinds, config)
    judged = len(matrix) <= JUDGED
    own = other = np.full(len(matrix), np.nan, np.float32)
    error = known = np.zeros(len(matrix), bool)
    if judged:
        found = rivals(matrix.vectors, labels, kinds, matrix.column("genuine"), gallery.binding.metric)
        own, other, error, known = found.own, found.other, found.error, found.known
    splits = matrix.column("split") if "split" in matrix.facts.column_names else np.full(len(matrix), None, object)
    columns = {
        "id": pa.array(matrix.ids, pa.string()),
        "x": made.xy[:, 0],
        "y": made.xy[:, 1],
        "kind": pa.array(kinds, pa.string()),
        "label": pa.array(labels, pa.string()),
        "text": pa.array(matrix.column("text"), pa.string()),
        "split": pa.array(splits, pa.string()),
        "own": pa.array(own, pa.float32(), mask=np.isnan(own)),
        "other": pa.array(other, pa.float32(), mask=np.isnan(other)),
        "error": pa.array(error, pa.bool_(), mask=~known),
    }
    facts = made.facts() | {
        "gallery_version": matrix.version,
        "seconds": round(time.perf_counter() - start, 3),
        "gap": gap(matrix.vectors, kinds),
        "judged": judged,
    }
    return pa.table(columns).replace_schema_metadata({METADATA: json.dumps(facts).encode()})


def map_facts(table: pa.Table) -> MapFacts:
    """How a map was made.

    Raises:
        CrossModalError: A table that is no map, or one of another version.
    """
    stored = (table.schema.metadata or {}).get(METADATA)
    missing = [name for name in COLUMNS if name not in table.column_names]
    if stored is None or missing:
        raise CrossModalError(
            f"{ARTIFACT}: expected a map with the columns {', '.join(COLUMNS)}, found "
            + (f"none of {', '.join(missing)}" if missing else "no facts of how it was made")
        )
    try:
        return MapFacts(**json.loads(stored))
    except (TypeError, ValueError) as error:
        raise CrossModalError(f"{ARTIFACT}: expected a map of this version, found other facts ({error})") from None
