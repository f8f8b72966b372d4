"""A trunk that the data never feeds is left out, and it is said."""

import pytest
from toys.shapes import experiment, shapes

from cross_modal.data.items import Items
from cross_modal.training.fed_trunks import fed_trunks


@pytest.mark.parametrize(("side", "other", "word"), [("image", "text", "pictures"), ("text", "image", "texts")])
def test_a_side_without_data_gets_no_trunk(side: str, other: str, word: str) -> None:
    whole, said = shapes(per_class=2), list[str]()
    cells = {name: list(getattr(whole, f"{name}s")) for name in (side, other)}
    cells[side] = [None] * len(whole)
    items = Items.of(images=cells["image"], texts=cells["text"], labels=list(whole.labels), source="shapes")
    config = experiment().twin
    fed = fed_trunks(config, items, said.append)
    assert getattr(fed, side).name == "none"
    assert getattr(fed, other) == getattr(config, other)
    assert said == [f"shapes has no {word}: the twin gets no {side} trunk"]
    assert getattr(config, side).name != "none"  # what was asked for stays as it was
    assert fed_trunks(fed, items, said.append) == fed
    assert len(said) == 1


def test_both_sides_stay_where_both_are_fed() -> None:
    config = experiment().twin
    assert fed_trunks(config, shapes(per_class=2), pytest.fail) is config
