"""A toy data set that a small twin learns in seconds: shapes of eight kinds, named by kind and size."""

import numpy as np

from cross_modal.configuration import (
    AugmentationConfig,
    BatchConfig,
    Experiment,
    ImageTrunkConfig,
    PoolingConfig,
    TextTrunkConfig,
    TrainingConfig,
    TwinConfig,
)
from cross_modal.data.items import Items

SIDE = 16
KINDS = ("bar", "pole", "cross", "box", "frame", "slope", "rise", "dots")


def picture(kind: int, size: int, random: np.random.Generator) -> np.ndarray:
    """One shape of a kind and size (3–6 pixels) on a noisy ground."""
    canvas = random.integers(0, 40, (SIDE, SIDE)).astype(np.uint8)
    top, left = random.integers(0, SIDE - 2 * size, 2)
    y, x = np.mgrid[: 2 * size, : 2 * size]
    middle = size - 0.5
    masks = (
        abs(y - middle) < 1,
        abs(x - middle) < 1,
        (abs(y - middle) < 1) | (abs(x - middle) < 1),
        (y >= 0),
        (y == 0) | (x == 0) | (y == 2 * size - 1) | (x == 2 * size - 1),
        abs(y - x) < 2,
        abs(y + x - 2 * size + 1) < 2,
        (y % 3 == 0) & (x % 3 == 0),
    )
    canvas[top : top + 2 * size, left : left + 2 * size][masks[kind]] = 255
    return canvas


def shapes(per_class: int = 12, texts: bool = True, labels: bool = True) -> Items:
    """Thirty-two classes (kind × size): 20 train, 6 validation, 6 test."""
    random = np.random.default_rng(0)
    images, names, classes, splits = [], [], [], []
    order = random.permutation(32)
    for place, index in enumerate(order.tolist()):
        kind, size = index % 8, 3 + index // 8
        for _ in range(per_class):
            images.append(picture(kind, size, random))
            names.append(f"{KINDS[kind]} size {size}")
            classes.append(f"{KINDS[kind]}/{size}")
            splits.append("train" if place < 20 else "validation" if place < 26 else "test")
    return Items.of(
        images=images,
        texts=names if texts else None,
        labels=classes if labels else None,
        splits=splits,
        source="shapes",
    )


def experiment(**training: object) -> Experiment:
    """Settings for a twin of some 20,000 parameters."""
    twin = TwinConfig(
        image=ImageTrunkConfig(widths=[8, 16, 32], pools=2, size=SIDE),
        text=TextTrunkConfig(width=16, layers=1, heads=2, dropout=0.0),
        pooling=PoolingConfig(queries=2, heads=2),
        width=32,
    )
    settings = {"steps": 6, "warm_up": 2, "validate_every": 3, "log_every": 1, "accelerator": "cpu", "seed": 1}
    return Experiment(
        data="shapes",
        twin=twin,
        batch=BatchConfig(classes=8, items=2),
        augmentation=AugmentationConfig(),
        training=TrainingConfig(**(settings | training)),
    )
