"""A gallery and its model, found and checked."""

import shutil
from pathlib import Path

import pytest
from toys.tiny_twin import tiny_twin
from toys.toy_gallery import write_gallery

from cross_modal.encoders.saved_twin import save_twin
from cross_modal.errors import CrossModalError
from cross_modal_mlflow.gallery_model import open_bound
from cross_modal_mlflow.store import Store


def no_store() -> Store:
    raise AssertionError("a folder needs no tracking store")


@pytest.fixture
def where(tmp_path: Path) -> str:
    return str(write_gallery(tmp_path))


def test_the_model_is_the_one_that_the_gallery_names(where: str, tmp_path: Path) -> None:
    bound = open_bound(where, None, no_store)
    assert bound.folder == tmp_path / "model"
    assert len(bound.gallery) == 24
    assert not bound.twin.training


def test_a_model_that_moved_is_named(where: str, tmp_path: Path) -> None:
    shutil.move(tmp_path / "model", tmp_path / "moved")
    with pytest.raises(CrossModalError, match=r"expected the model that made it; .* \(--model says where it is now"):
        open_bound(where, None, no_store)
    assert len(open_bound(where, str(tmp_path / "moved"), no_store).gallery) == 24


def test_another_model_is_refused_in_one_sentence(where: str, tmp_path: Path) -> None:
    save_twin(tiny_twin(seed=3), tmp_path / "other")
    with pytest.raises(CrossModalError, match=r"expected the model that made it .* found another") as caught:
        open_bound(where, str(tmp_path / "other"), no_store)
    assert "\n" not in str(caught.value)


def test_a_folder_that_is_no_gallery_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(CrossModalError, match="empty"):
        open_bound(str(tmp_path / "empty"), None, no_store)
