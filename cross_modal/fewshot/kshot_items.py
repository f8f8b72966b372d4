"""From a table of items to the three pools of a K-shot experiment: support, validation, test.

Where the measured split has the classes of the training split (most photo benchmarks), the pools are the data's own
splits. Where it has classes of its own (a twin measured on unseen classes), each of them is divided: 30 % test, 20 %
validation, the rest support, by the rank of a salted hash of the picture's content. So the division depends on no seed,
no order and, but for common groups, no other class: the test pictures are the same for every K and every seed.

Three things never happen: a picture in two pools, a group (drawer, session) in two pools, two look-alike classes side
by side. Whatever is left out for it is counted and said.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from cross_modal.configuration import DataConfig
from cross_modal.data.components import connected_components
from cross_modal.data.items import SPLIT_NAMES, Items, column, content_hashes
from cross_modal.data.sources import check_pictures, read_unsplit
from cross_modal.data.splits import assign_splits, split_name
from cross_modal.errors import CrossModalError

TEST_SHARE, VALIDATION_SHARE = 0.3, 0.2
_SALT = "kshot-pool-v1"  # another salt than the supports' own ranks: who is tested says nothing of who is drawn
_SUPPORT, _VALIDATION, _TEST, _NONE = 0, 1, 2, -1


@dataclass(frozen=True)
class KShotItems:
    """The pools of a K-shot experiment, as rows of a table of items.

    Attributes:
        items: The table.
        support: (S,) int64 rows that supports are drawn from.
        validation: (V,) int64 rows for selection; empty where the data has none to give.
        test: (Q,) int64 rows that are measured, once.
        texts: (T,) int64 rows, one a distinct text of a class. No text that belongs to a test picture, or to a picture
            of the data's own validation, is among them; where validation is held out of the support later, it is.
        manner: "own splits" (the classes of the measured split are those of train) or "divided classes".
        notes: What was left out and why, a sentence each.
    """

    items: Items
    support: np.ndarray
    validation: np.ndarray
    test: np.ndarray
    texts: np.ndarray
    manner: Literal["own splits", "divided classes"]
    notes: list[str]

    @property
    def classes(self) -> list[str]:
        """The labels that take part, sorted."""
        return sorted(set(self.items.keys[self.support].tolist()))


def read_kshot_items(source: str, config: DataConfig) -> Items:
    """Reads a source for the K-shot protocol: here a class may stand in train and in test.

    Args:
        source: As for `cross_modal.data.sources.read_items`.
        config: How it becomes items and splits.

    Returns:
        The items. Splits that the data brings are kept where classes straddle them; else they are class-disjoint (or
        group-disjoint), as for training.

    Raises:
        CrossModalError: One line that names the source, what was expected and what was found.
    """
    items = check_pictures(read_unsplit(source, config), config)
    if not len(items):
        raise CrossModalError(f"{source}: expected items, found none")
    if items.splits is None or items.labels is None or config.split_by != "label":
        return assign_splits(items, config)
    names = [split_name(str(written)) for written in items.splits]
    if None in names:
        return assign_splits(items, config)  # which says what is wrong
    brought = replace(items, splits=column(names))
    of_split = [set(brought.split(name).keys.tolist()) for name in SPLIT_NAMES]
    straddles = sum(map(len, of_split)) > len(set().union(*of_split))
    return brought if straddles else assign_splits(items, config)


def kshot_items(items: Items, split: str = "test") -> KShotItems:
    """Divides items into the pools of a K-shot experiment.

    Args:
        items: Items with labels, pictures and splits.
        split: What is measured: "train", "validation", "test" or "all".

    Returns:
        The pools. Forgeries take no part; of byte-equal pictures of a class one counts.

    Raises:
        CrossModalError: Without labels, or where fewer than two classes are left with a support and a test picture.
    """
    if items.labels is None:
        raise CrossModalError(f"{items.source}: expected labels for the K-shot protocol, found none")
    splits = np.full(len(items), "all", object) if items.splits is None or split == "all" else items.splits
    if split not in (*SPLIT_NAMES, "all"):
        raise CrossModalError(f"split: expected one of {', '.join(SPLIT_NAMES)}, all, found '{split}'")
    genuine = _genuine(items)
    rows = _distinct_pictures(items, np.flatnonzero(items.has_image & genuine), splits)
    if not (splits[rows] == split).any():
        raise CrossModalError(f"{items.source}: expected labelled pictures in the split {split}, found none")
    notes: list[str] = []
    rows = _one_of_each_set(items, rows, splits, split, notes)
    own = split not in ("train", "all") and _shares_classes(items.keys[rows], splits[rows], split)
    pools = _own_pools(splits[rows], split) if own else np.full(len(rows), _NONE)
    if not own:
        inside = np.flatnonzero(splits[rows] == split)
        pools[inside] = _divide(items, rows[inside])
    _no_group_in_two(items, rows, pools, notes)
    _no_picture_in_two(items.image_ids[rows], pools, notes)
    _whole_classes(items, rows, pools, notes)
    support, validation, test = (rows[pools == pool] for pool in (_SUPPORT, _VALIDATION, _TEST))
    if len(set(items.keys[support].tolist())) < 2:
        why = f" ({notes[0]})" if notes else ""
        raise CrossModalError(
            f"{items.source}: expected at least 2 classes with pictures for support and test, found fewer{why}"
        )
    learning = genuine & (splits == ("train" if own else split))
    texts = _texts(items, np.flatnonzero(learning & items.has_text), support)
    manner: Literal["own splits", "divided classes"] = "own splits" if own else "divided classes"
    return KShotItems(items, support, validation, test, texts, manner, notes)


def item_ids(items: Items, rows: np.ndarray) -> np.ndarray:
    """(N,) object: each picture's id in split files, 32 hex digits of its content's SHA-256; paths play no part."""
    return column(digest.hex()[:32] for digest in content_hashes(items.images[rows]))


def _genuine(items: Items) -> np.ndarray:
    return np.ones(len(items), bool) if items.genuine is None else np.asarray(items.genuine, bool)


def _rank(*names: object) -> bytes:
    return hashlib.sha256("|".join(map(str, (_SALT, *names))).encode()).digest()


def _distinct_pictures(items: Items, rows: np.ndarray, splits: np.ndarray) -> np.ndarray:
    """The first row of each distinct picture of a class in a split; where it stands in two, a later step decides."""
    number = {name: index for index, name in enumerate(sorted(set(splits[rows].tolist())))}
    of_split = np.array([number[name] for name in splits[rows]], np.int64)
    keys = np.stack([items.class_ids[rows], items.image_ids[rows], of_split], 1)
    return rows[np.sort(np.unique(keys, axis=0, return_index=True)[1])]


def _one_of_each_set(items: Items, rows: np.ndarray, splits: np.ndarray, split: str, notes: list[str]) -> np.ndarray:
    """Of classes that look alike the first by hash takes part: no shot could tell them apart."""
    if items.sets is None:
        return rows
    measured = set(items.keys[rows[splits[rows] == split]].tolist())
    members: dict[str, set[str]] = {}
    for label, name in zip(items.keys[rows].tolist(), items.sets[rows].tolist(), strict=True):
        if name is not None and label in measured:
            members.setdefault(str(name), set()).add(label)
    out = {label for labels in members.values() for label in sorted(labels, key=_rank)[1:]}
    if not out:
        return rows
    notes.append(f"{len(out)} of {len(measured)} classes look like another class and take no part ({min(out)})")
    return rows[[label not in out for label in items.keys[rows].tolist()]]


def _shares_classes(labels: np.ndarray, splits: np.ndarray, split: str) -> bool:
    """Whether most of the measured classes stand in train: a name that two splits share by accident is no protocol."""
    measured, trained = set(labels[splits == split].tolist()), set(labels[splits == "train"].tolist())
    return 2 * len(measured & trained) > len(measured)


def _own_pools(splits: np.ndarray, split: str) -> np.ndarray:
    """(R,) the pool of each row by the data's own splits."""
    pools = np.full(len(splits), _NONE)
    pools[splits == "train"] = _SUPPORT
    pools[splits == "validation"] = _VALIDATION
    pools[splits == split] = _TEST  # the validation split may be what is measured
    return pools


def _divide(items: Items, rows: np.ndarray) -> np.ndarray:
    """(R,) the pool of each row where every class is divided.

    What is ranked and dealt out is the picture, or the group where there are groups. Classes with common groups (every
    drawer drew every character) are dealt out together, for a group may be in one pool only.
    """
    labels = items.keys[rows].tolist()
    ids = item_ids(items, rows).tolist()
    groups = [None] * len(rows) if items.groups is None else items.groups[rows].tolist()
    units = [
        ("group", str(group)) if group is not None else (f"label {label}", name)
        for label, name, group in zip(labels, ids, groups, strict=True)
    ]
    joined = connected_components(
        [f"label {label}" for label in labels], [None if group is None else f"group {group}" for group in groups]
    )
    dealt: dict[str, set[tuple[str, str]]] = {}
    for component, unit in zip(joined, units, strict=True):
        dealt.setdefault(component, set()).add(unit)
    pool: dict[tuple[str, str], int] = {}
    for members in dealt.values():
        ranked = sorted(members, key=lambda unit: _rank(*unit))
        pool |= dict(zip(ranked, _shares(len(ranked)), strict=True))
    return np.fromiter((pool[unit] for unit in units), np.int64, len(rows))


def _shares(count: int) -> list[int]:
    """The pools of `count` ranked units: test first, then validation; one unit of three is support at the least."""
    test = max(round(TEST_SHARE * count), 1)
    validation = max(round(VALIDATION_SHARE * count), 1) if count >= 3 else 0
    return [_TEST] * test + [_VALIDATION] * validation + [_SUPPORT] * max(count - test - validation, 0)


def _no_group_in_two(items: Items, rows: np.ndarray, pools: np.ndarray, notes: list[str]) -> None:
    """Takes from support (and validation) what shares a group with test (or with validation)."""
    if items.groups is None:
        return
    groups = items.groups[rows]
    names = np.array([str(group) for group in groups], object)
    known = np.array([group is not None for group in groups], bool)
    taken = _leave_out(names, known, pools)
    if taken:
        notes.append(f"{taken} support or validation pictures share a group with a test picture and take no part")


def _no_picture_in_two(pictures: np.ndarray, pools: np.ndarray, notes: list[str]) -> None:
    """Takes from support (and validation) the pictures that stand in test (or in validation), of whatever class."""
    taken = _leave_out(pictures, np.ones(len(pictures), bool), pools)
    if taken:
        notes.append(f"{taken} support or validation pictures are byte-equal to one that is measured and take no part")


def _leave_out(things: np.ndarray, known: np.ndarray, pools: np.ndarray) -> int:
    """Rows of an earlier pool whose thing stands in a later one leave; the number of them. `pools` is changed."""
    before = int((pools == _NONE).sum())
    for pool in (_SUPPORT, _VALIDATION):
        later = set(things[known & (pools > pool)].tolist())
        mine = known & (pools == pool)
        pools[mine & np.fromiter((thing in later for thing in things.tolist()), bool, len(things))] = _NONE
    return int((pools == _NONE).sum()) - before


def _whole_classes(items: Items, rows: np.ndarray, pools: np.ndarray, notes: list[str]) -> None:
    """Leaves out classes without a support picture, and says which have no test picture."""
    labels = items.keys[rows]
    supported, measured = (set(labels[pools == pool].tolist()) for pool in (_SUPPORT, _TEST))
    seen = set(labels[pools != _NONE].tolist())
    lacking = seen - supported
    if lacking:
        notes.append(f"{len(lacking)} classes have no picture left for the support and take no part ({min(lacking)})")
    unmeasured = supported - measured
    if unmeasured:
        notes.append(f"{len(unmeasured)} classes are candidates without a test picture ({min(unmeasured)})")
    pools[[label in lacking for label in labels.tolist()]] = _NONE


def _texts(items: Items, rows: np.ndarray, support: np.ndarray) -> np.ndarray:
    """The first row of each distinct text of a class that a learner may read.

    A caption belongs to its picture: those of validation and test pictures are not for the learner. A name that stands
    beside every picture of its class is among the support's own.
    """
    classes = set(items.class_ids[support].tolist())
    pictures = {-1, *items.image_ids[support].tolist()}
    first: dict[tuple[int, str], int] = {}
    allowed = np.isin(items.image_ids[rows], list(pictures)) & np.isin(items.class_ids[rows], list(classes))
    for row in rows[allowed].tolist():
        first.setdefault((int(items.class_ids[row]), str(items.texts[row])), row)
    return np.fromiter(first.values(), np.int64, len(first))
