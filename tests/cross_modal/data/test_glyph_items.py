"""Glyphs through the grammar: items with arrays, sets and splits of their own."""

from cross_modal.data.sources import read_items


def test_glyphs_as_items():
    items = read_items("glyphs")
    assert items.images[0].shape == (32, 32)
    assert set(items.splits) == {"train", "validation", "test"}
    for classes in [{*items.split(name).classes} for name in ("validation", "test")]:
        assert not classes & {*items.split("train").classes}
    assert items.sets is not None
    assert items.where(0) == "glyphs item 1"
    train_sets, test_sets = ({*items.split(name).sets} for name in ("train", "test"))
    assert not train_sets & test_sets
