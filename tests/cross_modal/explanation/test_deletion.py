"""Hiding what decides makes the score fall faster than chance; hiding what does not, slower."""

from __future__ import annotations

import numpy as np
import pytest

from cross_modal.errors import CrossModalError
from cross_modal.explanation.deletion import deletion, hide, word_deletion

PIXELS = np.zeros((1, 8, 8), np.uint8)
PIXELS[:, 2:4, 4:6] = 255  # what the score is: place (1, 2) of 4 × 4


def brightness(pictures: np.ndarray) -> np.ndarray:
    return pictures[:, 0, 2:4, 4:6].mean((1, 2)) / 255


def right_map() -> np.ndarray:
    values = np.zeros((4, 4))
    values[1, 2] = 1
    return values


def test_a_right_map_beats_chance_and_a_wrong_one_does_not() -> None:
    right = deletion(PIXELS, right_map(), brightness)
    assert right.faithful
    assert right.pointed[0] == right.random[0] == 1
    assert (right.pointed[1:] < 0.1).all()
    wrong = deletion(PIXELS, -right_map(), brightness)
    assert not wrong.faithful
    assert wrong.gap < 0 < right.gap


def test_it_is_the_same_every_time() -> None:
    first, second = (deletion(PIXELS, right_map(), brightness, seed=3) for _ in range(2))
    np.testing.assert_array_equal(first.random, second.random)
    known = deletion(PIXELS, right_map(), brightness, chance=first.random)
    np.testing.assert_array_equal(known.random, first.random)
    np.testing.assert_array_equal(known.pointed, first.pointed)


def test_random_masks_hide_as_much_as_the_map() -> None:
    stripes = np.tile(np.array([0, 10], np.uint8), 32).reshape(1, 8, 8)  # its mean colour, 5, is none of its own
    hidden: list[np.ndarray] = []

    def look(pictures: np.ndarray) -> np.ndarray:
        hidden.append((pictures == 5).mean((1, 2, 3)))
        return np.zeros(len(pictures))

    found = deletion(stripes, np.random.default_rng(0).random((4, 4)), look, shares=(0.0, 0.25, 0.5), draws=2)
    assert found.shares.tolist() == [0, 0.25, 0.5]
    assert hidden[0].tolist() == [0, 0.25, 0.5, 0, 0, 0.25, 0.25, 0.5, 0.5]


def test_hidden_places_have_the_mean_colour_and_others_stay() -> None:
    colours = np.random.default_rng(0).integers(0, 256, (3, 9, 7), dtype=np.uint8)
    mask = np.zeros((1, 3, 2), bool)
    mask[0, 0, 1] = True
    (found,) = hide(colours, mask)
    changed = np.zeros((9, 7), bool)
    changed[:3, 4:] = True  # rows 0–2 of 9 in three bands; columns of 7 in two
    np.testing.assert_array_equal(found[:, ~changed], colours[:, ~changed])
    for channel in range(3):
        assert set(found[channel][changed].tolist()) == {round(float(colours[channel].mean()))}


def test_words_that_decide() -> None:
    words = ["a", "small", "red", "shoe"]

    def red(texts: list[str]) -> np.ndarray:
        return np.array(["red" in text.split() for text in texts], float)

    right = word_deletion(words, np.array([0, 0, 1, 0]), red)
    assert right.pointed.tolist() == [1, 0, 0, 0]
    assert right.shares.tolist() == [0, 0.25, 0.5, 0.75]
    assert right.faithful
    assert not word_deletion(words, np.array([1, 1, 0, 1]), red).faithful


@pytest.mark.parametrize(("words", "values"), [(["one"], [1.0]), (["a", "b"], [1.0])])
def test_words_need_values_and_company(words: list[str], values: list[float]) -> None:
    with pytest.raises(CrossModalError, match=r"^deletion: expected two words or more"):
        word_deletion(words, np.array(values), lambda texts: np.zeros(len(texts)))


def test_shapes_are_checked() -> None:
    with pytest.raises(CrossModalError, match=r"^deletion: expected pixels"):
        deletion(PIXELS[0], right_map(), brightness)
