from pathlib import Path

import pytest
from toys.tiny_twin import tiny_twin

import cross_modal_mlflow
from cross_modal.encoders.saved_twin import save_twin
from cross_modal.errors import CrossModalError
from cross_modal_mlflow.flavor import log_model
from cross_modal_mlflow.models import model_folder
from cross_modal_mlflow.store import Store, open_store
from cross_modal_mlflow.tracking import tracked_run


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


def test_a_flavors_folder_is_a_model(tmp_path: Path) -> None:
    cross_modal_mlflow.save_model(tiny_twin(), tmp_path / "logged")
    assert model_folder(str(tmp_path / "logged"), unused) == tmp_path / "logged" / "twin"


def test_a_runs_model_is_found_where_it_lies(workplace: Path) -> None:
    store = open_store()
    with tracked_run("train", store) as run:
        ids = {name: log_model(tiny_twin(), name).model_id for name in ("model", "other")}
    before = {*workplace.rglob("*")}
    for name in ids:
        found = model_folder(f"runs:/{run.run_id}/{name}", open_store)
        assert ids[name] in found.parts
        assert found.name == "twin"
    assert {*workplace.rglob("*")} == before  # MLflow would leave a file in the model's folder
    assert model_folder(f"models:/{ids['model']}", open_store).name == "twin"


def test_a_run_of_the_first_release_kept_its_twin_as_an_artifact(workplace: Path) -> None:
    store = open_store()
    twin = save_twin(tiny_twin(), workplace / "twin")
    with tracked_run("train", store) as run:
        store.client.log_artifacts(run.run_id, str(twin), "model")
    found = model_folder(f"runs:/{run.run_id}/model", open_store)
    assert {path.name for path in found.iterdir()} == {"model.safetensors", "twin.json"}


@pytest.mark.parametrize("reference", ["runs:/0123456789abcdef0123456789abcdef/model", "models:/absent@champion"])
def test_an_unknown_uri_is_one_line(reference: str, workplace: Path) -> None:
    with pytest.raises(CrossModalError) as caught:
        model_folder(reference, open_store)
    assert reference in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1
