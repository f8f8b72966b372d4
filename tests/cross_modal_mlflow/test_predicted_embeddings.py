"""Embeddings of a table, asked of a model or taken from a column."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from mlflow.exceptions import MlflowException
from toys.colours import ColourModel, colour_table, picture

from cross_modal.data.items import Items
from cross_modal.errors import CrossModalError
from cross_modal_mlflow.items_table import items_of_table
from cross_modal_mlflow.predicted_embeddings import as_embeddings, embed_by_model, embeddings_of_column


def test_every_distinct_picture_and_text_is_asked_for_once_in_batches() -> None:
    items = items_of_table(pd.concat([colour_table(2, 4), colour_table(2, 4)], ignore_index=True))
    model = ColourModel()
    embedded = embed_by_model(model, items, batch=5)
    assert model.calls == [("image", 5), ("image", 3), ("text", 2)]
    assert embedded.images is not None
    assert embedded.texts is not None
    assert (embedded.images.shape, embedded.texts.shape) == ((8, 3), (2, 3))
    assert embedded.image_of.tolist() == [*range(8), *range(8)]
    assert embedded.text_of.tolist() == [0] * 4 + [1] * 4 + [0] * 4 + [1] * 4


def test_a_row_without_a_picture_has_its_text_alone() -> None:
    items = Items.of(images=[picture("red", 0), None], texts=[None, "blue"], labels=["red", "blue"])
    embedded = embed_by_model(ColourModel(), items)
    assert embedded.image_of.tolist() == [0, -1]
    assert embedded.text_of.tolist() == [-1, 0]
    assert embedded.of_items()[1].tolist() == [-0.5, -0.5, 0.5]


def test_a_selection_keeps_the_embeddings() -> None:
    embedded = embed_by_model(ColourModel(), items_of_table(colour_table(3, 2)))
    some = embedded.take(np.array([5, 0]))
    assert (some.of_items() == embedded.of_items()[[5, 0]]).all()


def test_what_the_model_refuses_is_told_with_the_row_of_the_table() -> None:
    class Refuses:
        def predict(self, frame: pd.DataFrame, params: dict[str, Any]) -> None:
            raise MlflowException.invalid_parameter_value("row 0: image: expected a picture that can be decoded")

    items = Items.of(texts=["a", None], images=[None, b"\x89PNG\r\n"], labels=["x", "y"])
    with pytest.raises(CrossModalError, match=r"^model: refused to embed images: row 1: image: expected a picture"):
        embed_by_model(Refuses(), items)


def test_pictures_and_texts_of_different_widths_are_no_twin() -> None:
    class Uneven:
        def predict(self, frame: pd.DataFrame, params: dict[str, Any]) -> np.ndarray:
            return np.ones((len(frame), 3 if "image" in frame else 4))

    with pytest.raises(CrossModalError, match="pictures have 3 dimensions and texts 4"):
        embed_by_model(Uneven(), items_of_table(colour_table(2, 1)))


@pytest.mark.parametrize(
    "answer",
    [
        [[1, 2], [3, 4]],
        np.array([[1, 2], [3, 4]]),
        pd.DataFrame({"embedding": [[1, 2], [3, 4]], "row": [0, 1]}),
        pd.DataFrame({0: [[1, 2], [3, 4]]}),
        pd.DataFrame({"x": [1, 3], "y": [2, 4]}),
        pd.Series([[1, 2], [3, 4]]),
    ],
)
def test_an_answer_may_have_any_of_the_usual_forms(answer: Any) -> None:
    assert as_embeddings(answer, 2, "model").tolist() == [[1, 2], [3, 4]]


def test_the_column_may_be_named() -> None:
    answer = pd.DataFrame({"embedding": [[1.0]], "mine": [[2.0]]})
    assert as_embeddings(answer, 1, "model", "mine").tolist() == [[2]]
    with pytest.raises(CrossModalError, match="expected a column 'other' in its answer, found embedding, mine"):
        as_embeddings(answer, 1, "model", "other")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (pd.DataFrame({"label": ["a", "b"]}), "expected a column of embeddings in its answer, found label"),
        ([[1, 2], [3]], "expected 2 embeddings of one length"),
        ([[1, 2]], r"expected 2 embeddings \(rows, dim\), found shape \(1, 2\)"),
        (["a", "b"], "expected 2 embeddings of one length"),
        ([1.0, 2.0], r"expected 2 embeddings \(rows, dim\), found shape \(2,\)"),
        ([[1, 2], [np.nan, 4]], "row 1 is not finite"),
    ],
)
def test_other_answers_are_refused(answer: Any, said: str) -> None:
    with pytest.raises(CrossModalError, match=f"^model: {said}"):
        as_embeddings(answer, 2, "model")


def test_embeddings_of_a_column_belong_to_the_picture_or_else_to_the_text() -> None:
    items = Items.of(images=[b"1", None, b"3"], texts=["a", "b", None])
    embedded = embeddings_of_column(items, [[1, 0], [2, 0], [3, 0]])
    assert embedded.images is not None
    assert embedded.texts is not None
    assert (embedded.images[:, 0].tolist(), embedded.texts[:, 0].tolist()) == ([1, 3], [2])
    assert embedded.of_items()[:, 0].tolist() == [1, 2, 3]
