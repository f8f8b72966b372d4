"""Validation measures the same thing every time, on what the data has, and gives nothing where there is nothing."""

import pytest
from toys.shapes import experiment, shapes

from cross_modal.data.items import Items
from cross_modal.encoders.build import build_twin
from cross_modal.training.validation import SCORE, Validation


def measure(items: Items) -> dict[str, float]:
    settings = experiment()
    twin = build_twin(settings.twin, ["bar size 3"])
    validation = Validation(items, twin, settings)
    once = validation.measure(twin)
    assert validation.measure(twin) == once
    assert twin.training
    return once


def test_the_score_is_the_mean_of_one_shot_and_zero_shot() -> None:
    metrics = measure(shapes().split("validation"))
    parts = [metrics[f"validation/episodes/5way_{shots}shot/accuracy"] for shots in (0, 1)]
    assert metrics[SCORE] == pytest.approx(sum(parts) / 2)


def test_without_labels_the_score_is_recall() -> None:
    metrics = measure(shapes(labels=False).split("validation"))
    recalls = [value for name, value in metrics.items() if name.endswith("/recall_at_1")]
    assert len(recalls) == 2
    assert metrics[SCORE] == pytest.approx(sum(recalls) / 2)


def test_nothing_to_compare_gives_no_score() -> None:
    items = shapes().split("validation")
    assert measure(items.take([])) == {}
    assert SCORE not in measure(Items.of(texts=["a"], labels=["a"], splits=["validation"]))
