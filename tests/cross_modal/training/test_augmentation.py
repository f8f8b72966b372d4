"""Augmentation is a function of (seed, step, row), does what its names say, and leaves texts readable."""

import numpy as np
import torch

from cross_modal.configuration import AugmentationConfig
from cross_modal.training.augmentation import affine_maps, augment_pixels, drop_tokens

ROWS = np.array([4, 9, 2])
NONE = AugmentationConfig(rotation=0, scale=0, shear=0, shift=0, flip=0, token_dropout=0)


def test_each_row_has_its_own_map_wherever_it_stands() -> None:
    config = AugmentationConfig()
    maps = affine_maps(config, 0, 7, ROWS)
    assert maps.shape == (3, 2, 3)
    assert torch.equal(affine_maps(config, 0, 7, ROWS[::-1])[0], maps[2])
    assert not torch.equal(affine_maps(config, 0, 8, ROWS), maps)
    assert not torch.equal(maps[0], maps[1])


def test_no_deviation_no_change() -> None:
    assert affine_maps(NONE, 0, 0, ROWS) is None
    pixels = torch.rand(3, 1, 8, 8)
    assert augment_pixels(pixels, None) is pixels


def test_a_certain_flip_mirrors_left_and_right() -> None:
    config = AugmentationConfig(rotation=0, scale=0, shear=0, shift=0, flip=1.0)
    pixels = torch.rand(3, 2, 8, 8)
    flipped = augment_pixels(pixels, affine_maps(config, 0, 0, ROWS))
    torch.testing.assert_close(flipped, pixels.flip(3), atol=1e-5, rtol=1e-5)


def test_rotation_has_the_deviation_that_was_asked_for() -> None:
    config = AugmentationConfig(rotation=10, scale=0, shear=0, shift=0)
    maps = affine_maps(config, 0, 0, np.arange(4000))
    angles = torch.rad2deg(torch.atan2(maps[:, 1, 0], maps[:, 0, 0]))
    assert abs(float(angles.std()) - 10) < 0.5
    assert abs(float(angles.mean())) < 0.6


def test_the_border_is_repeated_and_no_dark_frame_appears() -> None:
    pixels = torch.ones(50, 1, 8, 8)
    torch.testing.assert_close(
        augment_pixels(pixels, affine_maps(AugmentationConfig(shift=0.5), 0, 0, np.arange(50))), pixels
    )


def test_tokens_are_dropped_at_the_rate_and_padding_stays() -> None:
    tokens = torch.full((400, 10), 5)
    tokens[:, 7:] = 0
    dropped = drop_tokens(tokens, 1, 0.25, 0, 3, np.arange(400))
    assert (dropped[:, 7:] == 0).all()
    assert abs(float((dropped[:, :7] == 1).float().mean()) - 0.25) < 0.03
    assert torch.equal(dropped[[5]], drop_tokens(tokens[[5]], 1, 0.25, 0, 3, np.array([5])))
    assert drop_tokens(tokens, None, 0.25, 0, 3, np.arange(400)) is tokens
