"""Explanations as pictures: in the picture's own proportions, tinted where the map says so and nowhere else."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from cross_modal.data.decode import Resize, fit
from cross_modal.errors import CrossModalError
from cross_modal.explanation.picture import links_picture, map_picture, overlay, placement, text_picture
from cross_modal.explanation.token_similarity import Link

WIDE = np.full((50, 100, 3), 128, np.uint8)


def opened(png: bytes) -> Image.Image:
    picture = Image.open(io.BytesIO(png))
    assert picture.format == "PNG"
    return picture.convert("RGB")


@pytest.mark.parametrize(("shape", "proportion"), [((50, 100, 3), 2), ((100, 50), 0.5), ((30, 30), 1)])
def test_a_picture_is_never_stretched(shape: tuple[int, ...], proportion: float) -> None:
    picture = opened(map_picture(np.zeros(shape, np.uint8), np.ones((4, 4))))
    assert picture.width / picture.height == pytest.approx(proportion, rel=0.02)


@pytest.mark.parametrize("resize", ["squash", "crop", "pad"])
@pytest.mark.parametrize("size", [(120, 60), (60, 120), (90, 90)])
def test_a_cell_lies_on_what_the_model_saw_there(resize: Resize, size: tuple[int, int]) -> None:
    """A white spot in the picture, found again in the model's square, leads back to where it was."""
    width, height = size
    pixels = np.zeros((height, width), np.uint8)
    x, y = int(width * 0.45), int(height * 0.6)
    pixels[y - 4 : y + 4, x - 4 : x + 4] = 255
    square = np.asarray(fit(Image.fromarray(pixels), 64, resize))
    cell = int(square.reshape(8, 8, 8, 8).sum((1, 3)).argmax())
    found = placement(width, height, resize).centre(cell, (8, 8))
    assert found == pytest.approx((x, y), abs=max(size) / 8)


def test_where_the_model_did_not_look_nothing_is_tinted() -> None:
    tint = overlay(WIDE, np.ones((4, 4)), "crop")
    assert tint.shape == (50, 100, 4)
    assert (tint[:, :25, 3] == 0).all()
    assert (tint[:, 75:, 3] == 0).all()
    assert (tint[:, 26:74, 3] > 0.5).all()


def test_a_map_with_black_edges_is_cut_to_the_picture() -> None:
    values = np.zeros((4, 4))
    values[0] = 1  # above the picture: in the black edge
    tint = overlay(WIDE, values, "pad")
    assert tint[-25:, :, 3].max() == 0


def test_the_tint_is_strongest_where_the_map_is() -> None:
    values = np.zeros((4, 4))
    values[0, 3] = 1
    tint = overlay(np.zeros((64, 64, 3), np.uint8), values)[..., 3]
    row, column = np.unravel_index(tint.argmax(), tint.shape)
    assert row < 16
    assert column >= 48
    assert tint[32:, :32].max() == 0


def test_signs_have_colours_of_their_own() -> None:
    values = np.zeros((2, 2))
    values[0, 0], values[1, 1] = 1, -1
    tint = overlay(np.zeros((64, 64, 3), np.uint8), values)
    raised, lowered = tint[4, 4], tint[60, 60]
    assert raised[0] > raised[2]  # orange
    assert lowered[2] > lowered[0]  # purple
    assert raised[3] == pytest.approx(lowered[3], abs=0.02)


@pytest.mark.parametrize("values", [np.zeros(4), np.zeros((0, 3)), np.array([[np.nan]])])
def test_what_is_no_map_is_refused(values: np.ndarray) -> None:
    with pytest.raises(CrossModalError, match=r"^map: expected finite values"):
        map_picture(WIDE, values)


def test_a_map_of_nothing_leaves_the_picture() -> None:
    assert overlay(WIDE, np.zeros((4, 4)))[..., 3].max() == 0


def test_links_join_two_pictures() -> None:
    tall = np.full((80, 40), 128, np.uint8)
    grids = ((4, 4), (2, 2))
    bare = opened(links_picture(WIDE, tall, [], grids))
    joined = opened(links_picture(WIDE, tall, [Link(0, 3, 0.9), Link(15, 0, 0.5)], grids))
    assert bare.size == joined.size
    changed = (np.asarray(bare) != np.asarray(joined)).any(-1)
    assert 0 < changed.mean() < 0.2
    first = np.argwhere(changed)[:, 1].min()
    assert first == pytest.approx(400 / 8, abs=8)  # the middle of the first of four columns


def test_text_of_any_letters_and_length() -> None:
    words = ["$x_1$", "<b>", "ω", "a" * 200, *["word"] * 30]
    picture = opened(text_picture(words, np.linspace(-1, 1, len(words)), title="50 % of $nothing"))
    assert picture.width == 800
    assert picture.height > 150  # several lines
    plain = opened(text_picture([], np.zeros(0)))
    assert plain.width == 800


def test_a_word_without_its_value() -> None:
    with pytest.raises(CrossModalError, match=r"^text: expected a value for each of 2 words"):
        text_picture(["a", "b"], np.zeros(3))
