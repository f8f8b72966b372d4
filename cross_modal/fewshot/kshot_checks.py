"""What is checked and settled before a K-shot experiment fits anything: bad input costs seconds, not an hour."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from cross_modal.configuration import KShotConfig
from cross_modal.errors import CrossModalError
from cross_modal.fewshot.kshot_sides import LearningSide, TestSide

ZERO_SHOT = "zero_shot"
Methods = Mapping[str, Any]  # name → class of a classifier


def check_settings(config: KShotConfig) -> None:
    """Raises CrossModalError where a setting is out of its range."""
    for name, values, least in (("shots", config.shots, 1), ("seeds", config.seeds, 0)):
        if not values or min(values) < least or len(set(values)) < len(values):
            raise CrossModalError(f"{name}: expected distinct numbers of at least {least}, found {values}")
    if config.max_validation < 0 or config.views < 1:
        found = f"{config.max_validation} and {config.views}"
        raise CrossModalError(f"expected max_validation of at least 0 and views of at least 1, found {found}")
    if not 0 <= config.false_accept_rate < 1:
        raise CrossModalError(f"false_accept_rate: expected a share in [0, 1), found {config.false_accept_rate}")


def check_sides(learning: LearningSide, test: TestSide, config: KShotConfig) -> None:
    """Raises CrossModalError where the sides differ in width, a test class is unknown, or views are missing."""
    if test.dim != learning.dim:
        raise CrossModalError(f"test features: expected width {learning.dim} as train, found {test.dim}")
    strange = test.classes[~np.isin(test.classes, learning.labels)]
    if len(strange):
        raise CrossModalError(
            f"test class {strange[0].item()!r}: expected a train item or a text of it, found neither "
            f"({len(strange)} such classes)"
        )
    views = 1 if learning.views is None else learning.views.shape[1]
    if config.views not in (1, views):
        raise CrossModalError(f"views: expected {config.views} views of each train item, found {views}")


def all_methods(methods: Methods | None) -> Methods:
    """The methods given, or all that there are."""
    if methods is not None:
        return methods
    from cross_modal.fewshot.classifiers import METHODS

    return METHODS


def methods_taking_part(config: KShotConfig, every: Methods, learning: LearningSide, notes: list[str]) -> Methods:
    """The methods that take part, in their own order.

    Args:
        config: Names them, or "all".
        every: Name → class.
        learning: Says which classes have texts.
        notes: Takes a sentence for each method that "all" leaves out.

    Returns:
        Name → class.

    Raises:
        CrossModalError: A name that there is not.
    """
    unknown = [name for name in config.methods if name != "all" and name not in every]
    if unknown or not config.methods:
        raise CrossModalError(f"methods: expected all, {', '.join(every)}, found {unknown[0] if unknown else 'none'}")
    if "all" not in config.methods:
        return {name: method for name, method in every.items() if name in config.methods}
    texts = learning.class_texts(learning.labels)
    if texts is not None and np.isfinite(texts).all():
        return every
    # Names alone cannot tell a class that has none; other methods go by its shots.
    idle = [name for name, method in every.items() if method.needs_texts and (texts is None or name == ZERO_SHOT)]
    lack = "there are none" if texts is None else "some classes have none"
    notes.extend(f"{name} needs class texts and is left out: {lack}" for name in idle)
    return {name: method for name, method in every.items() if name not in idle}


def as_asked(learning: LearningSide, config: KShotConfig, notes: list[str]) -> LearningSide:
    """The side without the texts and views that the settings leave out; a note says so where there were any."""
    if learning.texts is not None and not config.texts:
        notes.append("class texts are there and are not used, as asked")
        learning = replace(learning, texts=None, classes=None)
    if learning.views is not None and config.views == 1:
        notes.append(f"{learning.views.shape[1]} views of each train item are there and are not used, as asked")
        learning = replace(learning, views=None)
    return learning
