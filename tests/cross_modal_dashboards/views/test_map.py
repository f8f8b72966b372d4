"""The Map page: its figures are the library's for that run's gallery, its state is in the link, bad data a sentence."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from cross_modal.gallery.gallery import Gallery
from cross_modal.gallery.leave_one_out import rivals
from cross_modal.gallery.projection import gap
from cross_modal_dashboards import resources
from cross_modal_mlflow.explorer_map import ARTIFACT, map_facts, map_table

Opened = Callable[..., AppTest]


def gallery_of(run: Any) -> Gallery:
    return Gallery.open(run.folder / "galleries" / f"{run.run_id}.gallery")


def shown(page: AppTest) -> str:
    return " ".join(str(each.value) for each in [*page.markdown, *page.caption, *page.error])


def figures(page: AppTest) -> dict[str, str]:
    return {each.label: each.value for each in page.metric}


@pytest.fixture
def logged(explored: Any, tmp_path: Path) -> Iterator[Path]:
    """A copy of the run's map; what a test leaves there is logged by `put`, and the run gets its own back."""
    client, copy = resources.catalogue(explored.uri).client, tmp_path / "map.parquet"
    shutil.copy(client.download_artifacts(explored.run_id, ARTIFACT, str(tmp_path)), tmp_path / "kept")
    shutil.copy(tmp_path / "kept", copy)
    yield copy
    shutil.copy(tmp_path / "kept", copy)
    put(explored, copy)


def put(run: Any, file: Path) -> None:
    resources.catalogue(run.uri).client.log_artifact(run.run_id, str(file), "explorer")
    st.cache_resource.clear()


def test_its_figures_are_the_librarys(explored: Any, open_view: Opened) -> None:
    page = open_view("map")
    assert not page.exception
    matrix = gallery_of(explored).matrix()
    kinds = matrix.column("kind")
    found = rivals(matrix.vectors, matrix.column("label"), kinds, matrix.column("genuine"))
    assert figures(page)["Modality gap"] == f"{gap(matrix.vectors, kinds):.3f}"
    assert figures(page)["Nearest is of another class"] == f"{found.error.sum() / found.known.sum():.1%}"
    assert "Draw a line around points" in shown(page)


def test_another_map_is_another_page(explored: Any, logged: Path, open_view: Opened) -> None:
    before = figures(open_view("map"))
    some = gallery_of(explored).matrix()
    keep = Gallery.create("memory", gallery_of(explored).binding)
    rows = gallery_of(explored).rows(columns=gallery_of(explored).columns)
    keep.upsert(rows.slice(0, len(rows) - 5))
    table = map_table(keep)
    pq.write_table(table, logged)
    put(explored, logged)
    after = figures(open_view("map"))
    assert after["Modality gap"] == f"{map_facts(table).gap:.3f}"
    assert after != before
    assert len(table) == len(some) - 5


def test_a_link_chooses_labels_and_they_are_listed(explored: Any, open_view: Opened) -> None:
    matrix = gallery_of(explored).matrix()
    labels = matrix.column("label")
    page = open_view("map", labels=labels[0], colour="kind")
    assert not page.exception
    assert page.segmented_control(key="colour").value == "kind"
    table = page.dataframe[0].value
    assert table["id"].tolist() == matrix.ids[labels == labels[0]].tolist()
    assert table["matches"].str.startswith(f"matches?run={explored.run_id}&id=").all()
    assert f"{len(table)} items" in shown(page)


def test_what_the_lasso_picked_is_listed(explored: Any, open_view: Opened) -> None:
    page = open_view("map")
    page.session_state[f"map_{explored.run_id}"] = {"picked": [4, 1, 99999]}
    page.run()
    assert not page.exception
    matrix = gallery_of(explored).matrix()
    assert page.dataframe[0].value["id"].tolist() == matrix.ids[[1, 4]].tolist()


def test_a_run_without_a_map_is_told_which_command_writes_one(
    explored: Any, open_view: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cross_modal_dashboards.catalogue.Catalogue.artifact", lambda *_: None)
    page = open_view("map")
    assert not page.exception
    assert "cross-modal train" in page.error[0].value
    assert "\n" not in page.error[0].value


def test_a_broken_map_is_one_sentence(explored: Any, logged: Path, open_view: Opened) -> None:
    logged.write_bytes(b"PAR1 no more")
    put(explored, logged)
    page = open_view("map")
    assert not page.exception
    assert "expected a Parquet file" in page.error[0].value


def test_without_its_gallery_the_map_stands(explored: Any, open_view: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(location: str) -> Gallery:
        raise OSError(f"{location}: gone")

    monkeypatch.setattr(resources, "gallery", gone)
    page = open_view("map", show="errors")
    assert not page.exception
    assert "No pictures" in shown(page)
    assert "Modality gap" in figures(page)


def test_a_gallery_that_changed_since_is_said_to_have(explored: Any, logged: Path, open_view: Opened) -> None:
    table = pq.read_table(logged)
    (name, facts), *_ = table.schema.metadata.items()
    version = map_facts(table).gallery_version
    changed = facts.replace(f'"gallery_version": {version}'.encode(), f'"gallery_version": {version + 1}'.encode())
    pq.write_table(table.replace_schema_metadata({name: changed}), logged)
    put(explored, logged)
    assert "has changed since" in shown(open_view("map"))
