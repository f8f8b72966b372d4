"""What an evaluation learns of a model before it asks it anything."""

from types import SimpleNamespace
from typing import Any

import mlflow
import pytest

from cross_modal_mlflow.flavor import FLAVOR_NAME
from cross_modal_mlflow.model_facts import ModelFacts, facts_of

MIXTURE = {"metric": "cosine", "by_shots": {}, "image_mean": [0.0], "text_mean": [0.0]}


def _model(summary: Any, model_id: str | None = None) -> SimpleNamespace:
    return SimpleNamespace(metadata=SimpleNamespace(metadata={FLAVOR_NAME: summary}), model_id=model_id)


@pytest.mark.parametrize("model", [None, object(), _model(None), SimpleNamespace(metadata=None)])
def test_of_other_models_nothing_is_known(model: Any) -> None:
    assert facts_of(model) == ModelFacts()


def test_metric_and_modalities_stand_in_the_metadata() -> None:
    facts = facts_of(_model({"metric": "euclidean", "image_trunk": "conv4", "text_trunk": "none"}))
    assert (facts.metric, facts.images, facts.texts) == ("euclidean", True, False)


def test_the_mixture_and_the_classes_trained_on_come_from_the_card(monkeypatch: pytest.MonkeyPatch) -> None:
    card = {"mixture": MIXTURE, "trained_on": {"classes": ["wren"]}}
    monkeypatch.setattr(mlflow, "get_logged_model", lambda model_id: SimpleNamespace(artifact_location=f"/{model_id}"))
    monkeypatch.setattr(mlflow.artifacts, "load_dict", {"/m-1/twin/twin.json": {"card": card}}.__getitem__)
    facts = facts_of(_model({}, "m-1"))
    assert facts.mixture is not None
    assert facts.card["trained_on"] == {"classes": ["wren"]}
    assert facts.model_id == "m-1"


@pytest.mark.parametrize("card", [{"mixture": {"strange": 1}}, {}, {"card": [1]}])
def test_a_card_of_another_version_is_no_reason_to_stop(monkeypatch: pytest.MonkeyPatch, card: Any) -> None:
    monkeypatch.setattr(mlflow, "get_logged_model", lambda model_id: SimpleNamespace(artifact_location="/x"))
    monkeypatch.setattr(mlflow.artifacts, "load_dict", lambda path: {"card": card})
    assert facts_of(_model({}, "m-1")).mixture is None


def test_a_card_that_cannot_be_had_is_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(model_id: str) -> None:
        raise ConnectionError

    monkeypatch.setattr(mlflow, "get_logged_model", gone)
    assert facts_of(_model({}, "m-1")).card == {}
