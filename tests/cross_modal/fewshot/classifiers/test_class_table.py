import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cross_modal.errors import CrossModalError
from cross_modal.fewshot.classifiers.class_table import arriving_labels, count_shots, positions, sorted_classes


@given(st.lists(st.sampled_from("abcdefgh"), min_size=1), st.randoms())
def test_positions_point_back_at_the_labels(labels, random):
    y = np.array(labels)
    classes, _ = sorted_classes("it", y, None, None, 2)
    np.testing.assert_array_equal(classes[positions("it", y, classes)], y)
    shuffled = classes.tolist()
    random.shuffle(shuffled)
    np.testing.assert_array_equal(sorted_classes("it", y, shuffled, None, 2)[0], classes)


def test_texts_move_with_their_labels():
    classes, texts = sorted_classes("it", np.array([3]), [7, 3, 5], np.array([[7.0], [3.0], [5.0]]), 1)
    assert classes.tolist() == [3, 5, 7]
    assert texts.ravel().tolist() == [3.0, 5.0, 7.0]


def test_shots_are_counted_for_absent_last_classes_too():
    texts = np.array([[np.nan], [1.0], [1.0]])
    assert count_shots("it", np.array([0, 0, 1]), np.array(["a", "b", "c"]), texts).tolist() == [2, 1, 0]


@pytest.mark.parametrize("labels", [None, [], np.array([])])
def test_no_labels_arrive_as_none_of_the_same_kind(labels):
    found = arriving_labels("it", labels, np.array(["a"]))
    assert found.shape == (0,)
    assert found.dtype.kind == "U"


def test_numbers_do_not_arrive_among_names():
    with pytest.raises(CrossModalError, match="it: expected labels like '1', found 1"):
        arriving_labels("it", [1], np.array(["1"]))
    with pytest.raises(CrossModalError, match="expected labels like"):
        arriving_labels("it", ["1"], np.array([1]))
    with pytest.raises(CrossModalError, match=r"expected labels \(M,\)"):
        arriving_labels("it", [["1"]], np.array(["1"]))
