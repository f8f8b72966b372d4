"""N-way K-shot episodes: which classes meet, which items are support, which are queries.

What is promised:

- episode e depends on (seed, e) only: the first ten of a hundred episodes are the ten of ten;
- N classes without replacement; where `sets` are given, N sets are drawn and one class of each, so that two classes of
  one set (look-alikes) never meet; with `within_prefix`, all classes of an episode come from one prefix (an alphabet);
- support and query share no item and, where `groups` are given, no group in the whole episode;
- rows with genuine = False (forgeries) and negative class ids take no part.

A class takes part if it has K items and at least one more. The common rule (K + Q items) would leave out small classes
and make the task another one; here a class with fewer than Q items left gives fewer queries, padded with −1, and the
accuracy of an episode is over the queries that exist. On balanced data with enough items the two rules are the same.

Protocol: Vinyals et al. 2016, "Matching networks for one shot learning"; Snell et al. 2017, "Prototypical networks".
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from cross_modal.errors import CrossModalError
from cross_modal.fewshot.draws import Stream, uniforms, without_replacement
from cross_modal.fewshot.group_disjoint import GroupDisjointDraw


class TooFewClasses(CrossModalError):
    """The data has fewer classes that can take part than an episode needs."""


@dataclass(frozen=True)
class Episodes:
    """Episodes of one setting, as indices.

    Attributes:
        classes: (E, W) int64 class ids.
        support: (E, W, K) int64 item indices.
        query: (E, W, Q) int64 item indices; −1 where a class has no more.
        eligible: Classes that could take part.
        excluded: Classes left out: too few items, or no two groups that split.
    """

    classes: np.ndarray
    support: np.ndarray
    query: np.ndarray
    eligible: int
    excluded: int

    def __len__(self) -> int:
        return len(self.classes)

    @property
    def ways(self) -> int:
        """N, the classes of an episode."""
        return self.classes.shape[1]

    @property
    def shots(self) -> int:
        """K, the support items of a class."""
        return self.support.shape[2]


@dataclass(frozen=True)
class _Table:
    """Items grouped by class: class c owns ``items[starts[c]:starts[c + 1]]``; `ids` are the class ids."""

    ids: np.ndarray
    items: np.ndarray
    starts: np.ndarray


def sample_episodes(
    class_ids: np.ndarray,
    *,
    ways: int,
    shots: int,
    queries: int,
    episodes: int,
    seed: int,
    groups: np.ndarray | None = None,
    sets: np.ndarray | None = None,
    prefixes: np.ndarray | None = None,
    within_prefix: bool = False,
    genuine: np.ndarray | None = None,
) -> Episodes:
    """Draws episodes over items.

    Args:
        class_ids: (N,) integers; a negative one means no class.
        ways: Classes in an episode (N).
        shots: Support items of each class (K); 0 for zero-shot.
        queries: Query items of each class (Q), fewer where a class has no more.
        episodes: How many.
        seed: The seed.
        groups: (N,) hashable or None cells; None is a group of its own.
        sets: (N,) hashable or None cells: the look-alike set of each item's class.
        prefixes: (N,) hashable or None cells: the alphabet (say) of each item's class.
        within_prefix: Take all classes of an episode from one prefix.
        genuine: (N,) bool; False takes no part.

    Returns:
        The episodes.

    Raises:
        TooFewClasses: Fewer than `ways` classes can take part.
        CrossModalError: A number is out of range, or a column's length or meaning is wrong.

    >>> drawn = sample_episodes(np.repeat(np.arange(6), 4), ways=3, shots=1, queries=2, episodes=5, seed=0)
    >>> drawn.support.shape, drawn.query.shape
    ((5, 3, 1), (5, 3, 2))
    """
    class_ids = _checked_ids(class_ids, ways, shots, queries, episodes)
    columns = {"groups": groups, "sets": sets, "prefixes": prefixes, "genuine": genuine}
    for name, column in columns.items():
        if column is not None and len(column) != len(class_ids):
            raise CrossModalError(f"episodes: {name} has {len(column)} rows, expected {len(class_ids)}")
    if within_prefix and prefixes is None:
        raise CrossModalError("episodes: within_prefix needs the prefix of every label, found none")

    table = _by_class(class_ids, genuine)
    splitter = None
    if groups is not None and shots > 0:
        splitter = GroupDisjointDraw(table.items, table.starts, _factorise(groups)[table.items])
        able = splitter.eligible(shots)
    else:
        able = np.diff(table.starts) >= shots + 1
    rows = np.flatnonzero(able)
    numbers = np.arange(episodes)
    pools = _of_class(prefixes, table, "prefix")[rows] if within_prefix else np.zeros(len(rows), np.int64)
    setting = f"{ways}-way {shots}-shot with {queries} queries"
    chosen = rows[_draw_classes(pools, _of_class(sets, table, "set")[rows], ways, numbers, seed, setting)]

    if splitter is not None:
        support, query = splitter.draw(chosen, numbers, shots, queries, seed)
    else:
        support, query = _draw_items(table, chosen, shots, queries, seed)
    return Episodes(table.ids[chosen], support, query, eligible=len(rows), excluded=len(able) - len(rows))


def _checked_ids(class_ids: np.ndarray, ways: int, shots: int, queries: int, episodes: int) -> np.ndarray:
    for name, value, least in (
        ("ways", ways, 2),
        ("shots", shots, 0),
        ("queries", queries, 1),
        ("episodes", episodes, 1),
    ):
        if value < least:
            raise CrossModalError(f"episodes: {name} must be at least {least}, found {value}")
    class_ids = np.asarray(class_ids)
    if class_ids.ndim != 1 or class_ids.dtype.kind not in "iu":
        raise CrossModalError(
            f"episodes: class ids must be integers (N,), found {class_ids.dtype} of shape {class_ids.shape}"
        )
    return class_ids.astype(np.int64)


def _factorise(values: np.ndarray) -> np.ndarray:
    """(N,) int64 codes from 0; every None (or NaN) cell gets a code of its own."""
    codes, names = pd.factorize(np.asarray(values))
    missing = codes < 0
    codes = codes.astype(np.int64)
    codes[missing] = len(names) + np.arange(missing.sum())
    return codes


def _by_class(class_ids: np.ndarray, genuine: np.ndarray | None) -> _Table:
    usable = class_ids >= 0
    if genuine is not None:
        usable &= np.array([cell is None or bool(cell) for cell in genuine], bool)
    items = np.flatnonzero(usable)
    items = items[np.argsort(class_ids[items], kind="stable")]
    ids, counts = np.unique(class_ids[items], return_counts=True)
    return _Table(ids, items, np.concatenate([[0], np.cumsum(counts)]).astype(np.int64))


def _of_class(values: np.ndarray | None, table: _Table, name: str) -> np.ndarray:
    """(C,) int64 code of each class from a column of items; None: each class has its own."""
    if values is None:
        return np.arange(len(table.ids))
    column = np.asarray(values)[table.items]
    missing = pd.isna(column)
    codes = _factorise(column)
    first = codes[table.starts[:-1]]
    # A class whose items bring no value stands alone, whatever the number of its items.
    owner = np.repeat(np.arange(len(table.ids)), np.diff(table.starts))
    wrong = np.flatnonzero((codes != first[owner]) & ~(missing & missing[table.starts[:-1]][owner]))
    if len(wrong):
        culprit = table.ids[owner[wrong[0]]]
        raise CrossModalError(f"episodes: class {culprit} has items of more than one {name}, expected one a class")
    return first


def _draw_classes(
    pools: np.ndarray, sets: np.ndarray, ways: int, numbers: np.ndarray, seed: int, setting: str
) -> np.ndarray:
    """Draws a pool (prefix), then `ways` sets of it, then one class of each set.

    Args:
        pools: (C,) code of each class's pool.
        sets: (C,) code of each class's set.
        ways: Classes in an episode.
        numbers: (E,) episode numbers.
        seed: The seed.
        setting: The setting in words, for the message.

    Returns:
        (E, ways) int64 positions in the arrays given.

    Raises:
        TooFewClasses: No pool has `ways` sets.
    """
    order = np.lexsort((sets, pools))
    pools, sets = pools[order], sets[order]
    new_unit = np.ones(len(order), bool)
    new_unit[1:] = (pools[1:] != pools[:-1]) | (sets[1:] != sets[:-1])
    unit_start = np.flatnonzero(new_unit)
    unit_size = np.diff(np.append(unit_start, len(order)))
    _, pool_start, pool_size = np.unique(pools[unit_start], return_index=True, return_counts=True)
    able = np.flatnonzero(pool_size >= ways)
    if not len(able):
        several = len(pool_size) > 1
        most = int(pool_size.max(initial=0))
        raise TooFewClasses(
            f"{setting} needs {ways} classes{' of one prefix' if several else ''} that may meet and have enough items, "
            f"found {most}{' at most' if several else ''}"
        )
    pool = able[(uniforms(seed, Stream.POOL, numbers, np.zeros(1)) * len(able)).astype(np.int64)]  # (E,)
    ways_axis = np.arange(ways)
    units = without_replacement(pool_size[pool], uniforms(seed, Stream.UNIT, numbers[:, None], ways_axis))
    units += pool_start[pool][:, None]
    member = uniforms(seed, Stream.CLASS, numbers[:, None], ways_axis) * unit_size[units]
    return order[unit_start[units] + member.astype(np.int64)]


def _draw_items(
    table: _Table, chosen: np.ndarray, shots: int, queries: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Support (E, W, K) and query (E, W, Q): the first K and the next Q of each class's own shuffle."""
    episodes, ways = chosen.shape
    count = shots + queries
    counters = np.arange(ways)[:, None] * (1 << 20) + np.arange(count)  # (W, K + Q), the same for every K and Q
    draws = uniforms(seed, Stream.ITEM, np.arange(episodes)[:, None, None], counters)
    places = without_replacement(np.diff(table.starts)[chosen].ravel(), draws.reshape(-1, count))
    places = places.reshape(episodes, ways, count)
    items = np.where(places < 0, -1, table.items[np.maximum(places, 0) + table.starts[chosen][..., None]])
    return items[..., :shots], items[..., shots:]
