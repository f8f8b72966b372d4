"""The K-shot experiment: every method, every K, every seed, and a test split that nothing can choose by.

It runs in two phases. In the first, splits are drawn and each classifier is fitted, its hyper-parameters searched and
its threshold calibrated: all from the learning side, which holds no test item. In the second the test side is revealed,
once, and everything is measured. No function that chooses has an argument through which test items could come.

Public few-shot code selects on the test split more often than not (an epoch, a pair of α and β, a grid); a number found
that way is not comparable with one found this way.
"""

from __future__ import annotations

import inspect
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from cross_modal.configuration import KShotConfig
from cross_modal.fewshot.base_to_new import accuracy, base_and_new, check_new_texts, harmonic_mean, new_accuracy
from cross_modal.fewshot.kshot_checks import (
    ZERO_SHOT,
    Methods,
    all_methods,
    as_asked,
    check_settings,
    check_sides,
    methods_taking_part,
)
from cross_modal.fewshot.kshot_pools import Pools, Shots, at_least_float32
from cross_modal.fewshot.kshot_result import KShotResult, KShotRow, protocol_line, split_digests
from cross_modal.fewshot.kshot_sides import LearningSide, TestSide
from cross_modal.fewshot.kshot_split import KShotSplit

if TYPE_CHECKING:
    from cross_modal.fewshot.classifiers.classifier import FewShotClassifier

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Chosen:
    """A classifier after the first phase: fitted, tuned, calibrated, and not yet measured."""

    method: str
    shots: int
    seed: int
    classifier: FewShotClassifier
    parameters: dict[str, Any]
    validation_accuracy: float
    seconds: float


def run_kshot(
    learning: LearningSide,
    test: TestSide,
    config: KShotConfig,
    progress: Progress | None = None,
    *,
    methods: Methods | None = None,
    splits: Sequence[KShotSplit] | None = None,
) -> KShotResult:
    """Runs the experiment.

    Args:
        learning: What selection may see.
        test: What is measured; `reveal` is called once, after the last choice.
        config: Shots, seeds, methods and the rest.
        progress: Called after each fit with fits done, fits in all, and what was fitted.
        methods: Name → class of the classifiers to choose from; None takes `cross_modal.fewshot.classifiers.METHODS`.
        splits: Published splits in place of drawn ones; their K and seeds replace those of `config`.

    Returns:
        Rows, protocol, splits and notes.

    Raises:
        CrossModalError: Settings out of range, unknown methods, test classes that nothing is known of, classes with
            fewer than K items, or an item on both sides. All of it is found before the first fit.
    """
    check_settings(config)
    notes: list[str] = []
    whole = as_asked(learning, config, notes)
    check_sides(whole, test, config)
    every = all_methods(methods)
    side, new, new_texts = whole, None, None
    if config.base_to_new:
        base, new = base_and_new(whole.labels)
        new_texts = check_new_texts(whole.class_texts(new), new)
        side = whole.among(base)
    taking_part = methods_taking_part(config, every, side, notes)
    pools = Pools(side, test, config)
    drawn = pools.draw() if splits is None else pools.published(splits)
    notes += _notes(drawn)
    selected = _select(side, pools, drawn, taking_part, config, progress, notes)
    features, labels = test.reveal()
    features = at_least_float32(features)
    if new is None or new_texts is None:
        rows = [_measure(each, features, labels) for each in selected]
    else:
        rows = [_measure_both(each, features, labels, new, new_texts, every[ZERO_SHOT]) for each in selected]
    views = 1 if whole.views is None else whole.views.shape[1]
    texts, published = whole.texts is not None, splits is not None
    line = protocol_line(whole.name, config, drawn, views, texts=texts, published=published)
    return KShotResult(rows, line, drawn, split_digests(drawn), list(dict.fromkeys(notes)))


# The first phase.


def _select(
    side: LearningSide,
    pools: Pools,
    splits: Sequence[KShotSplit],
    methods: Methods,
    config: KShotConfig,
    progress: Progress | None,
    notes: list[str],
) -> list[Chosen]:
    """Fits, searches and calibrates every classifier."""
    learners = {name: method for name, method in methods.items() if name != ZERO_SHOT}
    total = len(learners) * len(splits) + (ZERO_SHOT in methods)
    chosen: list[Chosen] = []
    if ZERO_SHOT in methods:
        # Names need no support; the split with the most validation items calibrates them.
        largest = max(splits, key=lambda split: split.shots)
        chosen.append(_zero_shot(side, pools.shots(largest), methods[ZERO_SHOT], largest.seed, config, notes))
        _tell(progress, 1, total, ZERO_SHOT)
    by_split = []
    for split in splits:
        shots = pools.shots(split)
        for name, method in learners.items():
            by_split.append(_choose(side, shots, name, method, split, config, notes))
            _tell(progress, len(by_split) + len(chosen), total, f"{name} {split.shots} shots seed {split.seed}")
    order = {name: place for place, name in enumerate(methods)}
    return chosen + sorted(by_split, key=lambda each: (order[each.method], each.shots, each.seed))


def _choose(
    side: LearningSide,
    shots: Shots,
    name: str,
    method: Any,
    split: KShotSplit,
    config: KShotConfig,
    notes: list[str],
) -> Chosen:
    """One classifier on one split."""
    from cross_modal.fewshot.search import search

    started = time.perf_counter()
    X, y = shots.support(method.views)
    X_validation, y_validation = shots.validation()
    result = search(_build(side, method, split.seed), X, y, X_validation, y_validation)
    _calibrate(result.classifier, X_validation, y_validation, config, notes)
    seconds = time.perf_counter() - started
    return Chosen(name, split.shots, split.seed, result.classifier, result.parameters, result.accuracy, seconds)


def _zero_shot(
    side: LearningSide, shots: Shots, method: Any, seed: int, config: KShotConfig, notes: list[str]
) -> Chosen:
    """Names alone: no support, and nothing to search."""
    started = time.perf_counter()
    classifier = _build(side, method, seed).fit()
    X_validation, y_validation = shots.validation()
    _calibrate(classifier, X_validation, y_validation, config, notes)
    found = (
        math.nan if X_validation is None or y_validation is None else accuracy(classifier, X_validation, y_validation)
    )
    return Chosen(ZERO_SHOT, 0, seed, classifier, {}, found, time.perf_counter() - started)


def _build(side: LearningSide, method: Any, seed: int) -> FewShotClassifier:
    """A classifier before its fit; where training is random, the split's seed is the training's too."""
    arguments: dict[str, Any] = {"metric": side.metric}
    if side.texts is not None:
        arguments |= {"texts": side.class_texts(side.labels)}
    if "random_state" in inspect.signature(method).parameters:
        arguments["random_state"] = seed
    return method(classes=side.labels, **arguments)


def _calibrate(
    classifier: FewShotClassifier,
    X_validation: np.ndarray | None,
    y_validation: np.ndarray | None,
    config: KShotConfig,
    notes: list[str],
) -> None:
    """Sets temperature and threshold, where there is something to set them by."""
    from cross_modal.fewshot.rejection import calibrate

    if X_validation is None or y_validation is None:
        notes.append("no validation items: probabilities and thresholds are not calibrated")
        return
    if len(classifier.classes_) < 2:
        return
    facts = calibrate(classifier, X_validation, y_validation, false_accept_rate=config.false_accept_rate)
    notes.extend(facts.notes)


# The second phase.


def _measure(chosen: Chosen, features: np.ndarray, labels: np.ndarray) -> KShotRow:
    """What a chosen classifier makes of the test items; nothing is chosen any more."""
    from cross_modal.fewshot.rejection import measure_rejection

    found = accuracy(chosen.classifier, features, labels)
    measures: dict[str, float] = {}
    if len(chosen.classifier.classes_) > 1 and len(features):
        measures = measure_rejection(chosen.classifier, features, labels)
    return KShotRow(
        chosen.method,
        chosen.shots,
        chosen.seed,
        found,
        chosen.parameters,
        chosen.seconds,
        chosen.validation_accuracy,
        measures,
    )


def _measure_both(
    chosen: Chosen,
    features: np.ndarray,
    labels: np.ndarray,
    new: np.ndarray,
    new_texts: np.ndarray,
    zero_shot: Any,
) -> KShotRow:
    """Base items among base classes, then new items among new ones."""
    of_new = np.isin(labels, new)
    row = _measure(chosen, features[~of_new], labels[~of_new])
    other = new_accuracy(chosen.classifier, new_texts, new, features[of_new], labels[of_new], zero_shot)
    both = {
        "base_accuracy": row.accuracy,
        "new_accuracy": other,
        "harmonic_mean": harmonic_mean(row.accuracy, other),
    }
    return replace(row, measures=row.measures | both)


# What is said about both.


def _notes(splits: Sequence[KShotSplit]) -> list[str]:
    """What the splits want said."""
    notes = []
    for shots in sorted({split.shots for split in splits if split.short}):
        short = {label: count for split in splits if split.shots == shots for label, count in split.short.items()}
        label = min(short)
        notes.append(f"{len(short)} classes have fewer than {shots} shots (class '{label}' has {short[label]})")
    dropped = max((split.dropped for split in splits), default=0)
    if dropped:
        notes.append(f"{dropped} items share a group with test or validation and take no part")
    return notes


def _tell(progress: Progress | None, done: int, total: int, what: str) -> None:
    if progress:
        progress(done, total, what)
