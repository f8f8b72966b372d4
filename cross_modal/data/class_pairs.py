"""Pairs made of classes: same class or not, as a function of the step and of what the model takes for near.

Half of a batch's pairs are of one class (or the share that is asked for). Classes come in shuffled passes, each once a
pass, and so do the items of a class: every class is reached as same and as different, and no imbalance is inherited.
Of the different pairs a share is hard: a genuine item with a skilled forgery of its class where there are some, else
items of two classes that the present model finds near (Harwood et al., "Smart mining for deep metric learning", ICCV
2017: random pairs soon teach nothing). Two look-alike classes (one set) never make a different pair, nor do a class and
its own turned pictures, nor an item and one that its own class has, too: nobody could tell.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import ceil, floor
from typing import Literal, NamedTuple

import numpy as np

from cross_modal.configuration import TermWeights
from cross_modal.data.batches import RowsByClass
from cross_modal.data.class_contents import ClassContents
from cross_modal.data.items import Items
from cross_modal.data.pair_batches import check_pair_batches, of_each
from cross_modal.data.passes import EndlessPasses, key_of, mix, shuffled
from cross_modal.errors import CrossModalError
from cross_modal.pair_configuration import PairBatchConfig

Side = Literal["image", "text"]
Kind = tuple[Side, Side]
KINDS: tuple[Kind, ...] = (("image", "image"), ("image", "text"), ("text", "text"))
SIDES: tuple[Side, ...] = ("image", "text")
SAMPLED = 4  # items of a class that a model looks at to say what is near
TRIES = 16  # draws of a class before all are looked through
_USES = (("one", True, 1), ("two", True, 2), ("some", True, SAMPLED), ("forged", False, 1))  # genuine or not, a visit


class DrawnPairs(NamedTuple):
    """The pairs of one step.

    Attributes:
        a: (P,) int64 rows; row r turned by t quarters is r + t·N.
        b: (P,) int64 rows.
        same: (P,) bool.
        hard: (P,) bool, which of the different pairs are hard.
    """

    a: np.ndarray
    b: np.ndarray
    same: np.ndarray
    hard: np.ndarray


class ClassPairs:
    """The endless sequence of batches.

    Args:
        items: Labelled items of one modality each (see `one_sided`).
        config: What a batch holds.
        seed: The run's seed.
        terms: How often which modalities meet, as far as there are such pairs; None weighs them alike.
        hard: Share of the different pairs that are hard, as far as any are known.
        turns: 4 makes turned pictures classes of their own.

    Attributes:
        near: For each kind of pair: class → (K,) near classes; what a model has found, empty at first.
        class_count: C, turned classes included.

    Raises:
        CrossModalError: Settings out of range, or items that give no same or no different pair.

    >>> items = Items.of(texts=["red", "scarlet", "green", "lime"], labels=["red", "red", "green", "green"])
    >>> drawn = ClassPairs(items, PairBatchConfig(pairs=2), seed=0).batch(0)
    >>> drawn.same.tolist(), [items.labels[drawn.a[0]] == items.labels[drawn.b[0]]]
    ([True, False], [True])
    """

    def __init__(
        self,
        items: Items,
        config: PairBatchConfig,
        seed: int,
        *,
        terms: TermWeights | None = None,
        hard: float = 0.0,
        turns: int = 1,
    ) -> None:
        check_pair_batches(config, verdicts=True)
        if not 0 <= hard <= 1:
            raise CrossModalError(f"pairs.hard_negatives: expected a share from 0 to 1, found {hard}")
        self.seed, self.hard, self._wanted = seed, hard, of_each(config)
        self.class_count = len(items.classes) * turns
        self._families = _families(items, turns)
        genuine = np.ones(len(items), bool) if items.genuine is None else items.genuine
        self._contents = ClassContents(items)
        self._rows: dict[str, dict[Side, RowsByClass]] = {}  # by what they are for
        for number, (name, kept, take) in enumerate(_USES):
            some = genuine if kept else ~genuine
            self._rows[name] = {
                side: _by_class(items, some, side, turns, take, key_of(seed, 7, number)) for side in SIDES
            }
        self._having = {side: np.flatnonzero(rows.counts) for side, rows in self._rows["one"].items()}
        self._same = {kind: self._classes_with_same(kind) for kind in KINDS}
        self._anchors = {kind: self._classes_with_different(kind) for kind in KINDS}
        # Both verdicts or none: of texts that are always different, a model learns that texts are different.
        kinds = [kind for kind in KINDS if len(self._same[kind]) and len(self._anchors[kind])]
        if not kinds:
            missing = "different" if any(map(len, self._same.values())) else "same"
            needs = "a class with two items" if missing == "same" else "two classes, or forgeries"
            raise CrossModalError(
                f"{items.source}: expected {needs} to make {missing} pairs of, found {len(items)} pictures and texts "
                f"of {len(items.classes)} classes"
            )
        self._shares = _shares(kinds, terms)
        self.near: Mapping[Kind, Mapping[int, np.ndarray]] = {}
        self._orders: dict[int, tuple[int, np.ndarray]] = {}

    @property
    def kinds(self) -> list[Kind]:
        """The kinds of pairs that are drawn: those that the items give both same and different ones of."""
        return list(self._shares)

    @property
    def steps_per_epoch(self) -> int:
        """Steps in which every class that can has given a same pair."""
        return max(ceil(len(self._same[kind]) / (share * self._wanted[0])) for kind, share in self._shares.items())

    def batch(self, step: int) -> DrawnPairs:
        """The pairs of one step, no pair twice and none contradictory; same ones first, hard ones last."""
        same = [
            self._same_pair(kind, place)
            for kind, start, stop in _places(self._shares, self._wanted[0], step)
            for place in range(start, stop)
        ]
        different, hard = [], []
        for kind, start, stop in _places(self._shares, self._wanted[1], step):
            anchors = self.hard_anchors(kind)
            before, after = (floor(self.hard * place) if len(anchors) else 0 for place in (start, stop))
            hard += [self._hard_pair(kind, anchors, place) for place in range(before, after)]
            different += [self._different_pair(kind, place) for place in range(start - before, stop - after)]
        pairs = np.array([*same, *different, *hard], np.int64).reshape(-1, 2)
        number = np.arange(len(pairs))
        kept = np.sort(np.unique(np.sort(pairs, axis=1), axis=0, return_index=True)[1])
        kept = kept[(kept < len(same)) | ~self._contents.contradict(*pairs[kept].T)]
        a, b = pairs[kept].T
        return DrawnPairs(a, b, (number < len(same))[kept], (number >= len(pairs) - len(hard))[kept])

    def hard_anchors(self, kind: Kind) -> np.ndarray:
        """The classes that have something hard: a forgery, or a near class."""
        anchors, known = self._anchors[kind], np.zeros(self.class_count, bool)
        known[list(self.near.get(kind, ()))] = True
        return anchors[(self._forged(kind) | known)[anchors]]

    def sample(self, number: int, classes: int) -> dict[Side, tuple[np.ndarray, np.ndarray]]:
        """Some items of some classes, for a model to look at; in time every class is among them.

        Args:
            number: Number of the sample, from 0.
            classes: Most classes.

        Returns:
            Modality → rows (R,) int64 and their classes (R,) int64; genuine items only, at most `SAMPLED` a class.
        """
        ranks = np.sort(EndlessPasses(self.class_count, classes, key_of(self.seed, 30)).serving(number))
        found: dict[Side, tuple[np.ndarray, np.ndarray]] = {}
        for side, rows in self._rows["some"].items():
            drawn = [(rows.draw(rank, key_of(self.seed, 31, number, rank)), rank) for rank in ranks.tolist()]
            if any(len(part) for part, _ in drawn):
                owners = np.repeat([rank for _, rank in drawn], [len(part) for part, _ in drawn])
                found[side] = np.concatenate([part for part, _ in drawn]), owners
        return found

    def may_differ(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """Whether two classes may make a different pair: classes of shapes that broadcast."""
        return self._families[a] != self._families[b]

    def _same_pair(self, kind: Kind, place: int) -> tuple[int, int]:
        rank, visit = self._turn(self._same[kind], place, key_of(self.seed, 32, KINDS.index(kind)))
        if kind[0] == kind[1]:
            first, second = self._rows["two"][kind[0]].visit(rank, visit)[:2].tolist()
            return first, second
        return self._one(kind[0], rank, visit), self._one(kind[1], rank, visit)

    def _different_pair(self, kind: Kind, place: int) -> tuple[int, int]:
        rank, visit = self._turn(self._anchors[kind], place, key_of(self.seed, 33, KINDS.index(kind)))
        key = key_of(self.seed, 34, KINDS.index(kind), place)
        other = self._stranger(kind[1], rank, key)
        a = self._one(kind[0], rank, visit)
        if other is None:  # nobody else: there is a forgery
            return a, int(self._rows["forged"][kind[0]].visit(rank, visit)[0])
        return a, int(self._rows["one"][kind[1]].draw(other, key)[0])

    def _hard_pair(self, kind: Kind, anchors: np.ndarray, place: int) -> tuple[int, int]:
        """A genuine item with a forgery of its class, else with an item of a near class."""
        visit, turn = divmod(place, len(anchors))
        rank, key = int(anchors[turn]), key_of(self.seed, 35, KINDS.index(kind), place)
        a = self._one(kind[0], rank, visit)
        if self._forged(kind)[rank]:
            return a, int(self._rows["forged"][kind[0]].visit(rank, visit)[0])
        near = self.near[kind][rank]
        return a, int(self._rows["one"][kind[1]].draw(int(near[key % len(near)]), key)[0])

    def _one(self, side: Side, rank: int, visit: int) -> int:
        """The next item of a class."""
        return int(self._rows["one"][side].visit(rank, visit)[0])

    def _stranger(self, side: Side, rank: int, key: int) -> int | None:
        """A class of another family, drawn by hash."""
        having = self._having[side]
        for number in range(TRIES):
            other = int(having[mix(key + number) % len(having)]) if len(having) else rank
            if self._families[other] != self._families[rank]:
                return other
        allowed = having[self._families[having] != self._families[rank]]
        return int(allowed[key % len(allowed)]) if len(allowed) else None

    def _forged(self, kind: Kind) -> np.ndarray:
        """(C,) bool: classes with a forgery that a genuine item of theirs can be compared with."""
        if kind[0] != kind[1]:
            return np.zeros(self.class_count, bool)
        return self._rows["forged"][kind[0]].counts > 0

    def _classes_with_same(self, kind: Kind) -> np.ndarray:
        """The classes that two items of this kind can be taken from."""
        left, right = (self._rows["one"][side].counts for side in kind)
        return np.flatnonzero((left > 1) if kind[0] == kind[1] else (left > 0) & (right > 0))

    def _classes_with_different(self, kind: Kind) -> np.ndarray:
        """The classes one of whose items differs from something."""
        families = np.unique(self._families[self._having[kind[1]]])
        strangers = np.full(self.class_count, len(families) > 1)
        if len(families) == 1:
            strangers = self._families != families[0]
        return np.flatnonzero((self._rows["one"][kind[0]].counts > 0) & (strangers | self._forged(kind)))

    def _turn(self, ranks: np.ndarray, place: int, key: int) -> tuple[int, int]:
        """The class at a place of endless shuffled passes, and the number of the pass, which is that of its visit."""
        number, offset = divmod(place, len(ranks))
        if self._orders.get(key, (-1,))[0] != number:
            self._orders[key] = number, shuffled(len(ranks), key_of(key, number))
        return int(ranks[self._orders[key][1][offset]]), number


def _by_class(items: Items, wanted: np.ndarray, side: Side, turns: int, take: int, key: int) -> RowsByClass:
    """The wanted rows of one modality by class, with their turned ones; a turned character has no name."""
    count, classes = len(items), len(items.classes)
    has = items.has_image if side == "image" else items.has_text
    rows = np.concatenate(
        [np.flatnonzero(has & wanted) + turn * count for turn in range(turns if side == "image" else 1)]
    )
    ranks = items.class_ids[rows % count] + rows // count * classes
    return RowsByClass(ranks, rows, classes * turns, take, key_of(key, SIDES.index(side)))


def _families(items: Items, turns: int) -> np.ndarray:
    """(C · turns,) int64: equal for classes that cannot be told apart: those of one set, and a class turned."""
    first = np.unique(items.class_ids, return_index=True)[1]
    families = np.arange(len(first))
    if items.sets is not None:
        names: dict[object, int] = {}
        for rank, name in enumerate(items.sets[first].tolist()):
            families[rank] = rank if name is None else names.setdefault(name, rank)
    return np.tile(families, turns)


def _shares(kinds: list[Kind], terms: TermWeights | None) -> dict[Kind, float]:
    """Share of each kind among the pairs."""
    weights = dict.fromkeys(KINDS, 1.0)
    if terms is not None:
        across = terms.image_to_text + terms.text_to_image
        weights = dict(zip(KINDS, (terms.image_to_image, across, terms.text_to_text), strict=True))
    known = {kind: weights[kind] for kind in kinds}
    if not any(known.values()):
        known = dict.fromkeys(known, 1.0)
    total = sum(known.values())
    return {kind: weight / total for kind, weight in known.items() if weight}


def _places(shares: Mapping[Kind, float], wanted: int, step: int) -> Iterator[tuple[Kind, int, int]]:
    """The places of each kind's own sequence that a step takes: as near to its share as whole numbers come."""
    starts, stops = step * wanted, (step + 1) * wanted
    *others, last = shares
    for kind in others:
        start, stop = floor(shares[kind] * step * wanted), floor(shares[kind] * (step + 1) * wanted)
        starts, stops = starts - start, stops - stop
        yield kind, start, stop
    yield last, starts, stops
