"""Items as a data frame and back."""

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from toys.colours import picture

from cross_modal.data.items import Items
from cross_modal.errors import CrossModalError
from cross_modal_mlflow.items_table import encoded, items_of_table, table_of_items

RED = picture("red", 0)


def test_every_way_to_write_a_picture_is_read(tmp_path: Path) -> None:
    (tmp_path / "red.png").write_bytes(RED)
    text = base64.b64encode(RED).decode()
    image = Image.open(io.BytesIO(RED))
    cells = [str(tmp_path / "red.png"), tmp_path / "red.png", RED, text, f"data:image/png;base64,{text}", image]
    items = items_of_table(pd.DataFrame({"image": pd.Series(cells, dtype=object), "label": "red"}))
    assert items.images[:2].tolist() == [str(tmp_path / "red.png")] * 2
    assert items.images[2:5].tolist() == [RED] * 3
    assert items.images[5].shape == (4, 4, 3)


def test_all_columns_are_read_and_others_passed_over() -> None:
    table = pd.DataFrame(
        {"text": ["a", "b"], "label": [1, 2], "split": ["val", "test"], "group": ["g", None], "genuine": [1, 0], "x": 3}
    )
    items = items_of_table(table)
    assert items.labels.tolist() == ["1", "2"]  # type: ignore[union-attr]
    assert items.splits.tolist() == ["validation", "test"]  # type: ignore[union-attr]
    assert items.groups.tolist() == ["g", None]  # type: ignore[union-attr]
    assert items.genuine.tolist() == [True, False]  # type: ignore[union-attr]


def test_labels_that_are_given_win_over_the_column() -> None:
    items = items_of_table(pd.DataFrame({"text": ["a"], "label": ["old"]}), [np.int64(7)])
    assert items.labels.tolist() == ["7"]  # type: ignore[union-attr]


def test_without_labels_there_are_none() -> None:
    assert items_of_table(pd.DataFrame({"text": ["a"]})).labels is None


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"text": ["a", None]}, "row 1: expected an image or a text, found neither"),
        ({"image": [RED, b"nonsense\xff"]}, "row 1: image: expected an encoded picture"),
        ({"image": [RED, "gone.png"]}, "row 1: image: "),
        ({"text": ["a", "b"], "label": ["x", None]}, "row 1: label: expected a class, found none"),
        ({"text": ["a", "b"], "split": ["train", "trial"]}, "row 1: split: expected train, validation or test"),
        ({"text": ["a", "b"], "genuine": [1, 2]}, "row 1: genuine: expected 0 or 1"),
        ({"label": ["x", "y"]}, "row 0: expected an image or a text, found neither"),
    ],
)
def test_what_is_wrong_is_named_by_row_and_column(columns: dict[str, list[Any]], said: str) -> None:
    with pytest.raises(CrossModalError, match=f"^{said}"):
        items_of_table(pd.DataFrame(columns))


def test_an_empty_table_holds_nothing_to_read() -> None:
    with pytest.raises(CrossModalError, match="expected rows, found an empty table"):
        items_of_table(pd.DataFrame({"text": []}))


def test_there_and_back_again_is_the_same() -> None:
    items = Items.of(
        images=[RED, None],
        texts=[None, "blue"],
        labels=["red", "blue"],
        splits=["train", "test"],
        groups=["a", "b"],
        genuine=[True, False],
        sets=["s", "t"],
    )
    assert items_of_table(table_of_items(items)).digest == items.digest


def test_only_columns_that_the_items_have_stand_in_the_table() -> None:
    assert list(table_of_items(Items.of(texts=["a"])).columns) == ["text"]


def test_arrays_become_pictures_that_decode_to_the_same_pixels() -> None:
    pixels = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    (cell,) = table_of_items(Items.of(images=[pixels], labels=["x"]))["image"]
    assert (np.asarray(Image.open(io.BytesIO(cell))) == pixels).all()


def test_a_picture_is_encoded_from_wherever_it_is(tmp_path: Path) -> None:
    (tmp_path / "red.png").write_bytes(RED)
    assert encoded(RED) == encoded(str(tmp_path / "red.png")) == RED
    with pytest.raises(CrossModalError, match="expected a readable file"):
        encoded(str(tmp_path / "gone.png"))
