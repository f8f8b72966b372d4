"""The score of a pair of embeddings. It does not depend on their order, to the last bit."""

from __future__ import annotations

import numpy as np

from cross_modal.fewshot.scoring import Metric, place


def pair_scores(a: np.ndarray, b: np.ndarray, metric: Metric) -> np.ndarray:
    """Scores pairs row by row.

    Args:
        a: (M, dim) float32 embeddings.
        b: (M, dim) float32 embeddings.
        metric: "cosine" or "euclidean".

    Returns:
        (M,) float64: cosine, or minus the Euclidean distance; higher is more alike, NaN where one is missing.

    >>> pair_scores(np.array([[3.0, 0]], np.float32), np.array([[0, 4.0]], np.float32), "euclidean").tolist()
    [-5.0]
    """
    if metric == "cosine":
        return (place(a, metric) * place(b, metric)).sum(1, dtype=np.float64)
    return -np.linalg.norm((a - b).astype(np.float64), axis=1)
