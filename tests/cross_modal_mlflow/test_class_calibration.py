"""Thresholds of twins that learned from classes."""

import numpy as np
import pytest
from toys.shapes import shapes
from toys.tiny_twin import tiny_twin

from cross_modal.configuration import DataConfig
from cross_modal.data.items import Items
from cross_modal.verification.pair_embedding import embed_pair_items
from cross_modal.verification.pair_scorer import PairScorer
from cross_modal.verification.saved_calibration import SavedCalibration
from cross_modal_mlflow.class_calibration import calibrate_on_classes, drawn_pairs, verify_classes

ITEMS = shapes(6).split("validation")
DATA = DataConfig(feature_store=False, workers=0)
COSINE = PairScorer("cosine")


@pytest.fixture(scope="module")
def calibration() -> SavedCalibration:
    found = calibrate_on_classes(tiny_twin(), COSINE, ITEMS, DATA, {"data": "shapes"})
    assert found is not None
    return found


def test_a_twin_of_both_has_a_threshold_for_each_comparison_that_has_pairs(calibration: SavedCalibration) -> None:
    assert list(calibration.calibrations) == ["picture_picture", "picture_text"]  # one name a class: no two to compare
    assert calibration.main.identity_kind == "label"
    assert calibration.provenance == {"split": "validation", "classes": 6, "seed": 0, "data": "shapes"}


def test_pictures_are_scored_without_their_names(calibration: SavedCalibration) -> None:
    pairs = drawn_pairs(tiny_twin(), ITEMS)["picture_picture"]
    alone = Items.of(images=ITEMS.images)
    embedded = embed_pair_items(tiny_twin(), alone, DATA)
    assert calibration.pairs["picture_picture"].scores == pytest.approx(
        COSINE.score(embedded[pairs.a], embedded[pairs.b]), abs=1e-5
    )


def test_pairs_of_picture_and_name_say_whether_the_name_is_the_pictures() -> None:
    pairs = drawn_pairs(tiny_twin(), ITEMS)["picture_text"]
    assert (pairs.same == (ITEMS.texts[pairs.a] == ITEMS.texts[pairs.b])).all()
    assert pairs.same.sum() == len(ITEMS)  # each picture with its name, and with every other name


def test_half_of_the_different_pairs_are_of_one_family() -> None:
    items = shapes(8).split("train")
    pairs = drawn_pairs(tiny_twin(text="none"), items)["picture_picture"]
    families = np.array([label.split("/")[0] for label in items.labels])
    near = (families[pairs.a] == families[pairs.b])[~pairs.same]
    assert 0.4 < near.mean() < 0.75


def test_texts_alone_are_compared_with_texts() -> None:
    names = [f"{word} {number}" for word in ("cat", "dog", "owl") for number in range(8)]
    items = Items.of(texts=names, labels=[name.split()[0] for name in names])
    found = calibrate_on_classes(tiny_twin(image="none"), COSINE, items, DATA)
    assert found is not None
    assert list(found.calibrations) == ["text_text"]


@pytest.mark.parametrize(
    "items",
    [
        ITEMS.take([]),
        ITEMS.take(ITEMS.labels == ITEMS.labels[0]),
        Items.of(images=ITEMS.images),  # every picture a class of its own
    ],
)
def test_items_that_make_no_pairs_of_both_kinds_give_none(items: Items) -> None:
    assert calibrate_on_classes(tiny_twin(), COSINE, items, DATA) is None


def test_unlabelled_pictures_with_captions_are_compared_with_captions() -> None:
    captions = [f"shape number {number}" for number in range(len(ITEMS))]
    found = calibrate_on_classes(tiny_twin(), COSINE, Items.of(images=ITEMS.images, texts=captions), DATA)
    assert found is not None
    assert list(found.calibrations) == ["picture_text"]


def test_test_classes_are_measured_at_the_thresholds_of_validation_classes(calibration: SavedCalibration) -> None:
    test = shapes(6).split("test")
    metrics = verify_classes(tiny_twin(), COSINE, test, DATA, calibration)
    pairs = drawn_pairs(tiny_twin(), test)["picture_text"]
    pictures = embed_pair_items(tiny_twin(), Items.of(images=test.images), DATA)
    names = embed_pair_items(tiny_twin(), Items.of(texts=test.texts), DATA)
    scores = (pictures[pairs.a] * names[pairs.b]).sum(1)
    threshold = calibration.calibrations["picture_text"].threshold
    assert metrics["verification/picture_text/accuracy"] == pytest.approx(((scores >= threshold) == pairs.same).mean())
    assert 0 <= metrics["verification/picture_picture/eer"] <= 1
    assert "verification/picture_picture/eer/ci95" in metrics


def test_without_thresholds_error_rates_are_measured_and_no_decisions() -> None:
    metrics = verify_classes(tiny_twin(), COSINE, ITEMS, DATA, None)
    assert "verification/picture_text/eer" in metrics
    assert "verification/picture_text/accuracy" not in metrics
