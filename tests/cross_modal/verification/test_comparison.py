"""What is compared with what, by the names that calibrations go by."""

import numpy as np
from toys.tiny_twin import tiny_twin

from cross_modal.data.items import Items
from cross_modal.verification.comparison import comparison, comparisons, in_words, shown

ITEMS = Items.of(images=[b"x", None, b"x"], texts=[None, "word", "word"])


def test_a_twin_sees_what_it_has_a_trunk_for() -> None:
    assert shown(ITEMS, tiny_twin()).tolist() == ["picture", "text", "both"]
    assert shown(ITEMS, tiny_twin(text="none")).tolist() == ["picture", "nothing", "picture"]
    assert shown(ITEMS, tiny_twin(image="none")).tolist() == ["nothing", "text", "text"]


def test_the_order_of_the_sides_does_not_matter() -> None:
    assert comparison("text", "picture") == comparison("picture", "text") == "picture_text"
    sides = np.array(["picture", "text", "both"], object)
    assert comparisons(sides, np.array([0, 1]), np.array([1, 0])).tolist() == ["picture_text"] * 2
    assert comparisons(sides, np.array([2]), np.array([2])).tolist() == ["both_both"]
    assert comparisons(sides, np.zeros(0, np.int64), np.zeros(0, np.int64)).tolist() == []


def test_people_read_words() -> None:
    assert in_words("both_text") == "both against text"
