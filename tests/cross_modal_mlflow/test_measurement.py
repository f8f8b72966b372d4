from toys.shapes import shapes
from toys.tiny_twin import tiny_twin

from cross_modal.configuration import DataConfig, EvaluationConfig
from cross_modal.data.items import Items
from cross_modal_mlflow.measurement import classes_trained_on, learn_mixture, protocol, settings_for


def items(labels: list[str] | None) -> Items:
    return Items.of(texts=["a", "b", "c"], labels=labels, splits=["train", "test", "test"])


def test_without_labels_only_retrieval_is_measured() -> None:
    config = EvaluationConfig()
    assert settings_for(items(["x", "y", "y"]), config) is config
    assert settings_for(items(None), config).ways == []


def test_protocol_says_what_was_measured() -> None:
    said = protocol(items(["x", "y", "y"]), "test", EvaluationConfig(episodes=7, seed=3))
    assert (said["split"], said["items"], said["classes"], said["episodes"], said["seeds"]) == ("test", 2, 1, 7, [3])
    everything = protocol(items(["x", "y", "y"]), "all", EvaluationConfig())
    assert (everything["items"], everything["digest"]) == (3, said["digest"])
    assert everything["split_digest"] == said["digest"] != said["split_digest"]


def test_classes_trained_on_are_found_by_name() -> None:
    card = {"trained_on": {"classes": ["y", "z"]}}
    assert classes_trained_on(card, items(["x", "y", "y"])) == ["y"]
    assert classes_trained_on(card, items(None)) == []
    assert classes_trained_on({}, items(["x", "y", "y"])) == []


def test_a_mixture_is_learned_where_no_ways_are_asked_for() -> None:
    validation = shapes(per_class=8).split("validation")
    config = EvaluationConfig(ways=[], shots=[1], queries=2)
    mixture, notes = learn_mixture(tiny_twin(), validation, DataConfig(), config)
    assert mixture is not None
    assert notes == []
