"""K-shot splits that nest and that depend on nothing but (seed, class, item).

The items of a class are ranked by a hash of seed, class and item, and the first K are its support. So the 4-shot
support contains the 2-shot one, a new class changes no other class, and the order in which files are listed does not
matter. Validation is drawn the same way, min(K, 4) of each class (the protocol of CoOp, Zhou et al. 2022, and of
cross-modal adaptation, Lin et al. 2023), from the data's own validation split or from a fifth held out of train.
A split is stored as JSON with its item ids and known by its SHA-256.
"""

from __future__ import annotations

import hashlib
import heapq
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

from cross_modal.errors import CrossModalError
from cross_modal.fewshot.validation_holdout import Pool, hold_out

FORMAT = "kshot-split-v1"


def rank(seed: int, label: str, item: str) -> bytes:
    """The rank of an item within its class: SHA-256 of "split-v1|seed|label|item".

    >>> rank(1, "cat", "cat/3.png").hex()[:8]
    '04eae056'
    """
    return hashlib.sha256(f"split-v1|{seed}|{label}|{item}".encode()).digest()


@dataclass(frozen=True)
class KShotSplit:
    """The items of one K-shot experiment.

    Attributes:
        seed: What it was drawn with.
        shots: K.
        support: Class → ids of its support, best rank first.
        validation: Class → ids of its validation items.
        short: Class → number of its support items, for the classes that have fewer than K.
        dropped: Items that were left out because their group stands in test or on the other side.
    """

    seed: int
    shots: int
    support: dict[str, list[str]]
    validation: dict[str, list[str]]
    short: dict[str, int] = field(default_factory=dict)
    dropped: int = 0

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical JSON, as 64 hexadecimal digits."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()

    def to_json(self) -> str:
        """Canonical JSON: sorted keys, no blanks; the same split is the same text."""
        return json.dumps({"format": FORMAT, **asdict(self)}, sort_keys=True, separators=(",", ":"), ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> KShotSplit:
        """Reads what `to_json` wrote.

        Raises:
            CrossModalError: Not such a text.

        >>> split = kshot_split({"a": ["1", "2"], "b": ["3"]}, None, shots=1, seed=7)
        >>> KShotSplit.from_json(split.to_json()) == split
        True
        """
        try:
            content = json.loads(text)
        except json.JSONDecodeError as error:
            raise CrossModalError(f"K-shot split: expected JSON, found none ({error})") from error
        if not isinstance(content, dict) or content.pop("format", None) != FORMAT:
            raise CrossModalError(f'K-shot split: expected an object with "format": "{FORMAT}", found none')
        expected = {"seed": int, "shots": int, "support": dict, "validation": dict, "short": dict, "dropped": int}
        wrong = [name for name, kind in expected.items() if not isinstance(content.get(name), kind)]
        if wrong or content.keys() != expected.keys():
            names = ", ".join(expected)
            raise CrossModalError(f"K-shot split: expected {names}, found {', '.join(sorted(content))}")
        _check_lists(content["support"], "support")
        _check_lists(content["validation"], "validation")
        return cls(**content)


def kshot_split(
    train: Mapping[Any, Sequence[str]],
    validation: Mapping[Any, Sequence[str]] | None,
    shots: int,
    seed: int,
    max_validation: int = 4,
    allow_fewer: bool = False,
    groups: Mapping[str, str] | None = None,
    test: Collection[str] = (),
) -> KShotSplit:
    """Draws the support and the validation items of a K-shot experiment.

    Args:
        train: Class → ids of its items: content hashes or stable relative paths, not row numbers.
        validation: Class → ids of the data's own validation items; None holds a fifth of train out first.
        shots: K.
        seed: Seed of the ranks.
        max_validation: Validation has min(K, this) items of each class; 0 for none.
        allow_fewer: A class with fewer than K items gives all it has, instead of being an error.
        groups: Item id → group. Support, validation and test then never share a group: items of train and validation
            in a group of test, and validation items in a group of train, are left out and counted.
        test: Ids of the test items, which may stand nowhere else.

    Returns:
        The split; equal arguments in any order give the equal split.

    Raises:
        CrossModalError: A class with fewer than K items, or an item in two of train, validation and test.

    >>> pool = {"cat": ["c1", "c2", "c3"], "dog": ["d1", "d2", "d3", "d4"]}
    >>> two, one = (kshot_split(pool, None, shots, seed=1) for shots in (2, 1))
    >>> one.support["dog"] == two.support["dog"][:1], len(two.validation["cat"])
    (True, 1)
    >>> kshot_split(pool, {}, 4, seed=1)
    Traceback (most recent call last):
    cross_modal.errors.CrossModalError: class 'cat': expected 4 items for 4 shots, found 3 (--allow-fewer keeps it)
    """
    if shots < 1 or seed < 0 or max_validation < 0:
        raise CrossModalError(
            "K-shot split: expected shots of at least 1, a seed and max_validation of at least 0, "
            f"found {shots}, {seed} and {max_validation}"
        )
    pool, official = _pool(train), None if validation is None else _pool(validation)
    _check_apart(pool, official or {}, test)
    before = _count(pool) + _count(official or {})
    if groups is not None:
        pool, official = _without_shared_groups(pool, official, groups, test)
    dropped = before - _count(pool) - _count(official or {})
    held: Pool = {}
    if official is None:
        official = {}
        if max_validation:
            pool, held = hold_out(pool, seed, groups)
            official = held
    for label in official:
        pool.setdefault(label, [])
    short = {label: len(pool[label]) for label in sorted(pool) if len(pool[label]) < shots}
    if short and not allow_fewer:
        raise CrossModalError(_too_few(short, shots, held))
    return KShotSplit(
        seed,
        shots,
        _first(pool, shots, seed),
        _first({label: official.get(label, []) for label in pool}, min(shots, max_validation), seed),
        short,
        dropped,
    )


def _first(pool: Pool, count: int, seed: int) -> Pool:
    """The `count` items of each class with the smallest ranks."""
    return {label: heapq.nsmallest(count, pool[label], key=partial(rank, seed, label)) for label in sorted(pool)}


def _pool(given: Mapping[Any, Sequence[str]]) -> Pool:
    """Classes as text with their distinct items."""
    pool = {str(label): sorted({str(item) for item in items}) for label, items in given.items()}
    if len(pool) < len(given):
        raise CrossModalError("K-shot split: expected classes that differ as text, found two that do not")
    return pool


def _check_apart(train: Pool, validation: Pool, test: Collection[str]) -> None:
    """No item stands in two of train, validation and test, whatever its class."""
    seen: dict[str, str] = dict.fromkeys(map(str, test), "test")
    for split, pool in (("train", train), ("validation", validation)):
        for label, items in pool.items():
            for item in items:
                other = seen.setdefault(item, split)
                if other != split:
                    raise CrossModalError(
                        f"item '{item}' of class '{label}' is in {other}, expected it in {split} alone"
                    )


def _without_shared_groups(
    train: Pool, validation: Pool | None, groups: Mapping[str, str], test: Collection[str]
) -> tuple[Pool, Pool | None]:
    """Leaves out what shares a group with test, then validation items that share one with train."""

    def outside(pool: Pool, taken: set[str]) -> Pool:
        return {label: [item for item in items if groups.get(item) not in taken] for label, items in pool.items()}

    def groups_of(items: Collection[str]) -> set[str]:
        return {groups[item] for item in items if item in groups}

    tested = groups_of(test)
    train = outside(train, tested)
    if validation is None:
        return train, None
    return train, outside(validation, tested | groups_of([item for items in train.values() for item in items]))


def _too_few(short: dict[str, int], shots: int, held: Pool) -> str:
    label, count = next(iter(short.items()))
    away = f", besides {len(held[label])} held out for validation" if held.get(label) else ""
    more = f"; {len(short)} such classes" if len(short) > 1 else ""
    keeps = "keeps it" if len(short) == 1 else "keeps them"
    return (
        f"class '{label}': expected {shots} items for {shots} shots, found {count}{away}{more} (--allow-fewer {keeps})"
    )


def _check_lists(pool: dict[str, Any], name: str) -> None:
    for label, items in pool.items():
        if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
            raise CrossModalError(f"K-shot split: {name} of class '{label}': expected a list of ids")


def _count(pool: Pool) -> int:
    return sum(map(len, pool.values()))
