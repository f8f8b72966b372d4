"""Scores the queries of episodes against picture prototypes, class texts, and both.

Prototypes are the mean of a class's support, scaled to length one for cosine (SimpleShot, Wang et al. 2019) and left as
it is for Euclidean distance (Snell et al. 2017, with the squared distance).

Ties are honest: a true class that m classes tie with at the top earns the query 1/m, the chance of a fair guess.
Embeddings that have collapsed onto one point therefore score 1/N, not 0 or 1 by the order of the classes. Scores closer
than a few rounding errors of float32 count as tied.

Everything is gathered and multiplied in chunks of episodes: memory stays small, and there is no loop over episodes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch

from cross_modal.errors import CrossModalError
from cross_modal.fewshot.episodes import Episodes

if TYPE_CHECKING:
    from cross_modal.fewshot.mixture import Mixture

Metric = Literal["cosine", "euclidean"]
CHUNK_CELLS = 1 << 21  # gathered floats of one modality at a time: 8 MB, which stays near the cache
ROUNDING = 4 * float(np.finfo(np.float32).eps)


@dataclass(frozen=True)
class EpisodeResult:
    """Accuracy of each episode, as fractions; NaN where an episode has no query at all.

    Attributes:
        image: (E,) float64 with picture prototypes; None without shots.
        text: (E,) float64 with class texts; None without texts.
        both: (E,) float64 with the mixture; None without shots, texts or mixture.
    """

    image: np.ndarray | None
    text: np.ndarray | None
    both: np.ndarray | None


@dataclass(frozen=True)
class ScoredChunk:
    """Scores of the queries of consecutive episodes.

    Attributes:
        episodes: Which episodes.
        image: (e, W·Q, W) float32 scores against prototypes, or None.
        text: (e, W·Q, W) float32 scores against class texts, or None.
        truth: (W·Q,) int64 position of each query's class among the W.
        valid: (e, W·Q) bool, False where a class had no more queries.
    """

    episodes: slice
    image: torch.Tensor | None
    text: torch.Tensor | None
    truth: torch.Tensor
    valid: torch.Tensor


def check_embeddings(name: str, values: np.ndarray) -> np.ndarray:
    """Checks a table of embeddings.

    Args:
        name: What the message calls it.
        values: (N, dim), any float type.

    Returns:
        (N, dim) float32, C-contiguous.

    Raises:
        CrossModalError: Not a table of finite numbers.
    """
    values = np.asarray(values)
    if values.ndim != 2 or values.dtype.kind != "f":
        raise CrossModalError(f"{name}: expected floats (N, dim), found {values.dtype} of shape {values.shape}")
    finite = np.isfinite(values).all(1)
    if not finite.all():
        raise CrossModalError(
            f"{name}: row {int(np.flatnonzero(~finite)[0])} is not finite ({int((~finite).sum())} such rows)"
        )
    return np.ascontiguousarray(values, np.float32)


def place(values: np.ndarray, metric: Metric, mean: np.ndarray | None = None) -> np.ndarray:
    """Puts embeddings where they are compared: at length one for cosine, then around their modality's mean if given.

    Args:
        values: (N, dim) float32.
        metric: "cosine" or "euclidean".
        mean: (dim,) mean of the placed embeddings, or None. For cosine what is left is scaled to length one again.

    Returns:
        (N, dim) float32; rows of zeros stay zero.
    """
    if metric not in ("cosine", "euclidean"):
        raise CrossModalError(f'metric: expected "cosine" or "euclidean", found {metric!r}')
    if metric == "cosine":
        values = _at_length_one(values)
    if mean is not None:
        values = values - np.asarray(mean, np.float32)
        values = _at_length_one(values) if metric == "cosine" else values
    return values.astype(np.float32, copy=False)


def _at_length_one(values: np.ndarray) -> np.ndarray:
    return values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), np.float32(1e-12))


def compare(queries: torch.Tensor, references: torch.Tensor, metric: Metric) -> torch.Tensor:
    """Cosine of rows of length one, or minus the squared distance (up to a constant of the query).

    Args:
        queries: (..., Q, dim).
        references: (..., W, dim).
        metric: "cosine" or "euclidean".

    Returns:
        (..., Q, W).
    """
    products = queries @ references.transpose(-1, -2)
    if metric == "cosine":
        return products
    # ‖q − r‖² = ‖q‖² − 2 q·r + ‖r‖²; the query's own length moves no ranking and no softmax.
    return 2 * products - references.square().sum(-1).unsqueeze(-2)


def score_chunks(
    images: np.ndarray,
    texts: np.ndarray | None,
    episodes: Episodes,
    metric: Metric = "cosine",
    beside_texts: np.ndarray | None = None,
) -> Iterator[ScoredChunk]:
    """Scores all queries of the episodes, chunk by chunk.

    Args:
        images: (N, dim) float32, placed (see `place`).
        texts: (C, dim) float32, placed; row c is the text of class id c. None leaves the text scores out.
        episodes: The episodes.
        metric: "cosine" or "euclidean".
        beside_texts: (N, dim) float32: the images as they are compared with texts, where that differs (centred).

    Yields:
        Chunks of consecutive episodes.
    """
    table = torch.from_numpy(images)
    other = None if beside_texts is None else torch.from_numpy(beside_texts)
    names = None if texts is None else torch.from_numpy(texts)
    support, query = torch.from_numpy(episodes.support), torch.from_numpy(episodes.query)
    classes = torch.from_numpy(episodes.classes)
    count, ways, queries = query.shape
    truth = torch.arange(ways).repeat_interleave(queries)
    dim = images.shape[1]
    step = max(1, CHUNK_CELLS // (ways * max(queries, episodes.shots) * dim))
    for start in range(0, count, step):
        part = slice(start, min(start + step, count))
        rows = query[part].flatten(1)  # (e, W·Q)
        asked = table[rows.clamp_min(0)]
        image = text = None
        if episodes.shots:
            prototypes = table[support[part]]  # (e, W, K, dim)
            prototypes = prototypes.mean(2) if episodes.shots > 1 else prototypes[:, :, 0]
            if metric == "cosine" and episodes.shots > 1:
                prototypes = torch.nn.functional.normalize(prototypes, dim=-1)
            image = compare(asked, prototypes, metric)
        if names is not None:
            asked = asked if other is None else other[rows.clamp_min(0)]
            text = compare(asked, names[classes[part]], metric)
        yield ScoredChunk(part, image, text, truth, rows >= 0)


def credit(scores: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """What each query earns: 1 if its class is the best, 1/m if m tie at the top, 0 if another is better.

    Args:
        scores: (e, q, W).
        truth: (q,) positions of the true classes.

    Returns:
        (e, q) float64.

    >>> credit(torch.zeros(1, 1, 4), torch.tensor([2]))
    tensor([[0.2500]], dtype=torch.float64)
    """
    own = scores.gather(2, truth.expand(len(scores), -1).unsqueeze(2))  # (e, q, 1)
    slack = ROUNDING * scores.abs().amax(2, keepdim=True)
    beaten = (scores > own + slack).any(2)
    tied = (scores >= own - slack).sum(2)
    return torch.where(beaten, 0.0, 1.0 / tied.double())


def episode_accuracy(earned: torch.Tensor, valid: torch.Tensor) -> np.ndarray:
    """Mean credit of each episode's queries.

    Args:
        earned: (e, q) credits.
        valid: (e, q) bool.

    Returns:
        (e,) float64; NaN without a query.
    """
    return ((earned * valid).sum(1) / valid.sum(1)).numpy()


def score_episodes(
    images: np.ndarray,
    texts_by_class: np.ndarray | None,
    episodes: Episodes,
    mixture: Mixture | None = None,
    metric: Metric = "cosine",
) -> EpisodeResult:
    """Accuracy of every episode with pictures, with names, and with both.

    Args:
        images: (N, dim) image embeddings.
        texts_by_class: (C, dim), row c the text embedding of class id c; rows of classes outside the episodes are not
            read. None for pictures only.
        episodes: The episodes.
        mixture: How the two scores are added; None gives no result for both. Where it holds an entry for zero shots,
            names alone are scored as that entry says (centred or not).
        metric: "cosine" or "euclidean".

    Returns:
        The accuracies.

    Raises:
        CrossModalError: Embeddings are not finite, their sizes differ, a class has no text, or nothing can be scored.
    """
    images = check_embeddings("image embeddings", images)
    if episodes.query.max() >= len(images):
        raise CrossModalError(f"episodes: item {episodes.query.max()} is past the {len(images)} image embeddings")
    if texts_by_class is not None:
        texts_by_class = _used_texts(texts_by_class, episodes, images.shape[1])
    elif not episodes.shots:
        raise CrossModalError("episodes: zero-shot needs texts, found none")
    weights = zero = None
    if mixture is not None and texts_by_class is not None:
        weights = mixture.at(episodes.shots) if episodes.shots and mixture.mixes else None
        zero = mixture.by_shots.get(0)
    means = mixture.means() if mixture else (None, None)

    def passing(centre_image: bool, centre_text: bool) -> Iterator[ScoredChunk]:
        table = place(images, metric, means[0] if centre_image else None)
        if texts_by_class is None:
            return score_chunks(table, None, episodes, metric)
        beside = None if centre_image == centre_text else place(images, metric, means[0] if centre_text else None)
        names = place(texts_by_class, metric, means[1] if centre_text else None)
        return score_chunks(table, names, episodes, metric, beside)

    alone = (False, zero is not None and zero.centre_text)
    together = (weights.centre_image, weights.centre_text) if weights else alone
    found: dict[str, list[np.ndarray]] = {"image": [], "text": [], "both": []}
    for centring in dict.fromkeys((alone, together)):
        for chunk in passing(*centring):
            kinds = {"image": chunk.image, "text": chunk.text} if centring == alone else {}
            if weights and centring == together:
                kinds["both"] = weights.add(chunk.image, chunk.text)
            for kind, scores in kinds.items():
                if scores is not None:
                    found[kind].append(episode_accuracy(credit(scores, chunk.truth), chunk.valid))
    return EpisodeResult(**{kind: np.concatenate(parts) if parts else None for kind, parts in found.items()})


def _used_texts(texts_by_class: np.ndarray, episodes: Episodes, dim: int) -> np.ndarray:
    """Checks the texts of the classes that the episodes use; the others become zero rows."""
    texts = np.asarray(texts_by_class)
    used = np.unique(episodes.classes)
    if texts.ndim != 2 or texts.shape[1] != dim or used[-1] >= len(texts):
        raise CrossModalError(
            f"texts by class: expected ({used[-1] + 1} or more, {dim}) as the image embeddings, found {texts.shape}"
        )
    missing = used[~np.isfinite(texts[used]).all(1)]
    if len(missing):
        raise CrossModalError(f"texts by class: class {missing[0]} has no finite text embedding ({len(missing)} such)")
    kept = np.zeros(texts.shape, np.float32)
    kept[used] = texts[used]
    return kept
