"""The winner against the default, in pairs: both on identical test episodes, so that their difference has an interval.

Two accuracies of some episodes each carry the spread of the episodes, which differ in how hard they are. Taken from the
same episodes, that spread is common to both and falls out of the difference: Student's t-interval of the paired
differences is the narrower, the more the two agree on which episodes are hard.

An interval says how the two models at hand differ on classes like those of the test split, and no more: whether their
settings differ when trained anew takes several seeds.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from cross_modal.errors import CrossModalError
from cross_modal.fewshot.intervals import mean_and_interval

if TYPE_CHECKING:
    from cross_modal.configuration import EvaluationConfig, Experiment
    from cross_modal.data.items import Items
    from cross_modal.encoders.twin import TwinEncoder
    from cross_modal.evaluation import EvaluationItems
    from cross_modal.fewshot.episode_heads import Head
    from cross_modal.fewshot.episodes import Episodes
    from cross_modal.fewshot.mixture import Mixture
    from cross_modal.fewshot.scoring import EpisodeResult, Metric


@dataclass(frozen=True)
class Difference:
    """Two models in one setting.

    Attributes:
        best: Mean accuracy of the winner.
        default: Mean accuracy of the default.
        mean: Mean over episodes of winner less default.
        half: Half-width of its 95 % interval; NaN for one episode.
        episodes: How many episodes.
    """

    best: float
    default: float
    mean: float
    half: float
    episodes: int

    @classmethod
    def of(cls, best: np.ndarray, default: np.ndarray) -> Difference:
        """From accuracies (E,) in the same episodes; episodes without queries (NaN) are left out.

        Raises:
            CrossModalError: If they are not as many, or none has a query.

        Example:
            >>> found = Difference.of(np.array([0.9, 0.7, 0.8]), np.array([0.8, 0.6, 0.7]))
            >>> round(found.mean, 3), round(found.half, 3), found.clear
            (0.1, 0.0, True)
        """
        if best.shape != default.shape:
            raise CrossModalError(f"comparison: expected as many episodes of both, found {best.shape}, {default.shape}")
        there = np.isfinite(best) & np.isfinite(default)
        best, default = best[there], default[there]
        mean, half = mean_and_interval(best - default)
        return cls(float(best.mean()), float(default.mean()), mean, half, len(best))

    @property
    def clear(self) -> bool:
        """Whether the interval excludes zero."""
        return abs(self.mean) > self.half

    def sentence(self, setting: str) -> str:
        """In words, with accuracies in per cent."""
        half = f" ± {100 * self.half:.2f} points (95 %," if math.isfinite(self.half) else " points (no interval,"
        interval = f"{100 * self.mean:+.2f}{half} {self.episodes} paired episodes)"
        if not self.clear:
            verdict = "no clear difference"
        else:
            verdict = "the winner is better" if self.mean > 0 else "the default is better"
        return f"{setting}: winner {100 * self.best:.2f} %, default {100 * self.default:.2f} %: {interval}: {verdict}"


@dataclass(frozen=True)
class Comparison:
    """Two models in all settings.

    Attributes:
        differences: Setting → difference, e.g. "20way_1shot_text".
        notes: Settings left out and why, a sentence each.
    """

    differences: dict[str, Difference]
    notes: list[str] = field(default_factory=list)

    @property
    def metrics(self) -> dict[str, float]:
        """By name: "comparison/20way_1shot/difference" with "…/ci95", "…/best" and "…/default"."""
        found: dict[str, float] = {}
        for setting, each in self.differences.items():
            path = f"comparison/{setting}"
            found |= {f"{path}/best": each.best, f"{path}/default": each.default, f"{path}/difference": each.mean}
            if math.isfinite(each.half):
                found[f"{path}/difference/ci95"] = each.half
        return found

    def sentences(self) -> list[str]:
        """One for each setting, then the notes."""
        said = [each.sentence(setting) for setting, each in self.differences.items()]
        return [*said, *dict.fromkeys(self.notes)]


@dataclass(frozen=True)
class _Side:
    """One twin: the embeddings of the test items, and how it weighs picture and name."""

    items: EvaluationItems
    texts: np.ndarray | None
    mixture: Mixture | None
    metric: Metric

    @classmethod
    def of(cls, twin: TwinEncoder, mixture: Mixture | None, items: EvaluationItems) -> _Side:
        return cls(items, items.text_by_class(twin.metric), mixture, twin.metric)

    def score(self, episodes: Episodes, named: bool) -> EpisodeResult:
        from cross_modal.fewshot.scoring import score_episodes

        assert self.items.images is not None
        mixture = self.mixture if named else None
        return score_episodes(self.items.images, self.texts if named else None, episodes, mixture, self.metric)


def compare_twins(
    best: TwinEncoder,
    default: TwinEncoder,
    items: Items,
    experiment: Experiment,
    *,
    measured: tuple[Mixture | None, EvaluationItems] | None = None,
) -> Comparison:
    """Compares two twins on the test split: names alone, pictures, and both by each twin's own mixture.

    Args:
        best: The winner.
        default: What it is compared with.
        items: All items; mixtures are learned on validation classes.
        experiment: Data and evaluation settings.
        measured: The winner's mixture and its embeddings of the test items, where somebody has them already.

    Returns:
        The comparison; settings that the items or a twin do not allow are left out with a note.

    Raises:
        CrossModalError: If `measured` is of other items.
    """
    notes: list[str] = []
    winner = _side(best, items, experiment, notes) if measured is None else _Side.of(best, *measured)
    sides = [winner, _side(default, items, experiment, notes)]
    first = sides[0].items
    if any(side.items.images is None for side in sides):
        return Comparison({}, [*notes, "no comparison: a twin without a picture encoder has no episodes"])
    if not np.array_equal(first.image_classes, sides[1].items.image_classes):
        raise CrossModalError("comparison: expected embeddings of the same items for both twins, found others")
    texts = all(side.texts is not None for side in sides)
    mixes = texts and all(side.mixture is not None and side.mixture.mixes for side in sides)
    if texts and not mixes and any(experiment.evaluation.shots):
        notes.append("no comparison of pictures with names: not both twins have a mixture of them")
    named = np.isfinite(sides[0].texts).all(axis=1) if texts and sides[0].texts is not None else None
    differences: dict[str, Difference] = {}
    for ways, shots in itertools.product(experiment.evaluation.ways, experiment.evaluation.shots):
        for restriction, kinds in _by_classes(_kinds(shots, texts, mixes), first, named):
            try:
                episodes = first.episodes(ways, shots, experiment.evaluation, restriction)
                scored = [side.score(episodes, kinds != ["image"]) for side in sides]
                for kind in kinds:
                    setting = f"{ways}way_{shots}shot{'_text' if kind == 'both' else ''}"
                    differences[setting] = Difference.of(*(getattr(each, kind) for each in scored))
            except CrossModalError as error:  # too few classes, or no query: no reason to lose the others
                notes.append(f"no comparison: {error}")
    return Comparison(differences, notes)


def compare_heads(
    best: Head, default: Head, items: EvaluationItems, config: EvaluationConfig, metric: Metric = "cosine"
) -> Comparison:
    """Compares two few-shot heads on the same embeddings.

    Args:
        best: The winner.
        default: What it is compared with.
        items: The embeddings of the test items.
        config: Ways, shots, queries, episodes, seed.
        metric: How they are compared.

    Returns:
        The comparison; zero shots take no part.

    Raises:
        CrossModalError: If the items allow no episode.
    """
    from cross_modal_mlflow.sweep.trial_head import HeadEpisodes

    episodes = HeadEpisodes.of(items, config, metric)
    of_best, of_default = episodes.accuracies(best), episodes.accuracies(default)
    asked = {f"{ways}way_{shots}shot" for ways in config.ways for shots in config.shots if shots}
    notes = [f"no comparison in {name}: too few classes have enough items" for name in sorted(asked - set(of_best))]
    differences = {}
    for setting in of_best:
        try:
            differences[setting] = Difference.of(of_best[setting], of_default[setting])
        except CrossModalError as error:
            notes.append(f"no comparison in {setting}: {error}")
    return Comparison(differences, notes)


def _side(twin: TwinEncoder, items: Items, experiment: Experiment, notes: list[str]) -> _Side:
    from cross_modal_mlflow.measurement import embed, learn_mixture

    mixture, said = learn_mixture(twin, items.split("validation"), experiment.items, experiment.evaluation)
    notes += said
    return _Side.of(twin, mixture, embed(twin, items.split("test"), experiment.items))


def _kinds(shots: int, texts: bool, mixes: bool) -> list[str]:
    """What is compared: with pictures, with names, or with both."""
    if not shots:
        return ["text"] if texts else []
    return ["image", "both"] if mixes else ["image"]


def _by_classes(
    kinds: list[str], items: EvaluationItems, named: np.ndarray | None
) -> list[tuple[np.ndarray | None, list[str]]]:
    """Kinds by the classes that take part, as in the evaluation: all for pictures, those with a name for names."""
    present = np.unique(items.genuine_classes[items.genuine_classes >= 0])
    if not kinds or named is None or named[present].all():
        return [(None, kinds)] if kinds else []
    return [(None if kind == "image" else named, [kind]) for kind in kinds]
