"""Why two items score as they do: where the pooling reads on both sides, what each token does, which tokens agree.

Four views of one match, none of which is the other:

- the *weights* of the pooling say what is read (`attention_map`);
- the *effects* say by how much the score falls when the head is denied a token (`token_effects`);
- the *contributions* go through the whole model, trunk and all (`contributions`): measured by deletion they alone are
  right throughout, where weights and effects often are not (`faithfulness`);
- the *similarities* say which token of the one side is like which of the other (`token_similarity`); the twin was
  trained on whole items only, so that these are a hint, not a part of the score.

Where the twin adds to a pretrained embedding, tokens make only a share of an item's embedding: `coverage` says which.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cross_modal.configuration import DataConfig
from cross_modal.encoders.token_spans import TokenSpans
from cross_modal.encoders.tokens import Tokens
from cross_modal.encoders.twin import TwinEncoder
from cross_modal.errors import CrossModalError
from cross_modal.explanation.attention_map import AttentionMap, attention_map, on_grid
from cross_modal.explanation.contributions import STEPS, contribution_map, word_contributions
from cross_modal.explanation.side import Side, coverage, evaluating, pool, side_pixels, side_tokens
from cross_modal.explanation.token_effects import token_effects
from cross_modal.explanation.token_embeddings import Modality, token_embeddings
from cross_modal.explanation.token_similarity import Link, mutual_links, token_similarity

__all__ = ["MatchExplanation", "Side", "SideExplanation", "explain_match"]

PLACES = 16  # rows and columns of the contributions to a picture's score
DIGITS = 6  # of numbers in `to_dict`


@dataclass(frozen=True)
class SideExplanation:
    """What one side brings to the score. N counts its real tokens.

    Attributes:
        modality: Picture or text.
        embedding: (dim,) float32.
        weights: (N,) float32, the pooling's weights, mean over queries and heads; they sum to one.
        query_weights: (Q, N) float32, of each query.
        effects: (N,) float32, by how much the score falls when this token alone is left out; negative: it rises.
        attention: The weights as a map; None for a text, and where the trunk's tokens are no places.
        effect_map: (h, w) float32, the effects as a map; None where there is none.
        contributions: Of a picture (h', w') float32, of a text (n,) of its n words, through the whole model; None
            where they were not asked for. Their grid may be finer than the tokens'.
        spans: The letters of each token of a text; None for a picture.
        shown: Numbers of the tokens (of N) that are places or letters: the rows of the similarities.
        inside: Share of the weights on those; the rest is on class tokens or marks.
        coverage: Share of the embedding that pooled tokens make, by length; the rest is the pretrained embedding's
            own, which no map here covers. One without a pretrained embedding.
        note: Why there is no map, where a picture has none.
    """

    modality: Modality
    embedding: np.ndarray
    weights: np.ndarray
    query_weights: np.ndarray
    effects: np.ndarray
    attention: AttentionMap | None
    effect_map: np.ndarray | None
    contributions: np.ndarray | None
    spans: TokenSpans | None
    shown: np.ndarray
    inside: float
    coverage: float
    note: str = ""

    @property
    def words(self) -> tuple[tuple[str, float, float], ...]:
        """Of a text: each word with its weight and its effect, those of its tokens summed."""
        if self.spans is None:
            return ()
        sums = ((word, list(inside)) for word, inside in self.spans.words)
        return tuple((w, float(self.weights[at].sum()), float(self.effects[at].sum())) for w, at in sums)

    def to_dict(self) -> dict[str, Any]:
        """JSON-able; without the embedding."""
        found: dict[str, Any] = {
            "modality": self.modality,
            "weights": _plain(self.weights),
            "query_weights": _plain(self.query_weights),
            "effects": _plain(self.effects),
            "shown": self.shown.tolist(),
            "inside": round(self.inside, DIGITS),
            "coverage": round(self.coverage, DIGITS),
        }
        if self.note:
            found["note"] = self.note
        if self.attention is not None and self.effect_map is not None:
            found["map"] = _plain(self.attention.mean)
            found["query_maps"] = _plain(self.attention.queries)
            found["effect_map"] = _plain(self.effect_map)
        if self.contributions is not None:
            found["contributions"] = _plain(self.contributions)
        if self.spans is not None:
            found["text"] = self.spans.text
            found["pieces"] = list(self.spans.pieces)
            found["spans"] = [list(span) for span in self.spans.spans]
            found["words"] = [
                [word, round(weight, DIGITS), round(effect, DIGITS)] for word, weight, effect in self.words
            ]
        return found


@dataclass(frozen=True)
class MatchExplanation:
    """Two items, and why they score as they do.

    Attributes:
        a: The one side.
        b: The other.
        score: As the twin compares them: cosine, or minus the Euclidean distance.
        metric: Which.
        similarities: (S_a, S_b) float32 of the tokens shown of both sides, each token embedded by itself.
        links: Pairs of tokens that choose each other, the most similar first; numbers count rows and columns of
            `similarities`.
        threshold: From which score on two items count as a match; None where nobody said.
    """

    a: SideExplanation
    b: SideExplanation
    score: float
    metric: str
    similarities: np.ndarray
    links: tuple[Link, ...]
    threshold: float | None = None

    @property
    def margin(self) -> float | None:
        """How far the score is above the threshold; None without one."""
        return None if self.threshold is None else self.score - self.threshold

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain numbers, lists and strings, for JSON."""
        return {
            "score": round(self.score, DIGITS),
            "metric": self.metric,
            "threshold": self.threshold,
            "margin": None if self.margin is None else round(self.margin, DIGITS),
            "a": self.a.to_dict(),
            "b": self.b.to_dict(),
            "similarities": _plain(self.similarities),
            "links": [[link.a, link.b, round(link.similarity, DIGITS)] for link in self.links],
        }


@torch.no_grad()
def explain_match(
    twin: TwinEncoder,
    a: Side,
    b: Side,
    data: DataConfig | None = None,
    *,
    steps: int = STEPS,
    threshold: float | None = None,
    links: int = 8,
) -> MatchExplanation:
    """Explains the score of two items, of whatever modalities.

    Args:
        twin: The twin; its mode is restored.
        a: The one item.
        b: The other.
        data: How pictures are decoded; None takes the defaults.
        steps: Points of the integral of the contributions, each a pass of the image trunk and back; 0: none.
        threshold: From which score on two items match, for the margin.
        links: Most pairs of tokens that are linked.

    Returns:
        The explanation; swapping the sides swaps it.

    Raises:
        CrossModalError: A side that the twin has no trunk for, or a picture that cannot be decoded.
    """
    data, pair = data or DataConfig(), (a, b)
    with evaluating(twin):
        tokens = [side_tokens(twin, side, data) for side in pair]
        embedded = [twin.embed_tokens(each, side.modality)[0] for each, side in zip(tokens, pair, strict=True)]
        sides = [
            replace(
                _explain_side(twin, pair[i], tokens[i], embedded[i], embedded[1 - i]),
                contributions=_contributions(twin, pair[i], embedded[1 - i], data, steps),
            )
            for i in range(2)
        ]
        alone = [
            token_embeddings(twin, tokens[i], pair[i].modality)[0][tokens[i].mask[0]].cpu().numpy()[sides[i].shown]
            for i in range(2)
        ]
        score = float(twin.score(embedded[0][None], embedded[1][None])[0, 0])
    similarities = token_similarity(alone[0], alone[1], twin.normalise)
    return MatchExplanation(
        sides[0], sides[1], score, twin.metric, similarities, tuple(mutual_links(similarities, links)), threshold
    )


def _explain_side(twin: TwinEncoder, side: Side, tokens: Tokens, own: Tensor, other: Tensor) -> SideExplanation:
    real = tokens.mask[0].cpu().numpy()
    raw, weights = pool(twin, tokens, side.modality)
    of_queries = weights[0].mean(1).float().cpu().numpy()[:, real]
    effects = token_effects(twin, tokens, side.modality, other).numpy()[real]
    attention, effect_map, spans, note = None, None, None, ""
    shown = np.arange(len(effects))
    if side.modality == "image":
        assert twin.image is not None
        prefix = twin.image.prefix_tokens
        try:
            attention = attention_map(weights[0].float().cpu().numpy(), prefix)
            effect_map = on_grid(effects, prefix)
            shown = shown[prefix or 0 :]
        except CrossModalError as error:
            note = str(error)
    else:
        assert twin.text is not None
        every = twin.text.token_spans(str(side.text))
        spans = every.of(np.flatnonzero(real).tolist())
        letters = ~np.array(spans.special, bool)
        shown = shown[letters] if letters.any() else shown
    mean = of_queries.mean(0)
    return SideExplanation(
        modality=side.modality,
        embedding=own.cpu().numpy(),
        weights=mean,
        query_weights=of_queries,
        effects=effects,
        attention=attention,
        effect_map=effect_map,
        contributions=None,
        spans=spans,
        shown=shown,
        inside=float(mean[shown].sum()),
        coverage=coverage(twin, tokens, raw),
        note=note,
    )


def _contributions(twin: TwinEncoder, side: Side, other: Tensor, data: DataConfig, steps: int) -> np.ndarray | None:
    if not steps:
        return None
    reference = other.cpu().numpy()
    if side.modality == "text":
        assert twin.text is not None
        words = [word for word, _ in twin.text.token_spans(str(side.text)).words]
        return word_contributions(twin, words, reference)
    return contribution_map(twin, side_pixels(twin, side, data), reference, (PLACES, PLACES), steps)


def _plain(values: np.ndarray) -> Any:
    return np.round(np.asarray(values, np.float64), DIGITS).tolist()
