"""The learning side is checked when it is made; the test side gives nothing out but by its door."""

import numpy as np
import pytest
from toys.kshot_classes import points, sides

from cross_modal.errors import CrossModalError
from cross_modal.fewshot.kshot_sides import LearningSide, TestSide, row_ids

LABELS = np.array(["a", "a", "b"])
X = points(np.array([0, 0, 1]), 1)


def test_classes_are_those_of_items_and_texts_and_texts_follow_the_labels_asked_for():
    texts = np.eye(2, 16, dtype=np.float32)
    side = LearningSide(X, LABELS, texts=texts, classes=np.array(["c", "a"]))
    assert side.labels.tolist() == ["a", "b", "c"]
    found = side.class_texts(side.labels)
    assert np.array_equal(found[[0, 2]], texts[[1, 0]])
    assert np.isnan(found[1]).all()
    assert LearningSide(X, LABELS).class_texts(LABELS) is None


def test_a_side_of_some_classes_keeps_their_rows_in_every_column():
    learning, _ = sides(classes=4, train=3, validation=2, views=2, ids=np.arange(12).astype(str))
    part = learning.among(np.array(["kind 1", "kind 3"]))
    assert part.labels.tolist() == ["kind 1", "kind 3"]
    assert part.ids.tolist() == ["3", "4", "5", "9", "10", "11"]
    assert np.array_equal(part.train, learning.train[[3, 4, 5, 9, 10, 11]])
    assert part.views.shape == (6, 2, 16)
    assert part.validation_labels.tolist() == ["kind 1"] * 2 + ["kind 3"] * 2
    assert np.array_equal(part.texts, learning.texts[[1, 3]])


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"train": np.full((3, 16), np.nan, np.float32)}, "train features: row 0: expected finite"),
        ({"train": np.ones((3, 16), int)}, "train features: expected floats"),
        ({"train_labels": LABELS[:2]}, "train labels: expected 3 integers or texts"),
        ({"train_labels": np.array([0.5, 1, 2])}, "train labels"),
        ({"validation": X}, "found one without the other"),
        ({"validation": X[:, :4], "validation_labels": LABELS}, r"validation features: expected floats \(N, 16\)"),
        ({"validation": X, "validation_labels": np.array([1, 2, 3])}, "validation labels: expected text"),
        ({"validation": X, "validation_labels": np.array(["a", "b", "z"])}, "validation class 'z'"),
        ({"texts": X[:2]}, "expected classes"),
        ({"texts": X[:2], "classes": LABELS}, r"texts: expected floats \(3, 16\)"),
        ({"texts": X, "classes": LABELS}, "classes: expected distinct labels, found 'a' twice"),
        ({"texts": np.where(np.arange(16) < 2, np.nan, X[:2]), "classes": np.array(["a", "b"])}, "found a mixture"),
        ({"views": np.ones((2, 1, 16))}, "train views: expected 3"),
        ({"views": np.ones((3, 1, 8))}, r"views: expected \(3, V, 16\)"),
        ({"ids": np.array(["1"])}, "train ids: expected 3"),
    ],
)
def test_bad_input_is_one_line(changes, what):
    with pytest.raises(CrossModalError, match=what) as error:
        LearningSide(**({"train": X, "train_labels": LABELS} | changes))
    assert "\n" not in str(error.value)


def test_test_items_come_out_by_reveal_alone():
    test = TestSide(X, LABELS, ids=np.array(["1", "2", "3"]))
    assert (test.classes.tolist(), test.dim, test.revealed) == (["a", "b"], 16, 0)
    assert not any(np.shares_memory(value, X) for value in vars(test).values() if isinstance(value, np.ndarray))
    features, labels = test.reveal()
    assert np.shares_memory(features, X)
    assert labels is LABELS
    assert test.revealed == 1


def test_ids_of_rows_are_of_their_content():
    ids = row_ids(X)
    assert np.array_equal(row_ids(X[::-1]), ids[::-1])
    assert len(set(ids.tolist())) == 3
    assert row_ids(X.astype(np.float16)).tolist() == row_ids(X.astype(np.float16).astype(np.float64)).tolist()
