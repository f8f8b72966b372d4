"""The evaluation of a twin from its embeddings: episodes, zero-shot, retrieval.

It takes arrays, not a model: what was embedded once is measured many ways, and features from elsewhere are measured by
the same code. Metric names are those of the design; a setting that the data does not allow is left out and
the reason noted, an evaluation with nothing left fails.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from cross_modal.configuration import EvaluationConfig
from cross_modal.errors import CrossModalError
from cross_modal.fewshot.episodes import Episodes, TooFewClasses, sample_episodes
from cross_modal.fewshot.intervals import mean_and_interval
from cross_modal.fewshot.mixture import Mixture
from cross_modal.fewshot.scoring import Metric, check_embeddings, place, score_episodes
from cross_modal.retrieval.ranking import rank


@dataclass(frozen=True)
class EvaluationItems:
    """What is evaluated: the embeddings of a split with what is known of their rows.

    Attributes:
        images: (N, dim) float image embeddings, or None.
        image_classes: (N,) int64 class ids; a negative one means no class.
        texts: (T, dim) float text embeddings, one a distinct text of a class, or None.
        text_classes: (T,) int64 class ids of the same numbering.
        groups: (N,) group of each image, or None.
        sets: (N,) look-alike set of each image's class, or None.
        prefixes: (N,) label prefix of each image's class, or None.
        genuine: (N,) bool, or None; False is a forgery: no query and no match, but a candidate.
    """

    images: np.ndarray | None
    image_classes: np.ndarray
    texts: np.ndarray | None = None
    text_classes: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    groups: np.ndarray | None = None
    sets: np.ndarray | None = None
    prefixes: np.ndarray | None = None
    genuine: np.ndarray | None = None

    def __post_init__(self) -> None:
        for name, rows, classes in (
            ("images", self.images, self.image_classes),
            ("texts", self.texts, self.text_classes),
        ):
            if rows is not None and len(check_embeddings(f"{name} to evaluate", rows)) != len(classes):
                raise CrossModalError(f"evaluation: {len(rows)} {name} but {len(classes)} class ids of them")
        if self.images is None and self.texts is None:
            raise CrossModalError("evaluation: expected image or text embeddings, found neither")
        if self.images is not None and self.texts is not None and self.images.shape[1] != self.texts.shape[1]:
            raise CrossModalError(
                f"evaluation: images have {self.images.shape[1]} dimensions and texts {self.texts.shape[1]}"
            )

    @property
    def genuine_classes(self) -> np.ndarray:
        """(N,) int64 class ids of the images, −1 where a row is not genuine."""
        classes = np.asarray(self.image_classes, np.int64)
        if self.genuine is None:
            return classes
        return np.where([cell is None or bool(cell) for cell in self.genuine], classes, -1)

    def text_by_class(self, metric: Metric = "cosine") -> np.ndarray | None:
        """(C, dim) float32: row c the mean of class c's texts (each at length one for cosine); NaN without a text."""
        if self.texts is None:
            return None
        highest = max(self.image_classes.max(initial=-1), self.text_classes.max(initial=-1))
        return class_texts(self.texts, self.text_classes, int(highest) + 1, metric)

    def episodes(self, ways: int, shots: int, config: EvaluationConfig, named: np.ndarray | None = None) -> Episodes:
        """Episodes over the images.

        Args:
            ways: N.
            shots: K.
            config: Queries, episodes, seed, within_prefix.
            named: (C,) bool: only classes where it is true take part. None takes all.
        """
        classes = self.genuine_classes
        if named is not None:
            classes = np.where((classes >= 0) & named[np.maximum(classes, 0)], classes, -1)
        return sample_episodes(
            classes,
            ways=ways,
            shots=shots,
            queries=config.queries,
            episodes=config.episodes,
            seed=config.seed,
            groups=self.groups,
            sets=self.sets,
            prefixes=self.prefixes,
            within_prefix=config.within_prefix,
        )


@dataclass(frozen=True)
class EvaluationResult:
    """What was measured.

    Attributes:
        metrics: Name → number; intervals under `…/ci95`.
        notes: Settings left out and classes that took no part, a sentence each.
    """

    metrics: dict[str, float]
    notes: list[str]


def class_texts(texts: np.ndarray, text_classes: np.ndarray, classes: int, metric: Metric = "cosine") -> np.ndarray:
    """The text embedding of each class: the mean over its texts, at length one for cosine.

    Args:
        texts: (T, dim).
        text_classes: (T,) class ids below `classes`; negative ones are left out.
        classes: C.
        metric: "cosine" or "euclidean".

    Returns:
        (C, dim) float32; NaN rows for classes without a text.

    >>> class_texts(np.eye(2), np.array([0, 0]), 2).round(3)
    array([[0.707, 0.707],
           [  nan,   nan]], dtype=float32)
    """
    values = place(check_embeddings("texts", texts), metric)
    usable = np.asarray(text_classes) >= 0
    rows = np.asarray(text_classes)[usable]
    sums = np.zeros((classes, values.shape[1]))
    np.add.at(sums, rows, values[usable])
    counts = np.bincount(rows, minlength=classes)[:, None]
    means = place((sums / np.maximum(counts, 1)).astype(np.float32), metric)
    return np.where(counts > 0, means, np.float32(np.nan))


def evaluate_embeddings(
    items: EvaluationItems,
    config: EvaluationConfig,
    *,
    mixture: Mixture | None = None,
    metric: Metric = "cosine",
) -> EvaluationResult:
    """Measures everything that the embeddings allow.

    Args:
        items: The embeddings and what is known of their rows.
        config: Ways, shots, queries, episodes, seed.
        mixture: Learned on validation classes; None leaves the picture-and-name settings out.
        metric: "cosine" or "euclidean".

    Returns:
        Metrics under the design's names, and notes.

    Raises:
        CrossModalError: Nothing could be measured; the line gives the first reason.
    """
    metrics: dict[str, float] = {}
    notes: list[str] = []
    if items.images is not None:
        for ways in config.ways:
            for shots in config.shots:
                _measure_episodes(items, ways, shots, config, mixture, metric, metrics, notes)
    _measure_retrieval(items, metric, metrics, notes)
    if not any(not name.endswith("queries_without_match") for name in metrics):
        raise CrossModalError(
            f"evaluation: nothing could be measured: {notes[0] if notes else 'no setting was asked for'}"
        )
    return EvaluationResult(metrics, list(dict.fromkeys(notes)))


def _measure_episodes(
    items: EvaluationItems,
    ways: int,
    shots: int,
    config: EvaluationConfig,
    mixture: Mixture | None,
    metric: Metric,
    metrics: dict[str, float],
    notes: list[str],
) -> None:
    """Adds `episodes/{N}way_{K}shot/accuracy` and `…_text/accuracy` of one setting."""
    name = f"{ways}way_{shots}shot"
    texts = items.text_by_class(metric)
    paths = {"image": f"episodes/{name}/accuracy"} if shots else {}
    if texts is None:
        if not shots:
            notes.append(f"{name}: zero-shot needs texts, found none")
    elif not shots:
        paths["text"] = f"episodes/{name}/accuracy"
    elif mixture is None or not mixture.mixes:
        notes.append(f"{name}_text: no mixture of picture and name was learned on validation classes")
    else:
        paths["both"] = f"episodes/{name}_text/accuracy"

    present = np.unique(items.genuine_classes[items.genuine_classes >= 0])
    named = None if texts is None else np.isfinite(texts).all(1)
    if named is None or named[present].all():
        # Pictures, and pictures with names, are then compared on the very same episodes.
        runs = [(paths, texts if set(paths) - {"image"} else None, None)]
    else:
        runs = [({kind: path}, None if kind == "image" else texts, None if kind == "image" else named)
                for kind, path in paths.items()]  # fmt: skip
    for part, names, restriction in runs:
        if not part:
            continue
        try:
            episodes = items.episodes(ways, shots, config, restriction)
        except TooFewClasses as error:
            notes.append(str(error))
            continue
        assert items.images is not None
        result = score_episodes(items.images, names, episodes, mixture, metric)
        for kind, path in part.items():
            _add_mean(path, getattr(result, kind), metrics)
        _note_episodes(name, episodes, notes)


def _note_episodes(name: str, episodes: Episodes, notes: list[str]) -> None:
    """Notes classes that took no part and episodes without a query."""
    if episodes.excluded:
        total = episodes.eligible + episodes.excluded
        notes.append(f"{name}: {episodes.excluded} of {total} classes have too few images and take no part")
    empty = int((episodes.query < 0).all((1, 2)).sum())
    if empty:
        notes.append(f"{name}: {empty} of {len(episodes)} episodes have no query outside the supports' groups")


def _add_mean(path: str, accuracies: np.ndarray, metrics: dict[str, float]) -> None:
    """Adds mean and interval of the episodes that have a query."""
    accuracies = accuracies[np.isfinite(accuracies)]
    if len(accuracies):
        metrics[path], half = mean_and_interval(accuracies)
        if np.isfinite(half):
            metrics[f"{path}/ci95"] = half


def _measure_retrieval(items: EvaluationItems, metric: Metric, metrics: dict[str, float], notes: list[str]) -> None:
    """Adds `retrieval/…`: image to text and back, or within the one modality that there is."""
    # An image without a class, or a forgery, asks nothing but may be a wrong answer.
    of_images, of_texts = _labels(items.genuine_classes), _labels(items.text_classes)
    sides = [
        (name, rows, labels)
        for name, rows, labels in (("image", items.images, of_images), ("text", items.texts, of_texts))
        if rows is not None
    ]
    alone = len(sides) == 1
    for queries, candidates in zip(sides, reversed(sides), strict=True):
        direction = f"{queries[0]}_to_{candidates[0]}"
        ranking = rank(*queries[1:], *candidates[1:], metric=metric, exclude_self=alone)
        metrics |= ranking.metrics(f"retrieval/{direction}")
        if ranking.without_match:
            total = ranking.without_match + len(ranking.queries)
            notes.append(f"retrieval {direction}: {ranking.without_match} of {total} queries have no match to find")


def _labels(classes: np.ndarray) -> np.ndarray:
    """Class ids as labels: None where negative."""
    labels = np.asarray(classes, np.int64).astype(object)
    labels[np.asarray(classes) < 0] = None
    return labels
