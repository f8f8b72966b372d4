"""Stored features that every method tells apart: clusters around the axes, the text of a class its axis."""

from pathlib import Path
from typing import Any

import numpy as np


def write_axes(path: Path, classes: int = 4, per_class: int = 8, **replaced: Any) -> Path:
    """Writes them as .npz; arrays may be replaced, None leaves one out."""
    random = np.random.default_rng(0)
    labels = np.repeat(np.arange(classes), per_class)
    arrays: dict[str, Any] = {"text_features": np.eye(classes, 6), "classes": np.arange(classes)}
    for split in ("train", "val", "test"):
        arrays[f"{split}_features"] = np.eye(classes, 6)[labels] + 0.05 * random.standard_normal((len(labels), 6))
        arrays[f"{split}_labels"] = labels
    np.savez(path, **{name: value for name, value in (arrays | replaced).items() if value is not None})
    return path
