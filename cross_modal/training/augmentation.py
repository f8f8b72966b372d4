"""Random changes of training items on whole batches: affine maps of pictures, dropped tokens of texts.

One grid sample does rotation, scale, shear, shift and mirror at once. Every number is a function of (seed, step, row),
see `counter_random`: the same step of a resumed run, or of a run with other workers, sees the same pictures.
"""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from cross_modal.configuration import AugmentationConfig
from cross_modal.training.counter_random import normal, uniform

_AFFINE, _FLIP, _TOKENS = 1, 2, 3  # streams of random numbers


def affine_maps(config: AugmentationConfig, seed: int, step: int, rows: np.ndarray) -> Tensor | None:
    """One random affine map a row.

    Args:
        config: Standard deviations.
        seed: The run's seed.
        step: The step.
        rows: (B,) data-set rows.

    Returns:
        (B, 2, 3) float32 maps from output to input coordinates in [−1, 1], or None where every deviation is zero.
    """
    if not any((config.rotation, config.scale, config.shear, config.shift, config.flip)):
        return None
    draws = normal(seed, step, rows, 6, stream=_AFFINE)
    turn = draws[:, 0] * math.radians(config.rotation)
    size_x, size_y = np.exp(draws[:, 1] * config.scale), np.exp(draws[:, 2] * config.scale)
    shear = draws[:, 3] * config.shear
    mirror = np.where(uniform(seed, step, rows, 1, stream=_FLIP)[:, 0] < config.flip, -1.0, 1.0)
    maps = np.empty((len(rows), 2, 3), np.float32)
    maps[:, 0, 0] = np.cos(turn) * size_x * mirror
    maps[:, 0, 1] = -np.sin(turn) * size_y + shear
    maps[:, 0, 2] = draws[:, 4] * config.shift
    maps[:, 1, 0] = np.sin(turn) * size_x * mirror
    maps[:, 1, 1] = np.cos(turn) * size_y
    maps[:, 1, 2] = draws[:, 5] * config.shift
    return torch.from_numpy(maps)


def augment_pixels(pixels: Tensor, maps: Tensor | None) -> Tensor:
    """Applies affine maps.

    Args:
        pixels: (B, C, H, W) float; what comes in from outside repeats the border.
        maps: (B, 2, 3), or None for no change.

    Returns:
        (B, C, H, W) float.
    """
    if maps is None:
        return pixels
    grid = F.affine_grid(maps.to(pixels.device), list(pixels.shape), align_corners=False)
    return F.grid_sample(pixels, grid, mode="bilinear", padding_mode="border", align_corners=False)


def drop_tokens(
    tokens: Tensor, unknown: int | None, probability: float, seed: int, step: int, rows: np.ndarray, pad: int = 0
) -> Tensor:
    """Replaces tokens by the unknown token: a text must be readable from its other words.

    Args:
        tokens: (B, L) int64.
        unknown: Id of the unknown token; None (the vocabulary has none) changes nothing.
        probability: Probability for each real token.
        seed: The run's seed.
        step: The step.
        rows: (B,) data-set rows.
        pad: Id of padding, which stays.

    Returns:
        (B, L) int64.
    """
    if unknown is None or not probability:
        return tokens
    draws = torch.from_numpy(uniform(seed, step, rows, tokens.shape[1], stream=_TOKENS)).to(tokens.device)
    return torch.where((draws < probability) & (tokens != pad), unknown, tokens)
