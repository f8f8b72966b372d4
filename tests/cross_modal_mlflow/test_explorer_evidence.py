"""What a training leaves for the explorer: a gallery and the pairs, whose ids meet."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from toys.shapes import shapes
from toys.tiny_twin import tiny_twin
from toys.toy_gallery import PLAIN

from cross_modal.gallery.cohort import ATTACHMENT
from cross_modal.gallery.gallery import Gallery
from cross_modal.verification.pair_scorer import PairScorer
from cross_modal_mlflow.explorer_evidence import GALLERY, gallery_place, log_for_explorer
from cross_modal_mlflow.store import Store, open_store
from cross_modal_mlflow.tracking import tracked_run


@pytest.fixture(scope="module")
def logged(tmp_path_factory: pytest.TempPathFactory) -> tuple[Gallery, pd.DataFrame]:
    folder, twin = tmp_path_factory.mktemp("store"), tiny_twin()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder / 'mlflow.db'}")
        store = open_store()
        with tracked_run("train", store, name="toy") as run:
            notes = log_for_explorer(run, twin, PairScorer.of(twin), shapes(6), PLAIN, f"runs:/{run.run_id}/model")
        assert notes == []
        where = store.client.get_run(run.run_id).data.tags[GALLERY]
        assert Path(where) == folder / "galleries" / f"{run.run_id}.gallery"
        file = store.client.download_artifacts(run.run_id, "explorer/verification_pairs.parquet", str(folder))
    return Gallery.open(where), pd.read_parquet(file)


def test_the_gallery_holds_pictures_and_names_of_the_test_split(logged: tuple[Gallery, pd.DataFrame]) -> None:
    gallery, _ = logged
    test = shapes(6).split("test")
    assert (gallery.matrix().column("kind") == "image").sum() == len(test)
    assert (gallery.matrix().column("kind") == "text").sum() == len(set(test.texts))
    assert gallery.attachment(ATTACHMENT) is not None
    assert gallery.binding.model.startswith("runs:/")


def test_the_score_of_a_pair_is_that_of_its_rows_in_the_gallery(logged: tuple[Gallery, pd.DataFrame]) -> None:
    gallery, pairs = logged
    matrix = gallery.matrix()
    assert set(pairs.kind) == {"picture_picture", "picture_text"}
    a, b = (matrix.vectors[matrix.rows_of(pairs[name].to_numpy(object))] for name in ("id_a", "id_b"))
    assert (a * b).sum(1) == pytest.approx(pairs.score.to_numpy(), abs=1e-5)
    labels = matrix.column("label")
    same = [labels[matrix.rows_of(pairs[name].to_numpy(object))] for name in ("id_a", "id_b")]
    assert ((same[0] == same[1]) == pairs.same.to_numpy()).all()
    kinds = matrix.column("kind")[matrix.rows_of(pairs.id_b.to_numpy(object))]
    assert ((kinds == "text") == (pairs.kind == "picture_text")).all()


def test_a_remote_store_has_no_folder_for_it() -> None:
    assert gallery_place(Store("postgresql://host/db", "0", None), "7") is None  # type: ignore[arg-type]


def test_what_cannot_be_written_is_a_note_and_not_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    (tmp_path / "galleries").write_text("a file where the folder should be")
    twin = tiny_twin()
    with tracked_run("train", open_store(), name="toy") as run:
        notes = log_for_explorer(run, twin, PairScorer.of(twin), shapes(4), PLAIN, "runs:/7/model")
    assert len(notes) == 1
    assert "no gallery for the explorer" in notes[0]


def test_without_test_items_there_is_nothing_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    items = shapes(4)
    kept = items.take(np.flatnonzero(items.splits != "test"))
    with tracked_run("train", open_store(), name="toy") as run:
        assert log_for_explorer(run, tiny_twin(), PairScorer.of(tiny_twin()), kept, PLAIN, "m") == []
