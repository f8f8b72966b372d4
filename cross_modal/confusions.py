"""The confusions of the hardest pairs of classes, counted over one setting of episodes.

In episodes two classes meet by chance, so a count alone says little: next to how often class a was taken for b stands
how many queries of a had b among their candidates.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from cross_modal.configuration import EvaluationConfig
from cross_modal.errors import CrossModalError
from cross_modal.evaluation import EvaluationItems
from cross_modal.fewshot.episodes import Episodes
from cross_modal.fewshot.mixture import Mixture
from cross_modal.fewshot.scoring import Metric, check_embeddings, place, score_chunks

Kind = Literal["image", "text", "both"]


@dataclass(frozen=True)
class Confusion:
    """One pair of classes.

    Attributes:
        true: The class id of the queries.
        predicted: The class id that they were given.
        count: How many.
        meetings: Queries of `true` that had `predicted` among their candidates.
    """

    true: int
    predicted: int
    count: int
    meetings: int


def confusions(
    items: EvaluationItems,
    config: EvaluationConfig,
    *,
    ways: int = 20,
    shots: int = 1,
    mixture: Mixture | None = None,
    metric: Metric = "cosine",
    top: int = 20,
) -> list[Confusion]:
    """The pairs confused most often, by picture and name where there is a mixture, by picture or name alone otherwise.

    Args:
        items: The embeddings.
        config: Queries, episodes, seed.
        ways: N.
        shots: K; 0 classifies by name.
        mixture: Learned on validation classes, or None.
        metric: "cosine" or "euclidean".
        top: How many pairs at most.

    Returns:
        The pairs, most confused first; pairs with as many confusions by their share of meetings.

    Raises:
        TooFewClasses: The data does not allow the setting.
        CrossModalError: There are no images, or no texts for zero shots.
    """
    if items.images is None:
        raise CrossModalError("confusions: expected image embeddings, found none")
    texts = items.text_by_class(metric)
    kind: Kind = "image" if shots else "text"
    if shots and mixture is not None and texts is not None:
        kind = "both"
    named = None if kind == "image" or texts is None else np.isfinite(texts).all(1)
    if kind == "image":
        texts = None
    episodes = items.episodes(ways, shots, config, named)
    predicted = predictions(items.images, texts, episodes, kind, mixture, metric)

    true = np.repeat(episodes.classes[:, :, None], episodes.query.shape[2], 2)
    wrong = (predicted >= 0) & (predicted != true)
    pairs, counts = np.unique(np.stack([true[wrong], predicted[wrong]], 1), axis=0, return_counts=True)
    # Meetings are counted for the pairs that can still make the list.
    least = np.sort(counts)[-top] if len(counts) > top else 0
    kept = np.flatnonzero(counts >= least)[: 10 * top]
    present = {int(a): (episodes.classes == a).any(1) for a in np.unique(pairs[kept])}
    asked = (episodes.query >= 0).sum(2)  # (E, W)
    found = []
    for (a, b), count in zip(pairs[kept].tolist(), counts[kept].tolist(), strict=True):
        meetings = int((asked * (episodes.classes == a) * present[b][:, None]).sum())
        found.append(Confusion(a, b, count, meetings))
    return sorted(found, key=lambda pair: (-pair.count, pair.meetings, pair.true, pair.predicted))[:top]


def predictions(
    images: np.ndarray,
    texts_by_class: np.ndarray | None,
    episodes: Episodes,
    kind: Kind,
    mixture: Mixture | None = None,
    metric: Metric = "cosine",
) -> np.ndarray:
    """The class that each query is given.

    Args:
        images: (N, dim) image embeddings.
        texts_by_class: (C, dim), or None for kind "image".
        episodes: The episodes.
        kind: Which scores decide.
        mixture: For kind "both".
        metric: "cosine" or "euclidean".

    Returns:
        (E, W, Q) int64 class ids; −1 where a class had no more queries.
    """
    if (kind != "image" and texts_by_class is None) or (kind == "both" and mixture is None):
        raise CrossModalError(
            f"predictions by {kind}: expected texts{' and a mixture' if kind == 'both' else ''}, found none"
        )
    weights = mixture.at(episodes.shots) if mixture and kind == "both" else None
    image_mean, text_mean = mixture.means() if mixture else (None, None)
    centre_image, centre_text = (weights.centre_image, weights.centre_text) if weights else (False, False)
    images = check_embeddings("image embeddings", images)
    table = place(images, metric, image_mean if centre_image else None)
    beside = place(images, metric, image_mean if centre_text else None)
    texts = None
    if texts_by_class is not None:
        texts = place(np.nan_to_num(texts_by_class), metric, text_mean if centre_text else None)
    found = []
    for chunk in score_chunks(table, texts, episodes, metric, beside):
        scores = weights.add(chunk.image, chunk.text) if weights else chunk.image if kind == "image" else chunk.text
        assert scores is not None
        position = torch.where(chunk.valid, scores.argmax(2), -1).numpy()
        classes = np.take_along_axis(episodes.classes[chunk.episodes], position.clip(0), 1)
        found.append(np.where(position < 0, -1, classes))
    return np.concatenate(found).reshape(episodes.query.shape)
