"""The two policies for bad items."""

import pytest

from cross_modal.data.bad_items import BadItem, BadItems
from cross_modal.errors import CrossModalError


def test_error_raises_one_line_with_place_and_reason():
    with pytest.raises(CrossModalError, match=r"^a\.csv row 2: label is empty$"):
        BadItems("error").add(2, "a.csv row 2", "label is empty")


def test_skip_collects_in_order():
    bad = BadItems("skip")
    bad.add(2, "a.csv row 2", "label is empty")
    bad.add(5, "a.csv row 5", "image is missing")
    assert bad.skipped[0] == BadItem(2, "a.csv row 2", "label is empty")
    assert [item.row for item in bad.skipped] == [2, 5]
