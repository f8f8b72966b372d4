"""Does a map point at what decides? Hide what it points at, and see whether the score falls faster than by chance.

A share of the picture is painted over with its mean colour, the places with the highest values first; beside it, the
same share drawn at random. A map that is right makes the score fall faster than chance does. The result is reported,
never assumed: a map that does not pass says so.

Source: Petsiuk, Das, Saenko 2018, "RISE: randomized input sampling for explanation of black-box models", section 3.4
(deletion metric).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from cross_modal.errors import CrossModalError

SHARES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)
Scores = Callable[[np.ndarray], np.ndarray]  # pictures (n, C, H, W) uint8 → (n,) scores


@dataclass(frozen=True)
class Deletion:
    """Two curves of the score over the share that is hidden.

    Attributes:
        shares: (S,) of the picture's places, from nought.
        pointed: (S,) scores with the highest places hidden.
        random: (S,) scores with as many places hidden at random, the mean over draws.
    """

    shares: np.ndarray
    pointed: np.ndarray
    random: np.ndarray

    @property
    def gap(self) -> float:
        """How far the score falls below chance, on average over the shares: positive where the map is right."""
        return float((self.random[1:] - self.pointed[1:]).mean())

    @property
    def faithful(self) -> bool:
        """The map beats chance."""
        return self.gap > 0


def deletion(
    pixels: np.ndarray,
    values: np.ndarray,
    scores: Scores,
    *,
    shares: tuple[float, ...] = SHARES,
    draws: int = 8,
    seed: int = 0,
) -> Deletion:
    """Hides what a map points at.

    Args:
        pixels: (C, H, W) uint8, the picture as the model takes it.
        values: (h, w) float, the map.
        scores: Scores pictures against the other item.
        shares: Shares of places to hide; the first is nought.
        draws: Random masks of each share.
        seed: Of the draws.

    Returns:
        The curves.

    Raises:
        CrossModalError: Shapes that do not fit.
    """
    if pixels.ndim != 3 or values.ndim != 2 or not values.size:
        raise CrossModalError(
            f"deletion: expected pixels (C, H, W) and a map (h, w), found {pixels.shape}, {values.shape}"
        )
    generator, places = np.random.default_rng(seed), values.size
    counts = [round(share * places) for share in shares]
    best = np.argsort(-values.reshape(-1), kind="stable")
    masks = [_first(best, count, places) for count in counts]
    masks += [_first(generator.permutation(places), count, places) for count in counts for _ in range(draws)]
    hidden = hide(pixels, np.stack(masks).reshape(-1, *values.shape))
    scored = np.asarray(scores(hidden), np.float64)
    drawn = scored[len(counts) :].reshape(len(counts), draws).mean(1)
    return Deletion(np.asarray(shares), scored[: len(counts)], drawn)


def word_deletion(
    words: Sequence[str],
    values: np.ndarray,
    scores: Callable[[list[str]], np.ndarray],
    *,
    draws: int = 8,
    seed: int = 0,
) -> Deletion:
    """Drops the words that an explanation points at, one more at each step, down to the last word.

    Args:
        words: n words of a text.
        values: (n,) float, one for each word.
        scores: Scores texts against the other item.
        draws: Random orders.
        seed: Of the draws.

    Returns:
        The curves over the share of words dropped.

    Raises:
        CrossModalError: Values that do not fit, or a single word, which cannot be dropped.
    """
    values, count = np.asarray(values), len(words)
    if count < 2 or values.shape != (count,):
        raise CrossModalError(f"deletion: expected two words or more, a value for each, found {count}, {values.shape}")
    generator = np.random.default_rng(seed)
    orders = [np.argsort(-values, kind="stable"), *(generator.permutation(count) for _ in range(draws))]
    texts = [" ".join(words[i] for i in sorted(order[step:])) for order in orders for step in range(count)]
    scored = np.asarray(scores(texts), np.float64).reshape(len(orders), count)
    return Deletion(np.arange(count) / count, scored[0], scored[1:].mean(0))


def hide(pixels: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """Paints places over with the picture's mean colour.

    Args:
        pixels: (C, H, W) uint8.
        masks: (n, h, w) bool, true where something is hidden.

    Returns:
        (n, C, H, W) uint8.
    """
    height, width = pixels.shape[1:]
    rows = np.arange(height) * masks.shape[1] // height
    columns = np.arange(width) * masks.shape[2] // width
    covered = masks[:, rows][:, :, columns]  # (n, H, W)
    mean = pixels.reshape(len(pixels), -1).mean(1).round().astype(np.uint8)[:, None, None]
    return np.where(covered[:, None], mean[None], pixels[None])


def _first(order: np.ndarray, count: int, places: int) -> np.ndarray:
    mask = np.zeros(places, bool)
    mask[order[:count]] = True
    return mask
