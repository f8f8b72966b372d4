"""The map that a training leaves: a row for each row of the gallery, with the gallery's own errors and gap."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from toys.shapes import shapes
from toys.tiny_twin import tiny_twin
from toys.toy_gallery import PLAIN, memory_gallery

from cross_modal.errors import CrossModalError
from cross_modal.gallery.binding import Binding
from cross_modal.gallery.gallery import Gallery
from cross_modal.gallery.leave_one_out import rivals
from cross_modal.gallery.projection import gap, project
from cross_modal.verification.pair_scorer import PairScorer
from cross_modal_mlflow import explorer_map
from cross_modal_mlflow.explorer_evidence import GALLERY, log_for_explorer
from cross_modal_mlflow.explorer_map import ARTIFACT, METADATA, map_facts, map_table
from cross_modal_mlflow.store import open_store
from cross_modal_mlflow.tracking import tracked_run


@pytest.fixture
def gallery() -> Gallery:
    return memory_gallery(shapes(5).split("test"), "each")


def test_it_has_each_row_of_the_gallery_with_the_librarys_answers(gallery: Gallery) -> None:
    table, matrix = map_table(gallery), gallery.matrix()
    facts = map_facts(table)
    kinds = matrix.column("kind")
    made = project(matrix.vectors, kinds)
    found = rivals(matrix.vectors, matrix.column("label"), kinds)
    assert table["id"].to_pylist() == matrix.ids.tolist()
    assert table["kind"].to_pylist() == kinds.tolist()
    assert np.array_equal(np.column_stack([table["x"], table["y"]]), made.xy)
    assert table["error"].to_pylist() == [bool(e) if k else None for e, k in zip(found.error, found.known, strict=True)]
    assert (facts.gap, facts.kept) == (gap(matrix.vectors, kinds), made.kept)
    assert (facts.method, facts.seed, facts.gallery_version) == (made.method, 0, matrix.version)


def test_it_survives_its_file(gallery: Gallery, tmp_path: Path) -> None:
    table = map_table(gallery)
    pq.write_table(table, tmp_path / "map.parquet")
    assert map_facts(pq.read_table(tmp_path / "map.parquet")) == map_facts(table)


def test_of_too_many_rows_it_has_places_but_no_errors(gallery: Gallery, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(explorer_map, "JUDGED", 3)
    table = map_table(gallery)
    assert not map_facts(table).judged
    assert table["error"].null_count == len(table) == len(gallery)


def test_what_is_no_map_is_named(gallery: Gallery) -> None:
    table = map_table(gallery)
    with pytest.raises(CrossModalError, match="found none of error"):
        map_facts(table.drop_columns(["error"]))
    with pytest.raises(CrossModalError, match="found no facts"):
        map_facts(table.replace_schema_metadata({}))
    with pytest.raises(CrossModalError, match="found other facts"):
        map_facts(table.replace_schema_metadata({METADATA: b'{"metho": 1}'}))
    with pytest.raises(CrossModalError, match="found none of id, x"):
        map_facts(pa.table({"a": [1]}))


def test_a_training_logs_it_and_a_fault_in_it_costs_no_more_than_the_map(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    store, twin = open_store(), tiny_twin()
    with tracked_run("train", store, name="toy") as run:
        assert log_for_explorer(run, twin, PairScorer.of(twin), shapes(5), PLAIN, "runs:/7/model") == []
    table = pq.read_table(store.client.download_artifacts(run.run_id, ARTIFACT, str(tmp_path)))
    where = store.client.get_run(run.run_id).data.tags[GALLERY]
    assert table["id"].to_pylist() == Gallery.open(where).matrix().ids.tolist()

    def refused(*_: object) -> None:
        raise ValueError("perplexity must be less than n_samples")

    monkeypatch.setattr(explorer_map, "project", refused)
    with tracked_run("train", store, name="toy") as run:
        (note,) = log_for_explorer(run, twin, PairScorer.of(twin), shapes(5), PLAIN, "runs:/7/model")
    assert "no map for the explorer: perplexity" in note
    assert GALLERY in store.client.get_run(run.run_id).data.tags


def test_an_empty_gallery_has_none() -> None:
    assert explorer_map.log_map(None, Gallery.create("memory", Binding.of(tiny_twin()))) == []  # type: ignore[arg-type]
