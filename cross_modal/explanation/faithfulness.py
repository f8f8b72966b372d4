"""Which of a match's explanations may be believed: each by the deletion test, side by side.

Measured on the built-in glyphs (a conv4 of 4 × 4 tokens): weights and effects of the pooling are no better than
chance at saying what the score rests on, contributions are right in nearly every picture. A trunk mixes places before
the pooling reads them, and where a drawing is simple, the pooling reads the blank beside a stroke. So the maps are
checked match by match, and shown with the answer.
"""

from __future__ import annotations

import numpy as np

from cross_modal.configuration import DataConfig
from cross_modal.encoders.twin import TwinEncoder
from cross_modal.errors import CrossModalError
from cross_modal.explanation.contributions import image_scorer, text_scorer
from cross_modal.explanation.deletion import Deletion, deletion, word_deletion
from cross_modal.explanation.match import MatchExplanation, SideExplanation
from cross_modal.explanation.side import Side, evaluating, side_pixels


def check_side(
    twin: TwinEncoder,
    side: Side,
    explanation: SideExplanation,
    other: np.ndarray,
    data: DataConfig | None = None,
    *,
    draws: int = 8,
    seed: int = 0,
) -> dict[str, Deletion]:
    """Hides what each explanation of a side points at.

    Args:
        twin: The twin; its mode is restored.
        side: The picture or text.
        explanation: What `explain_match` said of it.
        other: (dim,) float32, the other side's embedding.
        data: How pictures are decoded.
        draws: Random masks, or orders of words, of each share.
        seed: Of the draws.

    Returns:
        "weights", "effects" and "contributions" → the curves, each against chance; what there is none of is left out,
        as is all of a text with a single word.

    Raises:
        CrossModalError: The explanation is not of this side.
    """
    if side.modality != explanation.modality:
        raise CrossModalError(f"{side.name}: expected its own explanation, found one of a {explanation.modality}")
    with evaluating(twin):
        if side.modality == "image":
            pixels, scores = side_pixels(twin, side, data or DataConfig()), image_scorer(twin, other)
            maps = {
                "weights": None if explanation.attention is None else explanation.attention.mean,
                "effects": explanation.effect_map,
                "contributions": explanation.contributions,
            }
            return {
                name: deletion(pixels, values, scores, draws=draws, seed=seed)
                for name, values in maps.items()
                if values is not None
            }
        words = [word for word, _, _ in explanation.words]
        if len(words) < 2:
            return {}
        of_words = {
            "weights": np.array([weight for _, weight, _ in explanation.words]),
            "effects": np.array([effect for _, _, effect in explanation.words]),
            "contributions": explanation.contributions,
        }
        drop = text_scorer(twin, other)
        return {
            name: word_deletion(words, values, drop, draws=draws, seed=seed)
            for name, values in of_words.items()
            if values is not None
        }


def check_match(
    twin: TwinEncoder, a: Side, b: Side, match: MatchExplanation, data: DataConfig | None = None
) -> tuple[dict[str, Deletion], dict[str, Deletion]]:
    """`check_side` of both sides."""
    return (
        check_side(twin, a, match.a, match.b.embedding, data),
        check_side(twin, b, match.b, match.a.embedding, data),
    )
