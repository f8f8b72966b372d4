import json

import numpy as np

from cross_modal.data.items import Items
from cross_modal_mlflow.dataset import ItemsDataset, ItemsSource


def test_a_dataset_says_what_it_is_and_where_from() -> None:
    items = Items.of(
        images=[np.zeros((2, 2), np.uint8), None], texts=["a", "b"], labels=["x", "y"], splits=["train", "train"]
    )
    dataset = ItemsDataset(items, "toy")
    said = dataset.to_dict()
    assert said["digest"] == items.digest
    assert json.loads(said["profile"]) == {"items": 2, "classes": 2, "pictures": 1, "texts": 2, "skipped": 0}
    source = ItemsSource.from_dict(json.loads(said["source"]))
    assert source.source == items.source


def test_a_source_can_be_read_again() -> None:
    items = ItemsSource("glyphs").load(seed=3)
    assert len(items) > 1000
    assert not ItemsSource._can_resolve("glyphs")
    assert ItemsSource._can_resolve("items:glyphs")
