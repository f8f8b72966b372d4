"""The example request has a support and a query of the data itself, and only what the twin takes."""

import io

import numpy as np
import pytest
from PIL import Image
from toys.tiny_twin import tiny_twin

from cross_modal.data.items import Items, column
from cross_modal.data.pairs import Pairs
from cross_modal_mlflow.example_request import LARGEST, example_pairs, example_request
from cross_modal_mlflow.served_twin import ServedTwin

PICTURES = [np.full((20, 20), value, np.uint8) for value in (0, 60, 120, 180)]
TEXTS = ["one", "two", "three", "four"]


def test_two_classes_give_one_support_each_and_a_query() -> None:
    found = example_request(tiny_twin(), Items.of(images=PICTURES, texts=TEXTS, labels=["a", "a", "b", "b"]))
    assert found is not None
    frame, params = found
    assert params == {"task": "classify"}
    assert frame["role"].tolist() == ["support", "support", "query"]
    assert frame["label"].tolist()[:2] == ["a", "b"]
    assert frame["label"].isna().tolist() == [False, False, True]
    shades = [np.asarray(Image.open(io.BytesIO(cell))).mean() for cell in frame["image"]]
    assert shades == pytest.approx([0, 120, 60])  # the query is another picture of the first class


def test_pictures_are_of_the_size_that_the_twin_sees() -> None:
    photo = np.zeros((300, 400, 3), np.uint8)
    found = example_request(tiny_twin(), Items.of(images=[photo, photo], labels=["a", "b"]))
    assert found is not None
    assert [Image.open(io.BytesIO(cell)).size for cell in found[0]["image"]] == [(16, 16)] * 3
    assert LARGEST <= 128  # a request that one can look at


def test_a_twin_of_texts_is_shown_texts() -> None:
    found = example_request(tiny_twin(image="none"), Items.of(images=PICTURES, texts=TEXTS, labels=[*"abcd"]))
    assert found is not None
    assert found[0]["text"].tolist() == ["one", "two", "one"]
    assert "image" not in found[0]


def test_without_classes_the_example_embeds() -> None:
    for items in (Items.of(images=PICTURES), Items.of(images=PICTURES, labels=["a"] * 4)):
        found = example_request(tiny_twin(), items)
        assert found is not None
        assert (list(found[0]), len(found[0]), found[1]) == (["image"], 2, {"task": "embed"})


@pytest.mark.parametrize(
    ("image", "text", "items"),
    [
        ("conv4", "none", Items.of(texts=TEXTS)),
        ("none", "transformer", Items.of(images=PICTURES)),
        ("conv4", "none", Items.of(images=[b"no picture"] * 2, labels=["a", "b"])),
    ],
)
def test_nothing_to_show_is_no_example(image: str, text: str, items: Items) -> None:
    assert example_request(tiny_twin(image, text), items) is None


def pairs(items: Items, same: list[bool] | None, score: list[float] | None = None) -> Pairs:
    a, b = np.array([0, 1, 2]), np.array([1, 2, 3])
    truth = None if same is None else np.array(same)
    graded = None if score is None else np.array(score)
    return Pairs(items, a, b, truth, graded, column(["test"] * 3), np.arange(1, 4), "pairs.csv")


def test_a_twin_of_pairs_is_asked_about_one_pair_of_either_verdict() -> None:
    found = example_pairs(tiny_twin(), pairs(Items.of(images=PICTURES), [False, True, False]))
    assert found is not None
    frame, params = found
    assert params == {"task": "verify"}
    assert frame["pair"].tolist() == ["first", "first", "second", "second"]
    shades = [np.asarray(Image.open(io.BytesIO(cell))).mean() for cell in frame["image"]]
    assert shades == pytest.approx([60, 120, 0, 60])  # the same pair, then a different one


def test_graded_pairs_give_the_most_alike_and_the_least() -> None:
    found = example_pairs(tiny_twin(image="none"), pairs(Items.of(texts=TEXTS), None, [0.5, 0.1, 0.9]))
    assert found is not None
    assert found[0]["text"].tolist() == ["three", "four", "two", "three"]


def test_a_picture_and_a_text_are_a_pair_and_the_served_twin_answers_it() -> None:
    items = Items.of(images=[PICTURES[0], None, PICTURES[2], None], texts=[None, "two", None, "four"])
    given = pairs(items, [True, False, False])
    found = example_pairs(tiny_twin(), given)
    assert found is not None
    frame, params = found
    assert [cell is None for cell in frame["image"]] == [False, True, True, False]
    assert frame["text"].tolist() == [None, "two", "two", None]
    assert ServedTwin(tiny_twin()).predict(frame, params)["pair"].tolist() == ["first", "second"]


def test_one_verdict_is_one_pair_and_no_pairs_are_no_example() -> None:
    found = example_pairs(tiny_twin(), pairs(Items.of(images=PICTURES), [True, True, True]))
    assert found is not None
    assert found[0]["pair"].tolist() == ["first", "first"]
    assert example_pairs(tiny_twin(), pairs(Items.of(images=PICTURES), [True] * 3).split("train")) is None
    assert example_pairs(tiny_twin(), pairs(Items.of(images=[b"no picture"] * 4), [True] * 3)) is None
    assert example_pairs(tiny_twin("conv4", "none"), pairs(Items.of(texts=TEXTS), [True] * 3)) is None
