"""Closed-form few-shot heads over many episodes at once: what `classifiers` holds, without a loop over episodes.

In an episode every class has the same number of shots and, where names take part, every class has one. Nothing stands
in for anything then, and what the classifiers do becomes products of small tables. Formulae and their sources stand
with the classifiers; the scores here are theirs, up to the rounding of float32, and a test holds them together.

Everything is gathered and multiplied in chunks of episodes, as in `scoring`, and ties are shared as there.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
import torch

from cross_modal.errors import CrossModalError
from cross_modal.fewshot.classifiers import METHODS, FewShotClassifier
from cross_modal.fewshot.classifiers.prototype_mixture import TEXT_ALONE
from cross_modal.fewshot.episodes import Episodes
from cross_modal.fewshot.scoring import CHUNK_CELLS, Metric, credit, episode_accuracy

EPSILON = float(np.finfo(np.float32).eps)


@dataclass(frozen=True)
class Head:
    """A closed-form few-shot classifier and its settings.

    Attributes:
        method: "prototypes", "nearest_neighbours", "tip_adapter" or "gaussian_discriminant".
        parameters: Those that differ from the classifier's defaults.

    Raises:
        CrossModalError: If there is no such head, or it has no such parameter.

    >>> Head("tip_adapter", {"beta": 3.0}).settings
    {'alpha': 1.0, 'beta': 3.0, 'scale': 100.0}
    """

    method: str
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.method not in SCORERS:
            raise CrossModalError(f"head: expected one of {', '.join(SCORERS)}, found {self.method!r}")
        known = _defaults(self.method)
        unknown = [name for name in self.parameters if name not in known]
        if unknown:
            raise CrossModalError(f"head {self.method}: expected parameters {', '.join(known)}, found {unknown[0]!r}")

    @property
    def settings(self) -> dict[str, Any]:
        """All parameters, the classifier's defaults included."""
        return _defaults(self.method) | dict(self.parameters)

    def classifier(
        self, texts: np.ndarray | None = None, classes: np.ndarray | None = None, metric: Metric = "cosine"
    ) -> FewShotClassifier:
        """The same head as a classifier for users.

        Args:
            texts: (C, D) class texts, or None.
            classes: (C,) labels of the rows of `texts`.
            metric: "cosine" or "euclidean".
        """
        return METHODS[self.method](texts, classes, metric=metric, **self.parameters)


@dataclass(frozen=True)
class EpisodeBatch:
    """The embeddings of e episodes, placed (see `scoring.place`).

    Attributes:
        support: (e, W, K, D) float32, K at least 1.
        queries: (e, q, D) float32.
        texts: (e, W, D) float32, or None.
        metric: "cosine" or "euclidean".
    """

    support: torch.Tensor
    queries: torch.Tensor
    texts: torch.Tensor | None
    metric: Metric

    def similarities(self, rows: torch.Tensor, queries: torch.Tensor | None = None) -> torch.Tensor:
        """(e, q, n) cosine of the queries to rows (e, n, D), or minus the squared distance."""
        queries = self.queries if queries is None else queries
        products = queries @ rows.transpose(1, 2)
        if self.metric == "cosine":
            return products
        lengths = queries.square().sum(2)[:, :, None] + rows.square().sum(2)[:, None]
        return -(lengths - 2 * products).clamp_min(0)

    def placed(self, rows: torch.Tensor) -> torch.Tensor:
        """Rows (..., D) at length one for cosine."""
        return torch.nn.functional.normalize(rows, dim=-1, eps=1e-30) if self.metric == "cosine" else rows


def score_batch(head: Head, batch: EpisodeBatch) -> torch.Tensor:
    """Scores of the queries.

    Args:
        head: The head.
        batch: The episodes.

    Returns:
        (e, q, W) float32.
    """
    return SCORERS[head.method](batch, **head.settings)


def head_accuracies(
    head: Head, images: np.ndarray, texts: np.ndarray | None, episodes: Episodes, metric: Metric = "cosine"
) -> np.ndarray:
    """The accuracy of a head in every episode.

    Args:
        head: The head.
        images: (N, D) float32, placed (see `scoring.place`).
        texts: (C, D) float32, placed; row c is the text of class id c. None leaves names out.
        episodes: The episodes, with one shot or more.
        metric: "cosine" or "euclidean".

    Returns:
        (E,) float64; NaN where an episode has no query.

    Raises:
        CrossModalError: Without shots, or with a class that has no text where there are texts.
    """
    if not episodes.shots:
        raise CrossModalError(f"head {head.method}: expected episodes with one shot or more, found 0 shots")
    if texts is not None and not np.isfinite(texts[np.unique(episodes.classes)]).all():
        raise CrossModalError(f"head {head.method}: expected a text of every class of the episodes, found none of one")
    queries = episodes.query.shape[2]
    truth = torch.arange(episodes.ways).repeat_interleave(queries)
    found = []
    for batch, valid in _batches(images, texts, episodes, metric):
        found.append(episode_accuracy(credit(score_batch(head, batch), truth), valid))
    return np.concatenate(found)


def _batches(
    images: np.ndarray, texts: np.ndarray | None, episodes: Episodes, metric: Metric
) -> Iterator[tuple[EpisodeBatch, torch.Tensor]]:
    """Consecutive episodes, and (e, q) which of their queries there are."""
    table, names = torch.from_numpy(images), None if texts is None else torch.from_numpy(texts)
    support, query = torch.from_numpy(episodes.support), torch.from_numpy(episodes.query).flatten(1)
    classes = torch.from_numpy(episodes.classes)
    rows_each = max(query.shape[1], episodes.ways * episodes.shots)
    step = max(1, CHUNK_CELLS // (rows_each * images.shape[1]))
    for start in range(0, len(episodes), step):
        part = slice(start, start + step)
        asked = table[query[part].clamp_min(0)]
        named = None if names is None else names[classes[part]]
        yield EpisodeBatch(table[support[part]], asked, named, metric), query[part] >= 0


def _prototypes(batch: EpisodeBatch, *, kappa: float, centre: bool, blend: str, scale: float) -> torch.Tensor:
    """See `classifiers.prototypes` and `classifiers.prototype_mixture`."""
    means, texts = batch.support.mean(2), batch.texts
    image_mean = means.mean(1, keepdim=True) if centre else torch.zeros_like(means[:, :1])
    queries = batch.placed(batch.queries - image_mean) if centre else batch.queries
    p = batch.placed(means - image_mean)
    if texts is None:
        return scale * batch.similarities(p, queries)
    t = batch.placed(texts - texts.mean(1, keepdim=True)) if centre else texts
    weight = 1.0 if kappa >= TEXT_ALONE else kappa / (kappa + batch.support.shape[2])  # λ
    vectors = weight * t + (1 - weight) * p
    if blend == "embeddings":
        return scale * batch.similarities(batch.placed(vectors), queries)
    scores = batch.similarities(vectors, queries)
    if batch.metric == "euclidean":
        scores = scores - weight * (1 - weight) * (p - t).square().sum(2)[:, None]
    return scale * scores


def _nearest_neighbours(batch: EpisodeBatch, *, neighbours: int, scale: float) -> torch.Tensor:
    """See `classifiers.nearest_neighbours`; names have no say where every class has a shot."""
    near = _by_class(batch)
    if neighbours == 1:
        return scale * near.amax(3)
    return scale * near.topk(min(int(neighbours), near.shape[3]), dim=3, sorted=False).values.mean(3)


def _tip_adapter(batch: EpisodeBatch, *, alpha: float, beta: float, scale: float) -> torch.Tensor:
    """See `classifiers.tip_adapter`."""
    near = _by_class(batch)
    votes = torch.exp(beta * (near - 1 if batch.metric == "cosine" else near / 2)).sum(3)
    return votes if batch.texts is None else scale * batch.similarities(batch.texts) + alpha * votes


def _gaussian_discriminant(batch: EpisodeBatch, *, alpha: float, scale: float) -> torch.Tensor:
    """See `classifiers.gaussian_discriminant`; float64 inside, as there."""
    support = batch.support.double()
    means = support.mean(2)
    weights = _whitened((support - means[:, :, None]).flatten(1, 2), means, batch.texts is not None)
    bias = -np.log(means.shape[1]) - (means * weights).sum(2) / 2
    scores = batch.queries @ weights.float().transpose(1, 2) + bias.float()[:, None]
    return scores if batch.texts is None else scale * batch.similarities(batch.texts) + alpha * scores


def _whitened(within: torch.Tensor, means: torch.Tensor, named: bool) -> torch.Tensor:
    """P μ_c for every class of every episode.

    Args:
        within: (e, N, D) float64 shots less their class means.
        means: (e, W, D) float64.
        named: Whether there are texts: what has no scatter is then left to them.

    Returns:
        (e, W, D) float64.
    """
    count, dim = within.shape[1:]
    without = means * (0.0 if named else dim)
    trace = within.square().sum((1, 2))
    flat = trace <= count * EPSILON**2 * means.square().sum(2).amax(1)  # rounding is no scatter
    if flat.all():
        return without
    ridge = torch.where(flat, 1.0, trace / (count - 1))[:, None, None]
    if count < dim:  # Woodbury: a system of N equations instead of D
        system = within @ within.transpose(1, 2) + ridge * torch.eye(count, dtype=torch.float64)
        solved = torch.cholesky_solve(within @ means.transpose(1, 2), torch.linalg.cholesky(system))
        found = dim / ridge * (means - solved.transpose(1, 2) @ within)
    else:
        system = within.transpose(1, 2) @ within + ridge * torch.eye(dim, dtype=torch.float64)
        found = dim * torch.cholesky_solve(means.transpose(1, 2), torch.linalg.cholesky(system)).transpose(1, 2)
    return torch.where(flat[:, None, None], without, found)


def _by_class(batch: EpisodeBatch) -> torch.Tensor:
    """(e, q, W, K) similarities of the queries to each class's shots."""
    return batch.similarities(batch.support.flatten(1, 2)).unflatten(2, batch.support.shape[1:3])


@cache
def _defaults(method: str) -> dict[str, Any]:
    """The parameters of the classifier by that name with their defaults, but for what the episodes decide."""
    parameters = inspect.signature(METHODS[method]).parameters
    return {name: each.default for name, each in parameters.items() if name not in ("texts", "classes", "metric")}


SCORERS: Mapping[str, Callable[..., torch.Tensor]] = {
    "prototypes": _prototypes,
    "nearest_neighbours": _nearest_neighbours,
    "tip_adapter": _tip_adapter,
    "gaussian_discriminant": _gaussian_discriminant,
}
