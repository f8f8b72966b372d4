"""Scores of single pairs, the same to the last bit wherever the pair stands and however many are asked for.

A BLAS product rounds by the place in the block: two equal vectors may differ in the last bit, and one query alone may
score otherwise than in a batch. So products only propose candidates, within the error that they can have at most; those
are scored here, and what users see (order, ties, thresholds) hangs on these scores alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:  # that module imports torch
    from cross_modal.fewshot.scoring import Metric


_CHUNK = 4096  # pairs scored at a time: a few megabytes of float64
ROUNDING = float(np.finfo(np.float32).eps)  # numbers nearer to each other than this, relatively, may round to one


def exact_scores(a: np.ndarray, b: np.ndarray, rows_a: np.ndarray, rows_b: np.ndarray, metric: Metric) -> np.ndarray:
    """Scores of P pairs, added up in float64.

    Args:
        a: (N, D) float32.
        b: (M, D) float32.
        rows_a: (P,) rows of `a`.
        rows_b: (P,) rows of `b`.
        metric: "cosine" (vectors are of unit length) or "euclidean".

    Returns:
        (P,) float32: the dot product, or minus the distance.

    >>> points = np.array([[0.0, 0.0], [3.0, 4.0]], np.float32)
    >>> exact_scores(points, points, np.array([0, 1]), np.array([1, 1]), "euclidean").tolist()
    [-5.0, 0.0]
    """
    scores = np.empty(len(rows_a), np.float32)
    for begin in range(0, len(rows_a), _CHUNK):
        part = slice(begin, begin + _CHUNK)
        left, right = a[rows_a[part]].astype(np.float64), b[rows_b[part]]
        # a sum over the last axis adds up in the same order whatever the number of pairs; a product or einsum may not
        if metric == "cosine":
            scores[part] = np.multiply(left, right, out=left).sum(axis=1)
        else:
            np.subtract(left, right, out=left)
            scores[part] = 0.0 - np.sqrt(np.square(left, out=left).sum(axis=1))  # 0.0 −, so that none is −0
    return scores


def product_error(dim: int) -> float:
    """The most by which a float32 product of two vectors of length 1 can be off, in any order of adding up.

    Higham (2002), Accuracy and Stability of Numerical Algorithms, §3.1: γₙ = n·u / (1 − n·u), with u = 2⁻²⁴; four more
    than the size, for what is done to the product and to the exact score afterwards.

    >>> round(product_error(256) * 1e6, 1)
    15.5
    """
    terms = (dim + 4) * ROUNDING / 2
    return terms / (1 - terms)


def halved_squares(vectors: np.ndarray) -> np.ndarray:
    """Half the squared length of each vector, float32: x·y − |y|²/2 is highest where |x − y| is lowest.

    >>> halved_squares(np.array([[3.0, 4.0]], np.float32)).tolist()
    [12.5]
    """
    halves = np.empty(len(vectors), np.float32)
    for begin in range(0, len(vectors), _CHUNK):
        part = vectors[begin : begin + _CHUNK]
        halves[begin : begin + _CHUNK] = np.einsum("nd,nd->n", part, part)
    return np.multiply(halves, 0.5, out=halves)
