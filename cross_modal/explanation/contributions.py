"""What each place of a picture, and each word of a text, contributes to the score, through the whole model.

Pictures: integrated gradients on the straight way from a blank of the picture's mean colour to the picture,

    c_i = (x_i − x̄) · ∫₀¹ ∂s(x̄ + α (x − x̄)) / ∂x_i dα,

summed over the pixels of a place. The contributions of all places add up to the score less the score of the blank, so
that nothing is left out: class tokens, what the trunk mixes between places, and a pretrained embedding are in it.

Texts: a word's contribution is the score less the score of the text without it.

Sources: Sundararajan, Taly, Yan 2017, "Axiomatic attribution for deep networks", equation 1 and proposition 1;
leave-one-out as in Li, Monroe, Jurafsky 2016, "Understanding neural networks through representation erasure".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from cross_modal.encoders.embedding import normalise_pixels
from cross_modal.encoders.twin import TwinEncoder

STEPS = 16
AT_ONCE = 32  # pictures or texts in a forward pass


def contribution_map(
    twin: TwinEncoder, pixels: np.ndarray, other: np.ndarray, grid: tuple[int, int], steps: int = STEPS
) -> np.ndarray:
    """What each place of a picture contributes to its score with another item.

    Args:
        twin: The twin, in evaluation mode.
        pixels: (C, H, W) uint8, the picture as the twin sees it.
        other: (dim,) float32, the other item's embedding.
        grid: h and w of the map.
        steps: Points of the integral (midpoint rule).

    Returns:
        (h, w) float32; positive where the place raises the score.
    """
    assert twin.image is not None
    device = next(twin.parameters()).device
    picture = torch.from_numpy(np.ascontiguousarray(pixels)).to(device).float()
    change = picture - blank(picture)
    total = torch.zeros_like(picture)
    for alphas in ((torch.arange(steps, device=device) + 0.5) / steps).split(AT_ONCE):
        with torch.enable_grad():
            way = (picture - (1 - alphas).view(-1, 1, 1, 1) * change).requires_grad_()
            # a copy, since the normalisation works in place
            embedded = twin.encode_image(normalise_pixels(way.clone(), twin.image.mean, twin.image.std))
            score = _scores(twin, embedded, other).sum()
        total += torch.autograd.grad(score, way)[0].sum(0)
    values = (total / steps * change).sum(0).cpu().numpy()
    rows, columns = (np.arange(side) * cells // side for side, cells in zip(values.shape, grid, strict=True))
    found = np.zeros(grid, np.float64)
    np.add.at(found, (rows[:, None], columns[None]), values)
    return found.astype(np.float32)


def blank(picture: Tensor) -> Tensor:
    """(C, 1, 1): the picture's mean colour, as `deletion` paints it."""
    return picture.mean((1, 2), keepdim=True).round()


@torch.no_grad()
def word_contributions(twin: TwinEncoder, words: Sequence[str], other: np.ndarray) -> np.ndarray:
    """What each word of a text contributes to its score with another item.

    Args:
        twin: The twin, in evaluation mode.
        words: The text's words.
        other: (dim,) float32, the other item's embedding.

    Returns:
        (n,) float32: the score less the score without the word; nought for an only word.
    """
    if len(words) < 2:
        return np.zeros(len(words), np.float32)
    without = [" ".join([*words[:i], *words[i + 1 :]]) for i in range(len(words))]
    scores = text_scorer(twin, other)([" ".join(words), *without])
    return scores[0] - scores[1:]


def image_scorer(twin: TwinEncoder, other: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Scores pictures (n, C, H, W) uint8 with an item (dim,): a function to (n,) float32."""
    trunk = twin.image
    assert trunk is not None
    device = next(twin.parameters()).device

    @torch.no_grad()
    def score(pixels: np.ndarray) -> np.ndarray:
        parts = [
            _scores(twin, twin.encode_image(normalise_pixels(part.to(device), trunk.mean, trunk.std)), other).cpu()
            for part in torch.from_numpy(pixels).split(AT_ONCE)
        ]
        return torch.cat(parts).numpy()

    return score


def text_scorer(twin: TwinEncoder, other: np.ndarray) -> Callable[[Sequence[str]], np.ndarray]:
    """Scores texts with an item (dim,): a function from n texts to (n,) float32."""
    trunk = twin.text
    assert trunk is not None
    device = next(twin.parameters()).device

    @torch.no_grad()
    def score(texts: Sequence[str]) -> np.ndarray:
        starts = range(0, len(texts), AT_ONCE)
        tokens = [trunk.tokenize(list(texts[start : start + AT_ONCE])).to(device) for start in starts]
        return torch.cat([_scores(twin, twin.encode_text(part), other).cpu() for part in tokens]).numpy()

    return score


def _scores(twin: TwinEncoder, embedded: Tensor, other: np.ndarray) -> Tensor:
    """(n,) scores of embeddings (n, dim) with one (dim,)."""
    reference = torch.from_numpy(np.asarray(other, np.float32)).to(embedded)
    if twin.normalise:
        return embedded @ F.normalize(reference, dim=-1)
    return -torch.linalg.vector_norm(embedded - reference, dim=-1)
