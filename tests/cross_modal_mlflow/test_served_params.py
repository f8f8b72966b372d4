"""Params of a request: defaults where nothing is said, and a sentence where something cannot be."""

from typing import Any

import pytest

from cross_modal.errors import CrossModalError
from cross_modal_mlflow.served_params import ServedParams


def test_nothing_said_is_classification_by_the_models_own_method() -> None:
    assert ServedParams.of(None) == ServedParams("classify", None, 5, None, False)
    assert ServedParams.of({"threshold": None, "method": None}) == ServedParams()


def test_what_is_said_is_taken() -> None:
    given = {"task": "verify", "method": "tip_adapter", "top": 2, "threshold": 1, "reject": True}
    assert ServedParams.of(given) == ServedParams("verify", "tip_adapter", 2, 1, True)


def test_all_tasks_and_defaults_stand_in_the_signature() -> None:
    from cross_modal_mlflow.signature import default_signature

    written = {each.name: each.default for each in default_signature().params}
    assert set(written) == set(ServedParams.__dataclass_fields__)
    assert ServedParams.of(written).task == "classify"


@pytest.mark.parametrize(
    ("params", "sentence"),
    [
        ({"task": "clasify"}, r"params\.task: expected one of classify, embed, search, verify, found 'clasify'"),
        ({"top": 0}, r"params\.top: expected an integer of at least 1, found 0"),
        ({"top": True}, r"params\.top: expected an integer"),
        ({"top": 2.5}, r"params\.top: expected an integer"),
        ({"threshold": float("nan")}, r"params\.threshold: expected a finite number, found nan"),
        ({"threshold": "high"}, r"params\.threshold: expected a finite number, found 'high'"),
        ({"reject": "yes"}, r"params\.reject: expected true or false, found 'yes'"),
        ({"method": 3}, r"params\.method: expected a name, found 3"),
        ({"tsak": "embed"}, r"params: expected task, method, top, threshold, reject, found 'tsak'"),
    ],
)
def test_what_cannot_be_is_named(params: dict[str, Any], sentence: str) -> None:
    with pytest.raises(CrossModalError, match=sentence):
        ServedParams.of(params)
