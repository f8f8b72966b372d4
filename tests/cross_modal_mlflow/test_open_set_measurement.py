"""Strangers: every setting is measured, by a threshold that the measured classes had no part in."""

import numpy as np
import pytest

from cross_modal.configuration import EvaluationConfig
from cross_modal.errors import CrossModalError
from cross_modal.evaluation import EvaluationItems
from cross_modal_mlflow.open_set_measurement import measure_strangers

CONFIG = EvaluationConfig(ways=[3, 5], shots=[0, 1], queries=3, episodes=60)
NAMES = {"auroc", "fpr_at_95_tpr", "accuracy_at_far", "false_accept_rate"}


def embedded(classes: int, seed: int, spread: float = 0.5) -> EvaluationItems:
    random = np.random.default_rng(seed)
    ids = np.repeat(np.arange(classes), 6)
    rows = random.normal(size=(classes, 16))[ids] + spread * random.normal(size=(len(ids), 16))
    return EvaluationItems(rows.astype(np.float32), ids)


def test_every_setting_with_shots_has_its_numbers() -> None:
    metrics, notes = measure_strangers(embedded(12, 0), embedded(14, 1), CONFIG, false_accept_rate=0.1, metric="cosine")
    for setting in ("3way_1shot", "5way_1shot"):
        assert {name.split("/")[2] for name in metrics if setting in name} == NAMES
    assert not any("0shot" in name for name in metrics)
    assert metrics["open_set/5way_1shot/auroc"] > 0.8
    assert metrics["open_set/5way_1shot/false_accept_rate"] < 0.3
    assert not any("no threshold" in note for note in notes)


def test_embeddings_that_say_nothing_are_at_chance() -> None:
    metrics, _ = measure_strangers(
        embedded(12, 0, 50.0), embedded(14, 1, 50.0), CONFIG, false_accept_rate=0.1, metric="cosine"
    )
    assert metrics["open_set/5way_1shot/auroc"] == pytest.approx(0.5, abs=0.05)


def test_without_validation_there_is_no_threshold_and_it_is_said() -> None:
    metrics, notes = measure_strangers(None, embedded(14, 1), CONFIG, false_accept_rate=0.1, metric="cosine")
    assert {name.split("/")[2] for name in metrics} == {"auroc", "fpr_at_95_tpr"}
    assert notes == ["open set: no validation classes, so no threshold: AUROC and FPR at 95 % TPR only"]


def test_a_setting_that_the_classes_do_not_allow_is_noted() -> None:
    metrics, notes = measure_strangers(embedded(12, 0), embedded(7, 1), CONFIG, false_accept_rate=0.1, metric="cosine")
    assert {name.split("/")[1] for name in metrics} == {"3way_1shot"}
    assert any(note.startswith("open set: ") for note in notes)


def test_texts_alone_are_refused() -> None:
    texts = EvaluationItems(None, np.zeros(0, np.int64), np.eye(4, dtype=np.float32), np.arange(4))
    with pytest.raises(CrossModalError, match="open-set episodes: expected pictures, found none"):
        measure_strangers(None, texts, CONFIG, false_accept_rate=0.1, metric="cosine")
