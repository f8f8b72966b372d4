"""Embeddings of pictures around class centres, with texts that lie elsewhere (a modality gap)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Clouds:
    """Support, validation and texts of classes 0, 1, …"""

    X: np.ndarray
    y: np.ndarray
    texts: np.ndarray
    X_validation: np.ndarray
    y_validation: np.ndarray


def clouds(
    shots: Sequence[int], dim: int, *, seed: int = 0, noise: float = 0.6, text_noise: float = 0.6, validation: int = 5
) -> Clouds:
    """Float64 clouds; class c has ``shots[c]`` support rows."""
    generator = np.random.default_rng(seed)
    centres = generator.normal(size=(len(shots), dim))
    y = np.repeat(np.arange(len(shots)), shots)
    y_validation = np.repeat(np.arange(len(shots)), validation)
    return Clouds(
        centres[y] + noise * generator.normal(size=(len(y), dim)),
        y,
        centres + text_noise * generator.normal(size=centres.shape) + generator.normal(size=dim),
        centres[y_validation] + noise * generator.normal(size=(len(y_validation), dim)),
        y_validation,
    )


def unit(rows: np.ndarray) -> np.ndarray:
    """Rows at length one."""
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)
