"""Which token of one side answers which of the other: their similarities, and the pairs that choose each other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cross_modal.errors import CrossModalError


@dataclass(frozen=True)
class Link:
    """Two tokens, each the other's best.

    Attributes:
        a: Number of the one side's token.
        b: Number of the other side's.
        similarity: Of the two.
    """

    a: int
    b: int
    similarity: float


def token_similarity(a: np.ndarray, b: np.ndarray, normalised: bool = True) -> np.ndarray:
    """Similarities of all tokens of two sides.

    Args:
        a: (L, dim) token embeddings, real ones only.
        b: (M, dim) of the other side.
        normalised: Cosines of embeddings of length one; else minus their distances.

    Returns:
        (L, M) float32.

    Raises:
        CrossModalError: Embeddings of different sizes.
    """
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1]:
        raise CrossModalError(f"tokens: expected (L, dim) and (M, dim), found {a.shape} and {b.shape}")
    if normalised:
        return (a @ b.T).astype(np.float32)
    squares = (a * a).sum(1)[:, None] + (b * b).sum(1)[None] - 2 * (a @ b.T)
    return -np.sqrt(np.maximum(squares, 0)).astype(np.float32)


def mutual_links(similarities: np.ndarray, most: int = 8) -> list[Link]:
    """The pairs of tokens that choose each other, the most similar first.

    Args:
        similarities: (L, M).
        most: How many at most.

    >>> mutual_links(np.array([[0.9, 0.1], [0.8, 0.2]]))
    [Link(a=0, b=0, similarity=0.9)]
    """
    if not similarities.size:
        return []
    of_a, of_b = similarities.argmax(1), similarities.argmax(0)
    mutual = np.flatnonzero(of_b[of_a] == np.arange(len(of_a)))
    found = [Link(int(row), int(of_a[row]), float(similarities[row, of_a[row]])) for row in mutual]
    return sorted(found, key=lambda link: (-link.similarity, link.a))[:most]
