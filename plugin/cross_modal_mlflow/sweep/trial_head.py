"""One trial that scores a few-shot head, on the same episodes as every other trial.

Heads are compared in pairs: episode e holds the same classes, shots and queries in every trial, so that a hard episode
is hard for all, and the Wilcoxon signed-rank test of Optuna's pruner tells after few episodes that a head is worse than
the best one. What is reported are means over blocks of consecutive episodes, at most fifty a trial: the blocks are the
same in every trial too, a test of their means has nearly the power of a test of single episodes, and a report (a write
to the study's storage, a test) costs more than scoring an episode does. The step of a report is the episodes done.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import optuna

from cross_modal.errors import CrossModalError
from cross_modal.fewshot.episode_heads import Head, head_accuracies
from cross_modal.fewshot.episodes import Episodes, TooFewClasses
from cross_modal.fewshot.intervals import mean_and_interval
from cross_modal.fewshot.scoring import check_embeddings, place

if TYPE_CHECKING:
    from optuna.trial import BaseTrial

    from cross_modal.configuration import EvaluationConfig
    from cross_modal.evaluation import EvaluationItems
    from cross_modal.fewshot.scoring import Metric

LEAST_BLOCK, MOST_BLOCKS = 20, 50
#: After so many reports nobody is asked: where some of so few pairs tie, as good heads do, SciPy goes through all 2ⁿ
#: signs, which takes up to a second. Fewer are quick, and from 14 on it takes the normal approximation.
SLOW_TESTS = range(8, 14)


@dataclass(frozen=True)
class HeadEpisodes:
    """The episodes of all settings (ways × shots), and the embeddings that they are made of.

    Attributes:
        images: (N, D) float32, placed.
        texts: (C, D) float32, placed, row c the text of class id c; None where names take no part.
        settings: Name of a setting, e.g. "5way_1shot" → its episodes, as many in each.
        metric: "cosine" or "euclidean".
    """

    images: np.ndarray
    texts: np.ndarray | None
    settings: dict[str, Episodes]
    metric: Metric

    @classmethod
    def of(cls, items: EvaluationItems, config: EvaluationConfig, metric: Metric = "cosine") -> HeadEpisodes:
        """Draws the episodes: they follow from the items and the seed alone.

        Every way × shot of the settings that the items allow takes part, but for zero shots (heads learn from shots).
        Where the items allow none, there are fewer ways. Where there are names, only classes that have one take part;
        names are left out where too few have one.

        Args:
            items: The embeddings.
            config: Ways, shots, queries, episodes, seed.
            metric: How they are compared.

        Raises:
            CrossModalError: If there are no pictures, or no two classes with enough of them.
        """
        if items.images is None:
            raise CrossModalError("heads: expected items with pictures, found none")
        images, texts = place(check_embeddings("image embeddings", items.images), metric), items.text_by_class(metric)
        if texts is not None:
            try:
                named = np.asarray(np.isfinite(texts).all(axis=1))
                return cls(images, texts, _settings(items, config, named), metric)
            except TooFewClasses:
                pass
        return cls(images, None, _settings(items, config, None), metric)

    def __len__(self) -> int:
        return min(len(episodes) for episodes in self.settings.values())

    def blocks(self) -> Iterator[slice]:
        """Consecutive episodes that are scored and reported together."""
        size = max(LEAST_BLOCK, math.ceil(len(self) / MOST_BLOCKS))
        for start in range(0, len(self), size):
            yield slice(start, min(start + size, len(self)))

    def accuracies(self, head: Head, part: slice = slice(None)) -> dict[str, np.ndarray]:
        """Accuracy (n,) of a head in some of the episodes of every setting; NaN where one has no query."""
        return {
            name: head_accuracies(head, self.images, self.texts, _some(episodes, part), self.metric)
            for name, episodes in self.settings.items()
        }


@dataclass(frozen=True)
class HeadOutcome:
    """What a trial came to.

    Attributes:
        value: The mean over settings of the mean accuracy over episodes.
        metrics: "validation/episodes/5way_1shot/accuracy" and its half-width, for each setting.
    """

    value: float
    metrics: dict[str, float]


def run_head_trial(
    head: Head,
    episodes: HeadEpisodes,
    trial: BaseTrial,
    *,
    prune: bool = True,
    report: Callable[[float, int], None] | None = None,
) -> HeadOutcome:
    """Scores a head block by block.

    Args:
        head: The head.
        episodes: The episodes of the study.
        trial: The trial that hears of every block.
        prune: Whether it may be stopped.
        report: Hears of every block too: the mean accuracy, and the episodes done.

    Returns:
        The outcome.

    Raises:
        optuna.TrialPruned: If the pruner is sure that the head is worse than the best.
        CrossModalError: If no episode has a query.
    """
    found: dict[str, list[np.ndarray]] = {name: [] for name in episodes.settings}
    reports = 0
    for block in episodes.blocks():
        scored = episodes.accuracies(head, block)
        for name, accuracies in scored.items():
            found[name].append(accuracies)
        value = _mean(list(scored.values()))
        if math.isnan(value):  # for all heads alike: whether an episode has queries is the items' doing
            continue
        trial.report(value, block.stop)
        reports += 1
        if report is not None:
            report(value, block.stop)
        asks = prune and block.stop < len(episodes) and reports not in SLOW_TESTS
        if asks and trial.should_prune():
            raise optuna.TrialPruned(f"worse than the best head after {block.stop} of {len(episodes)} episodes")
    whole = {name: np.concatenate(parts) for name, parts in found.items()}
    value = _mean(list(whole.values()))
    if math.isnan(value):
        raise CrossModalError("heads: expected episodes with queries outside the supports' groups, found none")
    return HeadOutcome(value, _metrics(whole))


def episodes_spent(study: optuna.Study) -> int:
    """Episodes of each setting that the finished trials of a study were scored on, all together."""
    trials = study.get_trials(deepcopy=False)
    return sum(max(trial.intermediate_values, default=0) for trial in trials if trial.state.is_finished())


def _settings(items: EvaluationItems, config: EvaluationConfig, named: np.ndarray | None) -> dict[str, Episodes]:
    """The episodes of every setting that the items allow, or of fewer ways where they allow none.

    Raises:
        TooFewClasses: If even two ways are too many.
    """
    shots = sorted({count for count in config.shots if count > 0}) or [1]
    found: dict[str, Episodes] = {}
    for ways in config.ways:
        for count in shots:
            try:
                found[f"{ways}way_{count}shot"] = items.episodes(ways, count, config, named)
            except TooFewClasses:
                continue
    ways = min(config.ways, default=5)
    while not found:
        ways = max(2, ways // 2)
        try:
            found[f"{ways}way_{shots[0]}shot"] = items.episodes(ways, shots[0], config, named)
        except TooFewClasses:
            if ways == 2:
                raise
    return found


def _some(episodes: Episodes, part: slice) -> Episodes:
    return Episodes(
        episodes.classes[part], episodes.support[part], episodes.query[part], episodes.eligible, episodes.excluded
    )


def _mean(accuracies: list[np.ndarray]) -> float:
    """Mean over settings of the mean over episodes that have queries; NaN where none has."""
    means = [float(each[np.isfinite(each)].mean()) for each in accuracies if np.isfinite(each).any()]
    return sum(means) / len(means) if means else math.nan


def _metrics(accuracies: dict[str, np.ndarray]) -> dict[str, float]:
    metrics = {}
    for name, values in accuracies.items():
        values = values[np.isfinite(values)]
        if len(values):
            path = f"validation/episodes/{name}/accuracy"
            metrics[path], half = mean_and_interval(values)
            if math.isfinite(half):
                metrics[f"{path}/ci95"] = half
    return metrics
