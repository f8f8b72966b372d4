"""Open set: how well prototypes tell queries of known classes from strangers, measured over episodes.

The confidence of a query is its best score against the N prototypes of its episode, v(x) = max_c s(x, c); for Euclidean
distance that is minus the squared distance to the nearest one, the query's own length included, since confidences are
compared between queries.

Three numbers an episode, each with its mean and interval over episodes:

- AUROC: the probability that a known query has a higher confidence than a stranger (ties count half);
- FPR at 95 % TPR: the share of strangers accepted where at least 95 % of the known queries are;
- accuracy at a false-accept rate: the share of *all* known queries that are accepted and rightly named. A known query
  that is refused is an error and stays in the denominator. The threshold comes from episodes over validation classes
  (`open_set_threshold`) and is never moved on the measured ones, so the share of strangers that it lets in there is
  reported beside the accuracy: it may differ from the rate that was asked for.

Sources: Scheirer et al. 2013, "Toward open set recognition"; Liu et al. 2020, "Few-shot open-set recognition using
meta-learning" (N known and N unknown classes, AUROC); Phillips et al. 2011 (identification at a false-accept rate).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.stats import rankdata

from cross_modal.errors import CrossModalError
from cross_modal.fewshot.episodes import Episodes, TooFewClasses
from cross_modal.fewshot.intervals import mean_and_interval
from cross_modal.fewshot.open_set_episodes import OpenSetEpisodes, open_set_episodes
from cross_modal.fewshot.rejection import accepted, resolution_note, threshold_at
from cross_modal.fewshot.scoring import Metric, check_embeddings, credit, episode_accuracy, place, score_chunks

STEP = 2.0**-20  # of a squared length: confidences closer than that are equal but for rounding in float32


@dataclass(frozen=True)
class OpenSetThreshold:
    """A threshold with the setting that it belongs to: confidences of other settings stand at another level.

    Attributes:
        value: h: a query is accepted where v ≥ h.
        ways: N of the validation episodes.
        shots: K of the validation episodes.
        metric: Metric of the confidences.
        false_accept_rate: The rate that was asked for.
        impostors: Distinct validation items among the strangers.
        notes: What limits the threshold, a sentence each.
    """

    value: float
    ways: int
    shots: int
    metric: Metric
    false_accept_rate: float
    impostors: int
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class OpenSetResult:
    """What was measured, (E,) float64 each; NaN where an episode has no known query or no stranger.

    Attributes:
        setting: The setting as metric names have it.
        auroc: Area under the ROC curve of known against unknown.
        fpr_at_95_tpr: Share of strangers accepted where 95 % of the known queries are.
        accuracy_at_far: Share of known queries accepted and rightly named; None without a threshold.
        false_accept_rate: Share of strangers accepted at the threshold; None without one.
    """

    setting: str
    auroc: np.ndarray
    fpr_at_95_tpr: np.ndarray
    accuracy_at_far: np.ndarray | None = None
    false_accept_rate: np.ndarray | None = None

    def metrics(self) -> dict[str, float]:
        """Means over episodes as `open_set/{N}way_{K}shot/…`, half-widths of their intervals under `…/ci95`."""
        found: dict[str, float] = {}
        for name in ("auroc", "fpr_at_95_tpr", "accuracy_at_far", "false_accept_rate"):
            values = getattr(self, name)
            if values is None or not np.isfinite(values).any():
                continue
            path = f"open_set/{self.setting}/{name}"
            found[path], half = mean_and_interval(values[np.isfinite(values)])
            if np.isfinite(half):
                found[f"{path}/ci95"] = half
        return found


def open_set_threshold(
    validation_images: np.ndarray,
    validation_class_ids: np.ndarray,
    *,
    ways: int,
    shots: int,
    queries: int,
    episodes: int,
    seed: int,
    false_accept_rate: float = 0.05,
    metric: Metric = "cosine",
    **columns: Any,
) -> OpenSetThreshold:
    """Settles the threshold on episodes over validation classes, so that strangers pass as rarely as asked.

    Validation often has few classes. Where 2N of them cannot meet, the N known ones stay (the confidence is a maximum
    over N) and fewer strangers meet them, down to one an episode.

    Args:
        validation_images: (n, dim) embeddings of validation items, whose classes are not among the measured ones.
        validation_class_ids: (n,) integers.
        ways: N.
        shots: K.
        queries: Q.
        episodes: Validation episodes.
        seed: Their seed.
        false_accept_rate: The share of strangers that may pass, in [0, 1).
        metric: "cosine" or "euclidean".
        **columns: groups, sets, prefixes, within_prefix, genuine of the validation items, as in `sample_episodes`.

    Returns:
        The threshold with its setting.

    Raises:
        TooFewClasses: Fewer than N + 1 validation classes can take part.
        CrossModalError: Embeddings are not finite, or a number is out of range.
    """
    drawn = _with_fewer_strangers(
        validation_class_ids, ways, shots=shots, queries=queries, episodes=episodes, seed=seed, **columns
    )
    chunks = _confidences(validation_images, drawn, metric)
    strange = np.concatenate([chunk.strange[chunk.asked] for chunk in chunks])
    if not len(strange):
        raise CrossModalError(f"open-set threshold: no stranger has a query in the {drawn.setting} validation episodes")
    impostors = len(np.unique(drawn.unknown[drawn.unknown >= 0]))
    value = threshold_at(strange, false_accept_rate)
    notes = _notes(drawn, impostors, false_accept_rate)
    return OpenSetThreshold(value, ways, shots, metric, false_accept_rate, impostors, notes)


def measure_open_set(
    images: np.ndarray,
    episodes: OpenSetEpisodes,
    threshold: OpenSetThreshold | None = None,
    metric: Metric = "cosine",
) -> OpenSetResult:
    """Measures how well known and unknown are told apart, and how well the known are named at the threshold.

    Args:
        images: (n, dim) embeddings that the episodes index.
        episodes: The episodes.
        threshold: From validation classes, for the same setting and metric; None leaves the accuracy out.
        metric: "cosine" or "euclidean".

    Returns:
        The measures of every episode.

    Raises:
        CrossModalError: Embeddings are not finite, episodes reach past them, or the threshold is for another setting.
    """
    if threshold is not None:
        expected, found = (
            (episodes.known.ways, episodes.known.shots, metric),
            (threshold.ways, threshold.shots, threshold.metric),
        )
        if found != expected:
            raise CrossModalError(
                f"open-set threshold: expected one for (ways, shots, metric) {expected}, found {found}"
            )
    parts: dict[str, list[np.ndarray]] = {}
    for chunk in _confidences(images, episodes, metric):
        measures = {"auroc": _auroc(chunk), "fpr_at_95_tpr": _fpr_at_tpr(chunk, 0.95)}
        if threshold is not None:
            kept = torch.from_numpy(accepted(chunk.genuine, threshold.value))
            measures["accuracy_at_far"] = episode_accuracy(chunk.earned * kept, torch.from_numpy(chunk.valid))
            let_in = torch.from_numpy(accepted(chunk.strange, threshold.value).astype(np.float64))
            measures["false_accept_rate"] = episode_accuracy(let_in, torch.from_numpy(chunk.asked))
        for name, values in measures.items():
            parts.setdefault(name, []).append(values)
    return OpenSetResult(episodes.setting, **{name: np.concatenate(values) for name, values in parts.items()})


@dataclass(frozen=True)
class _Confidences:
    """Confidences of consecutive episodes.

    Attributes:
        genuine: (e, N·Q) float32 of known queries.
        earned: (e, N·Q) float64 credit of each for its class.
        valid: (e, N·Q) bool, False where a class had no more queries.
        strange: (e, U·Q) float32 of strangers.
        asked: (e, U·Q) bool, False where a class had no more queries.
    """

    genuine: np.ndarray
    earned: torch.Tensor
    valid: np.ndarray
    strange: np.ndarray
    asked: np.ndarray


def _confidences(images: np.ndarray, episodes: OpenSetEpisodes, metric: Metric) -> Iterator[_Confidences]:
    """Scores known queries and strangers against the known classes' prototypes, chunk by chunk."""
    images = place(check_embeddings("image embeddings", images), metric)
    queries = np.concatenate([episodes.known.query, episodes.unknown], axis=1)  # (E, N + U, Q)
    last = max(queries.max(), episodes.known.support.max())
    if last >= len(images):
        raise CrossModalError(f"open-set episodes: item {last} is past the {len(images)} image embeddings")
    known = episodes.known
    everyone = Episodes(known.classes, known.support, queries, known.eligible, known.excluded)
    lengths = np.square(images).sum(axis=1) if metric == "euclidean" else None
    # Scores equal but for rounding are one: collapsed embeddings must not be told apart by the order of additions.
    step = STEP * (1.0 if lengths is None else max(float(np.median(lengths)), float(np.finfo(np.float32).tiny)))
    own = known.ways * queries.shape[2]
    for chunk in score_chunks(images, None, everyone, metric):
        assert chunk.image is not None
        best = chunk.image.amax(2).numpy()
        if lengths is not None:
            best = best - lengths[queries[chunk.episodes].reshape(best.shape)]
        best = np.rint(best / step) * step
        earned = credit(chunk.image[:, :own], chunk.truth[:own])
        valid = chunk.valid.numpy()
        yield _Confidences(best[:, :own], earned, valid[:, :own], best[:, own:], valid[:, own:])


def _auroc(chunk: _Confidences) -> np.ndarray:
    """(e,) area under the ROC curve from the ranks of the known (Mann–Whitney, ties at their mean rank)."""
    valid = np.concatenate([chunk.valid, chunk.asked], axis=1)
    # Missing queries rank above all that exist, and so move no rank of theirs.
    values = np.where(valid, np.concatenate([chunk.genuine, chunk.strange], axis=1), np.inf)
    ranks = rankdata(values, axis=1)[:, : chunk.valid.shape[1]]
    known, strangers = chunk.valid.sum(axis=1), chunk.asked.sum(axis=1)
    wins = (ranks * chunk.valid).sum(axis=1) - known * (known + 1) / 2
    return np.where((known > 0) & (strangers > 0), wins / np.maximum(known * strangers, 1), np.nan)


def _fpr_at_tpr(chunk: _Confidences, rate: float) -> np.ndarray:
    """(e,) share of strangers at or above the highest threshold that accepts at least `rate` of the known."""
    known, strangers = chunk.valid.sum(axis=1), chunk.asked.sum(axis=1)
    rising = np.sort(np.where(chunk.valid, chunk.genuine, np.inf), axis=1)  # missing ones last
    needed = np.ceil(known * rate - 1e-9).astype(np.int64)
    threshold = np.take_along_axis(rising, (known - needed)[:, None], axis=1)
    passed = ((chunk.strange >= threshold) & chunk.asked).sum(axis=1)
    return np.where((known > 0) & (strangers > 0), passed / np.maximum(strangers, 1), np.nan)


def _with_fewer_strangers(class_ids: np.ndarray, ways: int, **setting: Any) -> OpenSetEpisodes:
    """Episodes with N strangers, or with half as many until the classes suffice."""
    unknown = ways
    while True:
        try:
            return open_set_episodes(class_ids, ways=ways, unknown=unknown, **setting)
        except TooFewClasses:
            if unknown == 1:
                raise
            unknown //= 2


def _notes(episodes: OpenSetEpisodes, impostors: int, false_accept_rate: float) -> tuple[str, ...]:
    """What limits a threshold; episodes that repeat the same few strangers make them no more."""
    notes = []
    strangers, ways = episodes.unknown.shape[1], episodes.known.ways
    if strangers < ways:
        notes.append(
            f"{episodes.setting}: too few validation classes for {ways} strangers, the threshold is from {strangers}"
        )
    if resolution_note(impostors, false_accept_rate):
        notes.append(
            f"{episodes.setting}: {impostors} distinct validation items cannot resolve a false-accept rate of "
            f"{false_accept_rate:g}"
        )
    return tuple(notes)
