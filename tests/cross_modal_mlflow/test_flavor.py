"""A twin as an MLflow model: saved, logged, registered, loaded; its environment, signature, example and code."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import mlflow
import pytest
import torch
import yaml
from mlflow.exceptions import MlflowException
from mlflow.models import Model, infer_signature
from toys.tiny_twin import tiny_twin

import cross_modal_mlflow
from cross_modal.data.items import Items
from cross_modal.encoders.twin import TwinEncoder
from cross_modal.errors import CrossModalError
from cross_modal_mlflow.logged_support import LoggedSupport, encode_support
from cross_modal_mlflow.signature import default_signature

CARD = {"data": "birds", "digest": "ab12", "validation_score": 0.5}
PIXELS = torch.randn(3, 1, 16, 16, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def twin() -> TwinEncoder:
    return tiny_twin()


@pytest.fixture
def tracking(workplace: Path) -> Iterator[str]:
    """A fresh store that MLflow's fluent functions write to; artifacts beside it."""
    uri = f"sqlite:///{workplace}/mlruns/mlflow.db"
    mlflow.set_tracking_uri(uri)
    mlflow.set_experiment(experiment_id=mlflow.create_experiment("flavor", (workplace / "artifacts").as_uri()))
    yield uri
    mlflow.set_tracking_uri(None)  # type: ignore[arg-type]


def same(before: TwinEncoder, after: TwinEncoder) -> bool:
    return torch.equal(before.encode_image(PIXELS), after.encode_image(PIXELS))


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def requirements(folder: Path) -> list[str]:
    return (folder / "requirements.txt").read_text().splitlines()


class TestSaving:
    def test_a_twin_comes_back_bit_for_bit(self, twin: TwinEncoder, tmp_path: Path) -> None:
        cross_modal_mlflow.save_model(twin, tmp_path / "model")
        after = cross_modal_mlflow.load_model(str(tmp_path / "model"))
        assert same(twin, after)
        assert not after.training

    @pytest.mark.parametrize(("image", "text"), [("conv4", "none"), ("none", "transformer")])
    def test_a_twin_of_one_modality_is_a_model_too(self, image: str, text: str, tmp_path: Path) -> None:
        before = tiny_twin(image, text)
        cross_modal_mlflow.save_model(before, tmp_path / "model")
        after = cross_modal_mlflow.load_model(str(tmp_path / "model"))
        assert before.state_dict().keys() == after.state_dict().keys()

    def test_tensors_and_text_are_all_that_lies_on_disk(self, twin: TwinEncoder, tmp_path: Path) -> None:
        cross_modal_mlflow.save_model(twin, tmp_path, card=CARD)
        environment = {"requirements.txt", "conda.yaml", "python_env.yaml"}
        assert files(tmp_path) == {"MLmodel", "twin/model.safetensors", "twin/twin.json", *environment}
        assert json.loads((tmp_path / "twin" / "twin.json").read_text())["card"] == CARD

    def test_mlmodel_says_what_it_is(self, twin: TwinEncoder, tmp_path: Path) -> None:
        cross_modal_mlflow.save_model(twin, tmp_path, card=CARD, metadata={"owner": "me"})
        model = Model.load(str(tmp_path))
        own = model.flavors["cross_modal_mlflow"]
        assert own["cross_modal_version"] == version("cross-modal")
        assert (own["image_trunk"], own["text_trunk"], own["dim"], own["twin"]) == ("conv4", "transformer", 16, "twin")
        assert model.flavors["python_function"]["loader_module"] == "cross_modal_mlflow"  # never to be renamed
        assert model.metadata["owner"] == "me"
        assert model.metadata["cross_modal_mlflow"]["digest"] == "ab12"
        assert model.model_size_bytes > (tmp_path / "twin" / "model.safetensors").stat().st_size

    def test_a_support_travels_with_its_twin_and_no_other(self, twin: TwinEncoder, tmp_path: Path) -> None:
        support = encode_support(twin, Items.of(texts=["a cat", "a dog"], labels=["cat", "dog"]))
        cross_modal_mlflow.save_model(twin, tmp_path / "model", support=support)
        assert {"support/support.safetensors", "support/support.json"} <= files(tmp_path / "model")
        assert Model.load(str(tmp_path / "model")).flavors["cross_modal_mlflow"]["support"] == "support"
        assert list(LoggedSupport.load(tmp_path / "model" / "support").text_labels) == ["cat", "dog"]
        with pytest.raises(CrossModalError, match="those of another"):
            cross_modal_mlflow.save_model(tiny_twin(seed=1), tmp_path / "other", support=support)
        assert not files(tmp_path / "other")

    def test_a_folder_with_something_in_it_is_left_alone(self, twin: TwinEncoder, tmp_path: Path) -> None:
        (tmp_path / "notes.txt").write_text("mine")
        with pytest.raises(MlflowException, match="not empty"):
            cross_modal_mlflow.save_model(twin, tmp_path)
        assert files(tmp_path) == {"notes.txt"}

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            ({"twin": "conv4"}, "model: expected a TwinEncoder, found str"),
            ({"support": [1, 2]}, "support: expected a LoggedSupport"),
            ({"signature": True}, "signature: expected a ModelSignature, False or None, found bool"),
        ],
    )
    def test_something_else_is_one_line(
        self, arguments: dict[str, Any], said: str, twin: TwinEncoder, tmp_path: Path
    ) -> None:
        with pytest.raises(CrossModalError, match=said):
            cross_modal_mlflow.save_model(**{"twin": twin, "path": tmp_path, **arguments})
        assert not files(tmp_path)


class TestEnvironment:
    def test_the_default_pins_what_is_installed(self, twin: TwinEncoder, tmp_path: Path) -> None:
        cross_modal_mlflow.save_model(twin, tmp_path)
        found = requirements(tmp_path)
        assert found == cross_modal_mlflow.get_default_pip_requirements()
        assert {f"cross-modal=={version('cross-modal')}", f"mlflow=={mlflow.__version__}"} <= set(found)
        assert not any("+" in line for line in found)  # no index has torch==2.x+cpu
        conda = yaml.safe_load((tmp_path / "conda.yaml").read_text())
        assert {"pip": found} in conda["dependencies"]

    def test_the_default_conda_environment_holds_the_default_requirements(self) -> None:
        (pip,) = [part for part in cross_modal_mlflow.get_default_conda_env()["dependencies"] if isinstance(part, dict)]
        assert set(cross_modal_mlflow.get_default_pip_requirements()) <= set(pip["pip"])

    def test_requirements_are_a_list_a_file_or_both(self, twin: TwinEncoder, tmp_path: Path) -> None:
        (tmp_path / "own.txt").write_text("one\ntwo")
        own = str(tmp_path / "own.txt")
        for number, given in enumerate((own, ["one", "two"], [f"-r {own}"])):
            cross_modal_mlflow.save_model(twin, tmp_path / str(number), pip_requirements=given)
            assert requirements(tmp_path / str(number)) == [f"mlflow=={mlflow.__version__}", "one", "two"]

    def test_constraints_travel_in_a_file_of_their_own(self, twin: TwinEncoder, tmp_path: Path) -> None:
        (tmp_path / "limits.txt").write_text("one<2")
        given = ["one", f"-c {tmp_path}/limits.txt"]
        cross_modal_mlflow.save_model(twin, tmp_path / "model", pip_requirements=given)
        assert requirements(tmp_path / "model")[1:] == ["one", "-c constraints.txt"]
        assert (tmp_path / "model" / "constraints.txt").read_text() == "one<2"

    def test_extra_requirements_are_added_to_the_default(self, twin: TwinEncoder, tmp_path: Path) -> None:
        cross_modal_mlflow.save_model(twin, tmp_path, extra_pip_requirements=["one"])
        assert requirements(tmp_path) == [*cross_modal_mlflow.get_default_pip_requirements(), "one"]

    def test_a_conda_environment_replaces_the_default(self, twin: TwinEncoder, tmp_path: Path) -> None:
        conda = {"name": "own", "dependencies": ["python=3.11", {"pip": ["mlflow", "one"]}]}
        (tmp_path / "own.yaml").write_text(yaml.safe_dump(conda))
        for number, given in enumerate((conda, str(tmp_path / "own.yaml"))):
            cross_modal_mlflow.save_model(twin, tmp_path / str(number), conda_env=given)
            assert yaml.safe_load((tmp_path / str(number) / "conda.yaml").read_text()) == conda
            assert requirements(tmp_path / str(number)) == ["mlflow", "one"]

    def test_two_ways_at_once_are_refused(self, twin: TwinEncoder, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match="Only one of"):
            cross_modal_mlflow.save_model(twin, tmp_path, pip_requirements=["one"], conda_env={"dependencies": []})
        assert not files(tmp_path)

    def test_code_is_copied_and_only_the_pyfunc_sees_it(
        self, twin: TwinEncoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "own_code.py").write_text("raise AssertionError('logged code was run')\n")
        model = tmp_path / "model"
        cross_modal_mlflow.save_model(twin, model, code_paths=[str(tmp_path / "own_code.py")])
        assert (model / "code" / "own_code.py").is_file()
        flavors = Model.load(str(model)).flavors
        assert (flavors["cross_modal_mlflow"]["code"], flavors["python_function"]["code"]) == ("code", "code")
        monkeypatch.setattr(sys, "path", list(sys.path))
        cross_modal_mlflow.load_model(str(model))
        assert str(model / "code") not in sys.path
        mlflow.pyfunc.load_model(str(model))
        assert str(model / "code") in sys.path


class TestSignatureAndExample:
    @pytest.mark.parametrize("example", [None, {"text": "a cat"}])
    @pytest.mark.parametrize("given", [None, False, "own"])
    def test_what_is_kept(self, given: Any, example: Any, twin: TwinEncoder, tmp_path: Path) -> None:
        own = infer_signature({"text": "a cat"})
        signature = own if given == "own" else given
        cross_modal_mlflow.save_model(twin, tmp_path, signature=signature, input_example=example)
        model = Model.load(str(tmp_path))
        assert model.signature == {None: default_signature(), False: None, "own": own}[given]
        assert ("input_example.json" in files(tmp_path)) == (example is not None)
        if example is not None:
            assert model.load_input_example(str(tmp_path)) == example

    def test_an_example_with_params_is_a_request_to_send(self, twin: TwinEncoder, tmp_path: Path) -> None:
        import pandas as pd

        frame = pd.DataFrame({"text": ["a cat"]})
        cross_modal_mlflow.save_model(twin, tmp_path, input_example=(frame, {"task": "embed"}))
        request = json.loads((tmp_path / "serving_input_example.json").read_text())
        assert request == {"dataframe_split": {"columns": ["text"], "data": [["a cat"]]}, "params": {"task": "embed"}}


class TestLogging:
    def test_every_reference_gives_the_same_twin(self, twin: TwinEncoder, tracking: str, tmp_path: Path) -> None:
        with mlflow.start_run() as run:
            info = cross_modal_mlflow.log_model(twin, card=CARD)
        references = [info.model_uri, f"models:/{info.model_id}", f"runs:/{run.info.run_id}/model", info.artifact_path]
        assert all(same(twin, cross_modal_mlflow.load_model(uri)) for uri in references)
        cross_modal_mlflow.load_model(info.model_uri, dst_path=str(tmp_path / "there"))
        assert "twin/model.safetensors" in files(tmp_path / "there")

    def test_the_logged_model_belongs_to_the_run(self, twin: TwinEncoder, tracking: str) -> None:
        with mlflow.start_run() as run:
            mlflow.log_param("steps", 3)
            info = cross_modal_mlflow.log_model(
                twin, "twin", params={"own": 1}, tags={"a": "b"}, model_type="few-shot", step=7
            )
        logged = mlflow.get_logged_model(info.model_id)
        assert (logged.name, logged.source_run_id, logged.model_type) == ("twin", run.info.run_id, "few-shot")
        assert logged.params == {"own": "1", "steps": "3"}
        assert logged.tags["a"] == "b"
        (output,) = mlflow.get_run(run.info.run_id).outputs.model_outputs
        assert (output.model_id, output.step) == (info.model_id, 7)
        assert str(logged.status) == "READY"

    def test_without_a_run_it_belongs_to_the_experiment(self, twin: TwinEncoder, tracking: str) -> None:
        info = cross_modal_mlflow.log_model(twin)
        assert info.run_id is None
        assert same(twin, cross_modal_mlflow.load_model(info.model_uri))

    def test_an_existing_logged_model_is_filled(self, twin: TwinEncoder, tracking: str) -> None:
        waiting = mlflow.initialize_logged_model(name="later")
        info = cross_modal_mlflow.log_model(twin, model_id=waiting.model_id)
        assert info.model_id == waiting.model_id
        assert same(twin, cross_modal_mlflow.load_model(f"models:/{waiting.model_id}"))

    def test_it_registers_when_asked_and_not_otherwise(self, twin: TwinEncoder, tracking: str) -> None:
        cross_modal_mlflow.log_model(twin)
        assert mlflow.search_registered_models() == []
        info = cross_modal_mlflow.log_model(twin, registered_model_name="glyphs")
        assert int(info.registered_model_version) == 1
        mlflow.MlflowClient().set_registered_model_alias("glyphs", "champion", "1")
        for uri in ("models:/glyphs/1", "models:/glyphs@champion"):
            assert same(twin, cross_modal_mlflow.load_model(uri))

    def test_metadata_reaches_the_model(self, twin: TwinEncoder, tracking: str) -> None:
        info = cross_modal_mlflow.log_model(twin, card=CARD, metadata={"owner": "me"})
        assert info.metadata["owner"] == "me"
        assert info.metadata["cross_modal_mlflow"]["data"] == "birds"

    def test_a_name_that_mlflow_forbids_is_refused(self, twin: TwinEncoder, tracking: str) -> None:
        with pytest.raises(MlflowException, match="Invalid model name"):
            cross_modal_mlflow.log_model(twin, "a/b")

    def test_logging_infers_nothing(self, twin: TwinEncoder, tracking: str, monkeypatch: pytest.MonkeyPatch) -> None:
        def never(*_: object, **__: object) -> None:
            raise AssertionError("requirements were inferred: that takes seconds")

        monkeypatch.setattr("mlflow.utils.requirements_utils._capture_imported_modules", never)
        cross_modal_mlflow.log_model(twin)


class TestLoading:
    def test_a_model_of_another_flavor_is_named(self, tmp_path: Path) -> None:
        model = Model()
        model.add_flavor("sklearn", pickled_model="model.pkl")
        model.save(str(tmp_path / "MLmodel"))
        with pytest.raises(CrossModalError, match="expected the flavor cross_modal_mlflow, found sklearn"):
            cross_modal_mlflow.load_model(str(tmp_path))

    def test_a_damaged_model_is_named(self, twin: TwinEncoder, tmp_path: Path) -> None:
        cross_modal_mlflow.save_model(twin, tmp_path)
        (tmp_path / "twin" / "model.safetensors").write_bytes(b"half")
        with pytest.raises(CrossModalError, match=r"model\.safetensors: expected"):
            cross_modal_mlflow.load_model(str(tmp_path))

    def test_no_model_at_all_is_mlflows_to_say(self, tracking: str) -> None:
        with pytest.raises(MlflowException):
            cross_modal_mlflow.load_model("models:/absent@champion")

    def test_a_native_load_needs_neither_pickle_nor_logged_code(self, twin: TwinEncoder, tmp_path: Path) -> None:
        (tmp_path / "own_code.py").write_text("raise AssertionError\n")
        cross_modal_mlflow.save_model(twin, tmp_path / "model", code_paths=[str(tmp_path / "own_code.py")])
        program = """
import pickle, sys
import cross_modal.encoders.saved_twin, cross_modal_mlflow, mlflow.artifacts, mlflow.models
def refuse(*_, **__): raise AssertionError("unpickled")
pickle.load = pickle.loads = pickle.Unpickler = refuse
print(type(cross_modal_mlflow.load_model(sys.argv[1])).__name__)
"""
        switched_off = {"MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false", "MLFLOW_ALLOW_MODEL_CODE_EXECUTION": "false"}
        command = [sys.executable, "-c", program, str(tmp_path / "model")]
        done = subprocess.run(command, env=os.environ | switched_off, capture_output=True, text=True, check=False)
        assert done.stdout == "TwinEncoder\n", done.stderr
