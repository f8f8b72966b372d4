from pathlib import Path

import pytest

from cross_modal.errors import CrossModalError
from cross_modal_mlflow.models import model_folder
from cross_modal_mlflow.store import Store, open_store


def unused() -> Store:
    raise AssertionError("a folder needs no store")


def test_a_folder_is_found_without_a_store(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "twin.json").write_text("{}")
    assert model_folder(str(tmp_path), unused) == tmp_path / "model"
    assert model_folder(str(tmp_path / "model"), unused) == tmp_path / "model"


def test_an_empty_folder_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(CrossModalError, match="expected a saved twin"):
        model_folder(str(tmp_path), unused)


@pytest.mark.parametrize("reference", ["runs:/0123456789abcdef0123456789abcdef/model", "models:/absent@champion"])
def test_an_unknown_uri_is_one_line(reference: str, workplace: Path) -> None:
    with pytest.raises(CrossModalError) as caught:
        model_folder(reference, open_store)
    assert reference in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1
