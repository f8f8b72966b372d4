"""Tables whose rows name several items."""

from cross_modal.data.pair_table import ends_of


def test_ends():
    assert ends_of(("anchor",)) == ("image_anchor", "text_anchor")
