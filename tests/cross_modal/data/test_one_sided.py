"""Where classes make pairs, a picture comes without its name."""

import numpy as np
from toys.shapes import shapes

from cross_modal.data.items import Items
from cross_modal.data.one_sided import one_sided


def test_pictures_then_texts_each_distinct_one_once_a_class() -> None:
    items = shapes().split("train")
    found = one_sided(items)
    pictures = int(found.has_image.sum())
    assert pictures == len(
        {(label, picture.tobytes()) for label, picture in zip(items.labels, items.images, strict=True)}
    )
    assert found.has_image[:pictures].all()
    assert not (found.has_image & found.has_text).any()
    assert len(found) - pictures == len(items.classes)
    assert found.classes == items.classes


def test_one_modality_alone() -> None:
    items = shapes().split("test")
    assert not one_sided(items, text=False).has_texts
    assert not one_sided(items, image=False).has_images


def test_without_labels_a_picture_is_the_class_of_its_captions() -> None:
    found = one_sided(Items.of(images=[b"1", b"1", b"2"], texts=["a cat", "the cat", "a dog"]))
    assert found.has_image.tolist() == [True, True, False, False, False]
    assert found.class_ids[2] == found.class_ids[3] == found.class_ids[0] != found.class_ids[4]


def test_forgeries_stay_what_they_are() -> None:
    items = Items.of(images=[b"1", b"2"], labels=["anna", "anna"], genuine=[True, False])
    assert one_sided(items).genuine.tolist() == [True, False]
    assert one_sided(items).rows.dtype == np.int64
