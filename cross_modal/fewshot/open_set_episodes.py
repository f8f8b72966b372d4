"""Open-set episodes: queries of classes with support, and queries of classes that the episode has never seen.

An episode draws N + U classes (U = N where nothing else is asked). The first N are known: they have K shots each. The
others are strangers, whose queries should be refused. Everything else is as in `cross_modal.fewshot.episodes`, so that
episode e depends on (seed, e) only.

Source: Liu et al. 2020, "Few-shot open-set recognition using meta-learning" (N known and N unknown classes).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from cross_modal.errors import CrossModalError
from cross_modal.fewshot.episodes import Episodes, sample_episodes


@dataclass(frozen=True)
class OpenSetEpisodes:
    """Episodes of known classes with queries of unknown ones.

    Attributes:
        known: The N classes with support, and their queries.
        unknown: (E, U, Q) int64 item indices of the strangers' queries; −1 where a class has no more.
    """

    known: Episodes
    unknown: np.ndarray

    def __len__(self) -> int:
        return len(self.known)

    @property
    def setting(self) -> str:
        """The setting as metric names have it, such as "5way_1shot"."""
        return f"{self.known.ways}way_{self.known.shots}shot"


def open_set_episodes(
    class_ids: np.ndarray, *, ways: int, shots: int, queries: int, unknown: int | None = None, **setting: Any
) -> OpenSetEpisodes:
    """Draws episodes of N known and U unknown classes.

    All that `sample_episodes` promises holds for all N + U classes together: look-alikes never meet, so that no
    stranger looks like a known class; support and query share no group.

    Args:
        class_ids: (items,) integers; a negative one means no class.
        ways: N, the known classes.
        shots: K of each known class, at least 1.
        queries: Q of each class, known or not.
        unknown: U, the unknown classes; None takes as many as known ones.
        **setting: The other arguments of `sample_episodes`: episodes, seed, groups, sets, prefixes, …

    Returns:
        The episodes.

    Raises:
        TooFewClasses: Fewer than N + U classes can take part.
        CrossModalError: A number is out of range, or a column's length or meaning is wrong.

    >>> ids = np.repeat(np.arange(8), 5)
    >>> drawn = open_set_episodes(ids, ways=3, shots=1, queries=2, episodes=10, seed=0)
    >>> drawn.known.query.shape, drawn.unknown.shape
    ((10, 3, 2), (10, 3, 2))
    """
    unknown = ways if unknown is None else unknown
    for name, value, least in (("ways", ways, 2), ("shots", shots, 1), ("unknown classes", unknown, 1)):
        if value < least:
            raise CrossModalError(f"open-set episodes: {name} must be at least {least}, found {value}")
    drawn = sample_episodes(class_ids, ways=ways + unknown, shots=shots, queries=queries, **setting)
    known = replace(
        drawn, classes=drawn.classes[:, :ways], support=drawn.support[:, :ways], query=drawn.query[:, :ways]
    )
    return OpenSetEpisodes(known, drawn.query[:, ways:])
