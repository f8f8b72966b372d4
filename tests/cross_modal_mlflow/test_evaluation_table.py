"""What `mlflow.models.evaluate` was given, as items, pairs and embeddings."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from mlflow.data.evaluation_dataset import EvaluationDataset
from toys.colours import colour_table, picture

from cross_modal.errors import CrossModalError
from cross_modal_mlflow.evaluation_table import EvaluationTable, read_evaluation_table, without_modality


def _read(table: pd.DataFrame, *, split: str | None = None, model: bool = True, **arguments: Any) -> EvaluationTable:
    dataset = EvaluationDataset(table, name="colours", **arguments)
    return read_evaluation_table(dataset, with_model=model, split=split)


def test_targets_are_the_classes_whatever_their_column_is_called() -> None:
    found = _read(colour_table(2, 2).rename(columns={"label": "species"}), targets="species")
    assert found.items.classes == ["green", "red"]
    assert found.items.source == "colours"
    assert (found.pairs, found.embeddings, found.split) == (None, None, "all")


def test_without_targets_a_column_label_is_taken_or_there_are_no_classes() -> None:
    assert _read(colour_table(2, 2)).items.classes == ["green", "red"]
    assert _read(colour_table(2, 2).drop(columns="label")).items.labels is None


def test_rows_marked_test_are_what_is_measured_unless_somebody_says_otherwise() -> None:
    table = colour_table(4, 1).assign(split=["train", "validation", "test", "test"])
    assert _read(table).measured.tolist() == [2, 3]
    assert _read(table, split="validation").measured.tolist() == [1]
    assert _read(table, split="all").measured.tolist() == [0, 1, 2, 3]
    assert _read(table[:2]).measured.tolist() == [0, 1]
    with pytest.raises(CrossModalError, match="expected rows of the split test, found train, validation"):
        _read(table[:2], split="test")


def test_a_target_same_says_which_pairs_are_the_same() -> None:
    table = pd.DataFrame({"text": list("abcd"), "pair": [1, 1, 2, 2], "same": [1, 1, 0, 0]})
    found = _read(table, targets="same")
    assert found.pairs is not None
    assert found.pairs.same.tolist() == [True, False]
    assert found.items.labels is None


def test_a_column_same_beside_labels_is_no_class() -> None:
    table = pd.DataFrame({"text": list("abcd"), "pair": [1, 1, 2, 2], "same": [1, 1, 0, 0], "label": list("xyxy")})
    found = _read(table, targets="label")
    assert found.pairs is not None
    assert found.pairs.same.tolist() == [True, False]
    assert found.items.classes == ["x", "y"]


def test_one_row_a_pair_is_read_too() -> None:
    table = pd.DataFrame({"image_a": [picture("red", 0)], "text_b": ["red"], "is_same": [1]})
    found = _read(table, targets="is_same")
    assert found.pairs is not None
    assert (found.pairs.a.tolist(), found.pairs.b.tolist(), found.pairs.same.tolist()) == ([0], [1], [True])
    assert found.items.has_image.tolist() == [True, False]


def test_embeddings_need_neither_picture_nor_text() -> None:
    table = pd.DataFrame({"label": ["x", "y"], "features": [[1.0, 0.0], [0.0, 1.0]]})
    found = _read(table, model=False, targets="label", predictions="features")
    assert found.embeddings == [[1.0, 0.0], [0.0, 1.0]]
    assert found.items.has_image.all()
    with pytest.raises(CrossModalError, match="expected a model, or predictions"):
        _read(table, model=False, targets="label")


def test_only_a_frame_holds_pictures_and_texts() -> None:
    dataset = EvaluationDataset(np.zeros((2, 2)), targets=np.zeros(2), name="x")
    with pytest.raises(CrossModalError, match="expected a DataFrame with columns image, text, label, …, found ndarray"):
        read_evaluation_table(dataset, with_model=True)


def test_pictures_or_texts_can_be_left_out() -> None:
    table = _read(colour_table(2, 2))
    assert not without_modality(table, False, True).items.has_images
    assert not without_modality(table, True, False).items.has_texts
    assert table.items.has_images
