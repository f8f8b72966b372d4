"""A model's page names trunk, loss, margin, data and scores; a card that lacks some of them is no error."""

import dataclasses

from toys.tiny_twin import tiny_twin

from cross_modal.configuration import Experiment, PartConfig
from cross_modal_mlflow.model_summary import model_summary, summary_tags


def test_the_fields_come_from_twin_and_card() -> None:
    experiment = Experiment()
    experiment.objective.loss = PartConfig("TripletMarginLoss", {"margin": 0.2})
    experiment.objective.miner = PartConfig("MultiSimilarityMiner")
    card = {
        "data": "birds",
        "digest": "ab12",
        "experiment": dataclasses.asdict(experiment),
        "validation_score": 0.5,
        "metrics": {"retrieval/image_to_text/recall_at_1": 0.25},
    }
    assert model_summary(tiny_twin(), card) == {
        "image_trunk": "conv4",
        "text_trunk": "transformer",
        "dim": 16,
        "metric": "cosine",
        "loss": "TripletMarginLoss",
        "margin": 0.2,
        "miner": "MultiSimilarityMiner",
        "data": "birds",
        "digest": "ab12",
        "validation_score": 0.5,
        "metrics": {"retrieval/image_to_text/recall_at_1": 0.25},
    }


def test_cards_are_the_callers_own() -> None:
    bare = {"image_trunk": "conv4", "text_trunk": "none", "dim": 16, "metric": "cosine"}
    for card in (None, {}, {"experiment": "a word", "metrics": None}, {"experiment": {"objective": {"loss": "name"}}}):
        assert model_summary(tiny_twin(text="none"), card) == bare


def test_tags_are_text_and_hold_no_metrics() -> None:
    assert summary_tags({"loss": "SupConLoss", "dim": 16, "metrics": {"a": 1.0}}) == {
        "cross_modal.loss": "SupConLoss",
        "cross_modal.dim": "16",
    }
