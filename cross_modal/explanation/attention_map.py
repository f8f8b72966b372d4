"""Where the pooling looks: its weights as a map over a picture, or over the tokens of a text.

The weights are the twin's own: pooled = Σ_n a_n x_n for each query and head, with Σ_n a_n = 1. They say what is read,
not what decides; `token_effects` and `deletion` say how far the two agree. On a twin with a residual they cover what
the twin adds, not the pretrained embedding that it adds to.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cross_modal.errors import CrossModalError


@dataclass(frozen=True)
class AttentionMap:
    """Pooling weights over a picture.

    Attributes:
        mean: (h, w) float32, the mean over queries and heads; sums to `inside`.
        queries: (Q, h, w) float32, of each query (mean over its heads).
        inside: Share of the weights on places in the picture; the rest is on tokens that are no place (a class token).
    """

    mean: np.ndarray
    queries: np.ndarray
    inside: float

    @property
    def relative(self) -> np.ndarray:
        """(h, w) in [0, 1]: the mean, its largest value one."""
        return relative(self.mean)


def attention_map(weights: np.ndarray, prefix: int | None) -> AttentionMap:
    """Lays the pooling's weights on the picture.

    Args:
        weights: (Q, H, L) float, as the twin's `image_tokens` gives them for one picture.
        prefix: Leading tokens that are no place (`prefix_tokens` of the trunk); None where no token is one.

    Returns:
        The map.

    Raises:
        CrossModalError: The trunk's tokens are no places, or no square grid.

    >>> attention_map(np.full((1, 1, 5), 0.2), 1).mean.shape
    (2, 2)
    """
    queries = on_grid(np.asarray(weights, np.float32).mean(1), prefix)
    mean = queries.mean(0)
    return AttentionMap(mean, queries, float(mean.sum()))


def on_grid(values: np.ndarray, prefix: int | None) -> np.ndarray:
    """Lays one value a token on the picture, row by row.

    Args:
        values: (…, L) of all tokens of one picture.
        prefix: Leading tokens that are no place; None where no token is one.

    Returns:
        (…, h, w).

    Raises:
        CrossModalError: The trunk's tokens are no places, or no square grid.
    """
    if prefix is None:
        raise CrossModalError("map: expected a trunk whose tokens are places in the picture, found none")
    places = values[..., prefix:]
    side = round(places.shape[-1] ** 0.5)
    if side * side != places.shape[-1] or not side:
        raise CrossModalError(f"map: expected a square grid of tokens, found {places.shape[-1]} tokens")
    return places.reshape(*places.shape[:-1], side, side)


def token_weights(weights: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The pooling's weights on the real tokens of a text.

    Args:
        weights: (Q, H, L) float, as the twin's `text_tokens` gives them for one text.
        mask: (L,) bool, true at real tokens.

    Returns:
        (N,) float32 over the N real tokens; sums to one.
    """
    return np.asarray(weights, np.float32).mean((0, 1))[np.asarray(mask, bool)]


def relative(values: np.ndarray) -> np.ndarray:
    """Values scaled to [0, 1] by their largest; what is negative is nought.

    >>> relative(np.array([-1.0, 1.0, 2.0])).tolist()
    [0.0, 0.5, 1.0]
    """
    positive = np.maximum(np.asarray(values), 0)
    largest = float(positive.max(initial=0))
    return positive / largest if largest > 0 else positive
