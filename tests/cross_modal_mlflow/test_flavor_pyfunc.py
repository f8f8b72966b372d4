"""The flavor's generic side: `mlflow.pyfunc` finds the served twin, its params, and only the switches of the caller."""

from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
import yaml
from mlflow.exceptions import MlflowException
from toys.tiny_twin import tiny_twin

import cross_modal_mlflow
from cross_modal.data.items import Items
from cross_modal_mlflow.example_request import example_request
from cross_modal_mlflow.logged_support import encode_support
from cross_modal_mlflow.served_twin import ServedTwin

TEXTS = pd.DataFrame({"text": ["a cat", "a dog"]})
EMBED = {"task": "embed"}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    cross_modal_mlflow.save_model(tiny_twin(), tmp_path / "model")
    return tmp_path / "model"


def load(folder: Path, **switches: bool) -> Any:
    return mlflow.pyfunc.load_model(str(folder), model_config=switches or None)


def test_pyfunc_serves_the_same_twin(model: Path) -> None:
    twin = cross_modal_mlflow.load_model(str(model))
    assert twin.text is not None
    expected = twin.encode_text(twin.text.tokenize(TEXTS["text"].tolist())).detach().numpy()
    answer = load(model).predict(TEXTS, params=EMBED)
    np.testing.assert_allclose(np.stack(answer["embedding"].tolist()), expected, atol=1e-6)
    assert isinstance(load(model)._model_impl, ServedTwin)


@pytest.mark.parametrize(
    "rows",
    [
        TEXTS,
        TEXTS["text"],
        TEXTS.to_dict("records"),
        TEXTS.assign(colour="red"),  # MLflow leaves out what the signature lacks
    ],
    ids=["frame", "series", "records", "extra column"],
)
def test_a_request_may_be_any_named_table(rows: Any, model: Path) -> None:
    served = load(model)
    expected = served.predict(TEXTS, params=EMBED)["embedding"].tolist()
    np.testing.assert_array_equal(served.predict(rows, params=EMBED)["embedding"].tolist(), expected)


@pytest.mark.parametrize("nameless", ["a cat", ["a cat", "a dog"], np.array(["a cat", "a dog"]), 3])
def test_cells_without_a_column_are_refused_with_a_sentence(nameless: Any, model: Path) -> None:
    with pytest.raises(MlflowException, match="expected a column image or text") as caught:
        load(model).predict(nameless, params=EMBED)
    assert caught.value.get_http_status_code() == 400


def test_params_good_wrong_and_unknown(model: Path) -> None:
    served = load(model)
    with pytest.raises(MlflowException, match=r"params\.task: expected one of classify, embed, search, verify"):
        served.predict(TEXTS, params={"task": "guess"})
    with pytest.raises(MlflowException, match="top"):
        served.predict(TEXTS, params={**EMBED, "top": "five"})
    assert len(served.predict(TEXTS, params={**EMBED, "no_such_param": 1})) == 2


def test_without_a_signature_params_cannot_pass_and_the_task_is_the_default(tmp_path: Path) -> None:
    support = encode_support(tiny_twin(), Items.of(texts=["a cat", "a dog"], labels=["cat", "dog"]))
    cross_modal_mlflow.save_model(tiny_twin(), tmp_path, support=support, signature=False)
    answer = load(tmp_path).predict(TEXTS, params=EMBED)
    assert answer.columns[0] == "label"


def test_the_logged_support_answers_requests_that_bring_none(tmp_path: Path) -> None:
    support = encode_support(tiny_twin(), Items.of(texts=["a cat", "a dog"], labels=["cat", "dog"]))
    cross_modal_mlflow.save_model(tiny_twin(), tmp_path / "with", support=support)
    assert load(tmp_path / "with").predict(TEXTS)["label"].tolist() == ["cat", "dog"]
    cross_modal_mlflow.save_model(tiny_twin(), tmp_path / "without")
    with pytest.raises(MlflowException, match="support") as caught:
        load(tmp_path / "without").predict(TEXTS)
    assert caught.value.get_http_status_code() == 400


def test_the_logged_example_is_answered(tmp_path: Path) -> None:
    pictures = [np.full((16, 16), shade, np.uint8) for shade in (0, 80, 160, 240)]
    example = example_request(tiny_twin(), Items.of(images=pictures, labels=["a", "a", "b", "b"]))
    cross_modal_mlflow.save_model(tiny_twin(), tmp_path, input_example=example)
    assert example is not None
    served = load(tmp_path)
    (label,) = served.predict(example[0], params=example[1])["label"]
    assert label in {"a", "b"}
    from mlflow.models.utils import _validate_serving_input

    request = (tmp_path / "serving_input_example.json").read_text()
    assert _validate_serving_input(str(tmp_path), request)["label"].tolist() == [label]


class TestSwitches:
    def test_they_are_off_and_the_caller_may_switch_them_on(self, model: Path) -> None:
        assert (load(model)._model_impl.files.paths, load(model)._model_impl.files.urls) == (False, False)
        files = load(model, allow_paths=True)._model_impl.files
        assert (files.paths, files.urls) == (True, False)

    def test_a_model_does_not_switch_itself_on(self, model: Path) -> None:
        described = yaml.safe_load((model / "MLmodel").read_text())
        described["flavors"]["python_function"]["config"] = {"allow_paths": True, "allow_urls": True}
        (model / "MLmodel").write_text(yaml.safe_dump(described))
        files = load(model)._model_impl.files
        assert (files.paths, files.urls) == (False, False)
