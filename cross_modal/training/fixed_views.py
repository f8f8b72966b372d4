"""The views of a picture that training on a frozen trunk draws from: V augmentations, fixed by content.

A fresh augmentation in every step would need a fresh pass through the trunk, which is what freezing saves. So each
picture has V views, and a step picks one of them. A view is a function of the picture's content and the augmentation's
settings, not of the seed or the row: runs, trials of a sweep and seeds share them.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence

import numpy as np
from torch import Tensor

from cross_modal.configuration import AugmentationConfig
from cross_modal.encoders.stored_embedding import PLAIN
from cross_modal.errors import CrossModalError
from cross_modal.training.augmentation import affine_maps
from cross_modal.training.counter_random import uniform

_CHOICE = 4  # stream of random numbers
_MOST = 32  # views that the number of a content and its view have room for
_SETTINGS = ("rotation", "scale", "shear", "shift", "flip")


class FixedViews:
    """V views of each picture.

    Args:
        config: The augmentation; `views` is V.
        contents: (N,) content hashes of the pictures, 32 bytes each.

    Raises:
        CrossModalError: If `views` is below 1 or above 32.
    """

    def __init__(self, config: AugmentationConfig, contents: Sequence[bytes]) -> None:
        if config.views < 1:
            raise CrossModalError(f"augmentation.views: expected at least 1, found {config.views}")
        if config.views > _MOST:
            raise CrossModalError(f"augmentation.views: expected at most {_MOST}, found {config.views}")
        self.config = config
        values = dataclasses.asdict(config)
        settings = {name: values[name] for name in _SETTINGS}
        self.count = config.views if any(settings.values()) else 1
        self._settings = json.dumps(settings, sort_keys=True)
        self._contents = list(contents)
        self._numbers = np.array([int.from_bytes(content[:7], "little") for content in contents], np.int64)

    def choose(self, seed: int, step: int, rows: np.ndarray) -> np.ndarray:
        """(B,) int64: the view that each row shows in a step, a function of (seed, step, row)."""
        return (uniform(seed, step, rows, 1, stream=_CHOICE)[:, 0] * self.count).astype(np.int64)

    def maps(self, rows: np.ndarray, turns: np.ndarray, views: np.ndarray) -> Tensor | None:
        """(B, 2, 3) affine maps of pictures turned by quarters, in their views; None where nothing is augmented."""
        keys = self._numbers[rows] * 4 + turns + (views << 58)
        return affine_maps(self.config, 0, 0, keys)

    def names(self, rows: np.ndarray, turns: np.ndarray, views: np.ndarray) -> list[str]:
        """The views by name, for the keys of the feature store."""
        augmented = affine_maps(self.config, 0, 0, rows[:1]) is not None
        return [
            (f"affine {self._settings} {view}" if augmented else PLAIN) + (f" turned {turn}" if turn else "")
            for turn, view in zip(turns.tolist(), views.tolist(), strict=True)
        ]

    def contents(self, rows: np.ndarray) -> list[bytes]:
        """The content hashes of rows."""
        return [self._contents[row] for row in rows.tolist()]
