"""The table of items: selection, classes with and without labels, digest."""

import numpy as np
import pytest

from cross_modal.data.items import Items, column, image_keys
from cross_modal.errors import CrossModalError


def square(value: int) -> np.ndarray:
    return np.full((4, 4), value, np.uint8)


def sample() -> Items:
    return Items.of(
        images=[square(0), square(1), None],
        texts=["zero", None, "two"],
        labels=["b", "a", "b"],
        splits=["train", "test", "train"],
        genuine=[True, False, True],
        source="items.csv",
    )


def test_take_moves_all_columns_together():
    taken = sample().take([2, 1])
    assert taken.labels.tolist() == ["b", "a"]
    assert taken.texts.tolist() == ["two", None]
    assert taken.rows.tolist() == [3, 2]
    assert taken.genuine.tolist() == [True, False]
    assert taken.where(0) == "items.csv row 3"
    assert sample().take(np.array([False, True, False])).labels.tolist() == ["a"]


def test_split_and_its_errors():
    assert sample().split("train").rows.tolist() == [1, 3]
    assert len(sample().split("validation")) == 0
    with pytest.raises(CrossModalError, match="expected one of train, validation, test, found 'val'"):
        sample().split("val")
    with pytest.raises(CrossModalError, match="expected assigned splits"):
        Items.of(texts=["a"]).split("train")


def test_classes_are_sorted_and_ids_point_at_them():
    items = sample()
    assert items.classes == ["a", "b"]
    assert items.class_ids.tolist() == [1, 0, 1]
    assert items.class_ids.dtype == np.int64
    assert items.has_image.tolist() == [True, True, False]
    assert items.has_texts
    assert not Items.of(texts=["a"]).has_images


def test_without_labels_every_distinct_picture_is_a_class(tmp_path):
    one, copy, other = (tmp_path / name for name in ("1.png", "copy.png", "2.png"))
    one.write_bytes(b"same bytes")
    copy.write_bytes(b"same bytes")
    other.write_bytes(b"else bytes")  # of equal size: size alone does not tell
    items = Items.of(
        images=[str(one), str(one), str(copy), str(other), None, None], texts=["a", "b", "c", "d", "e", "f"]
    )
    ids = items.class_ids.tolist()
    assert ids[0] == ids[1] == ids[2]
    assert len(set(ids)) == 4
    assert items.image_ids.tolist() == [0, 0, 0, 1, -1, -1]


def test_image_keys_tell_bytes_and_shapes_apart():
    cells = column([b"a", b"a", b"b", np.zeros((1, 4), np.uint8), np.zeros((2, 2), np.uint8), None])
    keys = image_keys(cells)
    assert keys[0] == keys[1]
    assert keys[5] is None
    assert len(set(keys)) == 5


def test_digest_is_of_content_not_of_place(tmp_path):
    digests = []
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        file = tmp_path / folder / "a.png"
        file.write_bytes(b"picture")
        digests.append(Items.of(images=[str(file)], texts=["t"], source=str(file)).digest)
    assert digests[0] == digests[1]
    assert len(digests[0]) == 16
    file.write_bytes(b"changed")
    assert Items.of(images=[str(file)], texts=["t"]).digest != digests[0]


@pytest.mark.parametrize(
    "change",
    [
        {"texts": ["zero", None, "TWO"]},
        {"labels": ["b", "a", "a"]},
        {"splits": ["train", "test", "test"]},
        {"genuine": [True, True, True]},
        {"images": [square(0), square(2), None]},
        {"texts": ["zero", "None", "two"]},
    ],
)
def test_digest_sees_every_column(change):
    plain = sample()
    columns = {
        name: getattr(plain, name).tolist() if name != "images" else list(plain.images)
        for name in ("images", "texts", "labels", "splits", "genuine")
    }
    assert Items.of(**columns).digest == plain.digest
    assert Items.of(**(columns | change)).digest != plain.digest


def test_digest_keeps_cell_borders_apart():
    assert Items.of(texts=["ab", "c"]).digest != Items.of(texts=["a", "bc"]).digest


def test_uneven_columns_are_refused():
    with pytest.raises(CrossModalError, match="column labels has 1 cells, expected 2"):
        Items.of(texts=["a", "b"], labels=["x"])


def test_digest_of_a_missing_file_is_one_line():
    with pytest.raises(CrossModalError, match=r"image 'gone\.png': expected a readable file"):
        _ = Items.of(images=["gone.png"]).digest


def test_prefixes():
    assert Items.of(texts=["x", "y"], labels=["Greek/alpha", "plain"]).prefixes.tolist() == ["Greek", "plain"]
    assert Items.of(texts=["x"]).prefixes is None
