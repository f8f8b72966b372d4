"""The default signature takes every kind of request, refuses params of a wrong type, and survives MLflow's files."""

import pytest
from mlflow.exceptions import MlflowException
from mlflow.models import ModelSignature
from mlflow.models.utils import _enforce_params_schema
from mlflow.types import DataType

from cross_modal_mlflow.signature import COLUMNS, PARAMS, default_signature


def test_every_column_is_optional_and_the_image_is_binary() -> None:
    columns = {each.name: each for each in default_signature().inputs}
    assert list(columns) == ["image", "text", "role", "label", "pair"] == list(COLUMNS)
    assert not any(each.required for each in columns.values())
    assert columns["image"].type == DataType.binary
    assert {columns[name].type for name in columns if name != "image"} == {DataType.string}


def test_outputs_differ_by_task_so_none_are_promised() -> None:
    assert default_signature().outputs is None


def test_it_comes_back_from_what_mlflow_writes() -> None:
    assert ModelSignature.from_dict(default_signature().to_dict()) == default_signature()


def test_params_that_are_left_out_take_their_defaults() -> None:
    assert _enforce_params_schema({}, default_signature().params) == {
        name: value for name, (_, value) in PARAMS.items()
    }
    assert _enforce_params_schema({"task": "embed"}, default_signature().params)["task"] == "embed"


def test_no_threshold_means_the_models_own() -> None:
    assert _enforce_params_schema({"threshold": None}, default_signature().params)["threshold"] is None
    assert _enforce_params_schema({"threshold": 1}, default_signature().params)["threshold"] == 1.0


@pytest.mark.parametrize("wrong", [{"top": "five"}, {"top": 2.5}, {"threshold": "high"}, {"reject": 1}, {"task": 3}])
def test_params_of_a_wrong_type_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(MlflowException, match=next(iter(wrong))):
        _enforce_params_schema(wrong, default_signature().params)


def test_served_params_have_the_same_names_and_defaults() -> None:
    from dataclasses import asdict

    from cross_modal_mlflow.served_params import ServedParams

    assert {name: default for name, (_, default) in PARAMS.items()} == asdict(ServedParams())
