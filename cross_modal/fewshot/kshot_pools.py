"""The rows behind a split: from ids of support and validation items to their embeddings."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np

from cross_modal.configuration import KShotConfig
from cross_modal.errors import CrossModalError
from cross_modal.fewshot.kshot_sides import LearningSide, TestSide, row_ids
from cross_modal.fewshot.kshot_split import KShotSplit, kshot_split

Places = dict[tuple[str, str], int]


@dataclass(frozen=True)
class Shots:
    """Support and validation of one split.

    Attributes:
        side: The learning side.
        support_rows: (S,) int64 rows of train.
        validation_rows: (V,) int64 rows of validation, or of train where validation was held out of it.
        held_out: Whether it was.
    """

    side: LearningSide
    support_rows: np.ndarray
    validation_rows: np.ndarray
    held_out: bool

    def support(self, views: str) -> tuple[np.ndarray, np.ndarray]:
        """The support as a method takes it.

        Args:
            views: "plain" takes the items, "mean" the mean of each item's views (the keys of Tip-Adapter, Zhang et al.
                2022; at length one for cosine, with its magnitude for Euclidean distance), "rows" every view as an
                item. Without views all take the items.

        Returns:
            (S, D) or (S·V, D) embeddings and their labels.
        """
        y = self.side.train_labels[self.support_rows]
        if views == "plain" or self.side.views is None:
            return at_least_float32(self.side.train[self.support_rows]), y
        several = at_least_float32(self.side.views[self.support_rows])  # (S, V, D)
        if views == "rows":
            return several.reshape(-1, several.shape[2]), np.repeat(y, several.shape[1])
        mean = several.mean(axis=1)
        if self.side.metric != "cosine":
            return mean, y
        return mean / np.maximum(np.linalg.norm(mean, axis=1, keepdims=True), np.finfo(mean.dtype).tiny), y

    def validation(self) -> tuple[np.ndarray, np.ndarray] | tuple[None, None]:
        """(V, D) embeddings and labels; None and None without any."""
        if not len(self.validation_rows):
            return None, None
        side, rows = self.side, self.validation_rows
        if self.held_out:
            return at_least_float32(side.train[rows]), side.train_labels[rows]
        assert side.validation is not None
        assert side.validation_labels is not None
        return at_least_float32(side.validation[rows]), side.validation_labels[rows]


class Pools:
    """The items of a learning side by class, and the splits that are drawn from them."""

    def __init__(self, side: LearningSide, test: TestSide, config: KShotConfig) -> None:
        """Names the items of both splits.

        Raises:
            CrossModalError: A test item (by its id) is on the learning side too.
        """
        self._side, self._config = side, config
        self._train = _places(side.train_labels, row_ids(side.train) if side.ids is None else side.ids)
        self._validation: Places = {}
        if side.has_validation:
            assert side.validation is not None
            assert side.validation_labels is not None
            ids = row_ids(side.validation) if side.validation_ids is None else side.validation_ids
            self._validation = _places(side.validation_labels, ids)
        self._test = () if test.ids is None else frozenset(map(str, test.ids.tolist()))
        self._groups = self._groups_of_items(test)

    def draw(self) -> list[KShotSplit]:
        """The split of every K and seed of the settings.

        Raises:
            CrossModalError: A class has too few items, or an item is on two sides.
        """
        train = _by_class(self._train, self._side.labels)
        validation = _by_class(self._validation, ()) if self._side.has_validation else None
        return [
            kshot_split(
                train,
                validation,
                shots,
                seed,
                self._config.max_validation,
                self._config.allow_fewer,
                self._groups,
                self._test,
            )
            for shots in sorted(self._config.shots)
            for seed in self._config.seeds
        ]

    def published(self, splits: Sequence[KShotSplit]) -> list[KShotSplit]:
        """Checks somebody else's splits against the items at hand.

        Raises:
            CrossModalError: No splits, an item that is not at hand under its class, or one that is tested.
        """
        if self._config.base_to_new:
            splits = [_among(split, set(map(str, self._side.labels.tolist()))) for split in splits]
        names = [(split.shots, split.seed) for split in splits]
        if not names or len(set(names)) < len(names):
            raise CrossModalError(f"published splits: expected one for each K and seed, found {names or 'none'}")
        for split in splits:
            for name, pool in (("support", split.support), ("validation", split.validation)):
                places = self._validation if name == "validation" and self._side.has_validation else self._train
                for label, items in pool.items():
                    for item in items:
                        if (label, item) not in places or item in self._test:
                            raise CrossModalError(
                                f"published split of {split.shots} shots, seed {split.seed}: {name} item '{item}' of "
                                f"class '{label}': expected it among the learning items of that class, found it is not"
                            )
        return sorted(splits, key=lambda split: (split.shots, split.seed))

    def shots(self, split: KShotSplit) -> Shots:
        """The rows of a split."""
        held_out = not self._side.has_validation
        places = self._train if held_out else self._validation
        return Shots(self._side, _rows(self._train, split.support), _rows(places, split.validation), held_out)

    def _groups_of_items(self, test: TestSide) -> dict[str, str] | None:
        """Item id → group over all three splits; None where nothing has a group."""
        side = self._side
        groups: dict[str, str] = {}
        columns = ((side.ids, side.groups), (side.validation_ids, side.validation_groups), (test.ids, test.groups))
        for ids, names in columns:
            if names is None:
                continue
            if ids is None:
                raise CrossModalError("groups: expected ids of the items beside their groups, found none")
            pairs = zip(ids.tolist(), names.tolist(), strict=True)
            groups |= {str(item): str(group) for item, group in pairs if group is not None}
        return groups or None


def at_least_float32(values: np.ndarray) -> np.ndarray:
    """Stored halves as float32, everything else as it is: arithmetic in half precision would lose ties and sums."""
    return values.astype(np.float32) if values.dtype == np.float16 else values


def _places(labels: np.ndarray, ids: np.ndarray) -> Places:
    """(class, item) → its first row: an item that a class lists twice counts once."""
    pairs = zip(labels.astype(str).tolist()[::-1], map(str, ids.tolist()[::-1]), strict=True)
    return {pair: len(ids) - 1 - place for place, pair in enumerate(pairs)}


def _by_class(places: Places, labels: Collection[object]) -> dict[str, list[str]]:
    """Class → its items; classes that have none are named too."""
    pool: dict[str, list[str]] = {str(label): [] for label in labels}
    for label, item in places:
        pool.setdefault(label, []).append(item)
    return pool


def _among(split: KShotSplit, labels: set[str]) -> KShotSplit:
    """The split of these classes alone."""
    support, validation = (
        {label: items for label, items in pool.items() if label in labels} for pool in (split.support, split.validation)
    )
    short = {label: count for label, count in split.short.items() if label in labels}
    return replace(split, support=support, validation=validation, short=short)


def _rows(places: Places, pool: dict[str, list[str]]) -> np.ndarray:
    """(n,) int64 rows of the items, by class and rank."""
    return np.array([places[label, item] for label, items in pool.items() for item in items], np.int64)
