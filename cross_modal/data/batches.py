"""Balanced batches: P classes × K pictures of each, and up to K distinct texts of each, as a function of the step.

Classes come in shuffled passes, each class once a pass, so that every class is reached and no imbalance is inherited;
the items of a class come in shuffled passes of their own. A batch is a function of (seed, step), which makes resuming
exact, and one global batch is cut into disjoint slices of classes, one a rank. (Replaces pytorch-metric-learning's
MPerClassSampler, whose order hangs on NumPy's global state and which may never draw a class.)
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import NamedTuple

import numpy as np

from cross_modal.configuration import BatchConfig, OnBadItem
from cross_modal.data.items import Items
from cross_modal.data.passes import EndlessPasses, key_of, shuffled
from cross_modal.errors import CrossModalError

TWO_OF = {"image_to_image": "picture", "text_to_text": "text"}


class Batch(NamedTuple):
    """The rows of one step on one rank, grouped by class.

    Attributes:
        images: (B_i,) int64, rows whose picture is used.
        texts: (B_t,) int64, rows whose text is used; each distinct text of a class at most once.
        classes: (P,) int64, the classes of the batch.
    """

    images: np.ndarray
    texts: np.ndarray
    classes: np.ndarray


class RowsByClass:
    """The rows of one modality by class, served in the class's own endless shuffled passes."""

    def __init__(self, ranks: np.ndarray, rows: np.ndarray, classes: int, take: int, key: int) -> None:
        """Sorts rows by class.

        Args:
            ranks: (M,) int64, class of each row, in [0, classes).
            rows: (M,) int64, the rows.
            classes: Number of classes.
            take: K, rows a visit.
            key: Names the order.
        """
        order = np.argsort(ranks, kind="stable")
        self.rows = rows[order]
        self.counts = np.bincount(ranks, minlength=classes)
        ends = np.cumsum(self.counts)
        self._spans = list(zip((ends - self.counts).tolist(), ends.tolist(), strict=True))
        self._take = take
        self._key = key
        self._passes: dict[int, EndlessPasses] = {}

    def visit(self, rank: int, number: int) -> np.ndarray:
        """The rows of a class at its number-th visit: distinct, at most K."""
        start, end = self._spans[rank]
        if end - start <= self._take:
            return self.rows[start:end]
        passes = self._passes.get(rank)
        if passes is None:
            passes = self._passes[rank] = EndlessPasses(end - start, self._take, key_of(self._key, rank))
        return self.rows[start + passes.serving(number)]

    def draw(self, rank: int, key: int) -> np.ndarray:
        """Rows of a class outside its passes (classes added for their prefix): distinct, at most K, by hash."""
        start, end = self._spans[rank]
        return self.rows[start + shuffled(end - start, key)[: self._take]]


def first_of_each(ranks: np.ndarray, identities: Sequence[object] | np.ndarray, rows: np.ndarray) -> np.ndarray:
    """The first row of each distinct (class, identity)."""
    first: dict[tuple[int, object], int] = {}
    for rank, identity, row in zip(ranks[rows].tolist(), [identities[row] for row in rows], rows.tolist(), strict=True):
        first.setdefault((rank, identity), row)
    return np.fromiter(first.values(), np.int64, len(first))


class BalancedBatches:
    """The endless sequence of batches.

    >>> batches = BalancedBatches(np.array([0, 0, 1, 1, 2]), np.ones(5, bool), ["a", "a", "b", "c", None],
    ...                           BatchConfig(classes=3, items=2), seed=0)
    >>> [part.tolist() for part in map(np.sort, batches.batch(0))]
    [[0, 1, 2, 3, 4], [0, 2, 3], [0, 1, 2]]
    """

    def __init__(
        self,
        class_ids: np.ndarray,
        has_image: np.ndarray,
        texts: Sequence[str | None] | np.ndarray,
        config: BatchConfig,
        seed: int,
        prefixes: Sequence[str] | np.ndarray | None = None,
        rank: int = 0,
        world_size: int = 1,
        *,
        genuine: np.ndarray | None = None,
        image_ids: np.ndarray | None = None,
        class_names: Sequence[str] | None = None,
        terms: Sequence[str] = (),
        on_bad_item: OnBadItem = "error",
    ) -> None:
        """Sorts the rows by class.

        Args:
            class_ids: (N,) int64, the class of each row; any integers.
            has_image: (N,) bool, which rows have a picture.
            texts: (N,) str or None, the text of each row.
            config: P, K and the share of a batch that is drawn from one prefix.
            seed: Seed of the order.
            prefixes: (N,) str, the prefix of each row's label; needed where `config.same_prefix` is above 0.
            rank: Number of this process.
            world_size: Number of processes.
            genuine: (N,) bool; rows that are not genuine are never drawn.
            image_ids: (N,) int64, equal for equal pictures: a class's picture that stands in several rows counts once.
            class_names: Names by class id, for messages.
            terms: Terms of the objective in use; "image_to_image" needs two pictures of each class that has any,
                "text_to_text" two distinct texts.
            on_bad_item: "error" refuses classes with one where a term needs two, "skip" leaves them out.

        Raises:
            CrossModalError: Where there is nothing to draw, a setting is out of its range, or a class has one item
                where a term needs two.
        """
        self.config, self.rank, self.world_size = config, rank, world_size
        self._check_settings(prefixes, terms)
        usable = np.ones(len(class_ids), bool) if genuine is None else np.asarray(genuine, bool)
        ids, ranks = np.unique(class_ids, return_inverse=True)
        image_rows = np.flatnonzero(np.asarray(has_image, bool) & usable)
        text_rows = np.flatnonzero(np.fromiter((text is not None for text in texts), bool, len(texts)) & usable)
        if image_ids is not None:
            image_rows = first_of_each(ranks, image_ids, image_rows)
        text_rows = first_of_each(ranks, texts, text_rows)
        counts = {
            "image_to_image": np.bincount(ranks[image_rows], minlength=len(ids)),
            "text_to_text": np.bincount(ranks[text_rows], minlength=len(ids)),
        }
        keep = (counts["image_to_image"] + counts["text_to_text"]) > 0
        self.left_out: list[int] = []
        for term in (term for term in TWO_OF if term in terms):
            lonely = keep & (counts[term] == 1)
            self._refuse_lonely(ids[lonely], term, class_names, on_bad_item)
            keep &= ~lonely
        if not keep.any():
            raise CrossModalError("batches: expected at least one class with a picture or a text, found none")
        self.class_ids = ids[keep]
        number = np.cumsum(keep) - 1
        parts = [rows[keep[ranks[rows]]] for rows in (image_rows, text_rows)]
        self._images, self._texts = (
            RowsByClass(number[ranks[rows]], rows, len(self.class_ids), config.items, key_of(seed, 1 + modality))
            for modality, rows in enumerate(parts)
        )
        self._seed = seed
        self._prefix_passes: EndlessPasses | None = None
        self._blocks: list[np.ndarray] = []
        self._from_prefix = round(config.same_prefix * self.classes_per_batch)
        if self._from_prefix and prefixes is not None:
            of_row = np.asarray(prefixes, object)
            first_row = np.unique(class_ids, return_index=True)[1]
            self._cut_blocks(of_row[first_row][keep].tolist())
        self._passes = EndlessPasses(len(self.class_ids), self.classes_per_batch - self._from_prefix, key_of(seed, 0))

    @classmethod
    def of(
        cls,
        items: Items,
        config: BatchConfig,
        seed: int,
        *,
        rank: int = 0,
        world_size: int = 1,
        terms: Sequence[str] = (),
        on_bad_item: OnBadItem = "error",
    ) -> BalancedBatches:
        """The batches of a table of items; without labels a batch is P distinct pictures with one text each.

        Raises:
            CrossModalError: As the constructor.
        """
        if items.labels is None:
            config = BatchConfig(classes=config.classes, items=1, same_prefix=0.0)
        return cls(
            items.class_ids,
            items.has_image,
            items.texts,
            config,
            seed,
            items.prefixes,
            rank,
            world_size,
            genuine=items.genuine,
            image_ids=items.image_ids,
            class_names=items.classes,
            terms=terms,
            on_bad_item=on_bad_item,
        )

    def _check_settings(self, prefixes: object, terms: Sequence[str]) -> None:
        config = self.config
        if config.classes < 1 or config.items < 1:
            raise CrossModalError(f"batch: expected classes and items ≥ 1, found {config.classes} and {config.items}")
        if not 0 <= config.same_prefix < 1:
            raise CrossModalError(f"batch.same_prefix: expected a share from 0 to below 1, found {config.same_prefix}")
        if config.same_prefix and prefixes is None:
            raise CrossModalError("batch.same_prefix: expected labels with a prefix, found items without labels")
        if not 0 <= self.rank < self.world_size:
            raise CrossModalError(f"batch: expected a rank from 0 to {self.world_size - 1}, found {self.rank}")
        for term in (term for term in TWO_OF if term in terms and config.items < 2):
            raise CrossModalError(
                f"batch.items: expected at least 2, for the term {term} needs two of a class; found {config.items}"
            )

    def _refuse_lonely(
        self, lonely: np.ndarray, term: str, class_names: Sequence[str] | None, on_bad_item: OnBadItem
    ) -> None:
        """Refuses, or leaves out, the classes with one item where a term needs two."""
        if lonely.size and on_bad_item == "error":
            name = lonely[0] if class_names is None else class_names[int(lonely[0])]
            more = f" (and {lonely.size - 1} more such classes)" if lonely.size > 1 else ""
            raise CrossModalError(
                f"class '{name}'{more} has one {TWO_OF[term]}, but the term {term} needs two: add one, "
                f"set objective.terms.{term} to 0, or skip such classes with items.on_bad_item skip"
            )
        self.left_out += lonely.tolist()

    @property
    def classes_per_batch(self) -> int:
        """P, or all classes where there are fewer."""
        return min(self.config.classes, len(self.class_ids))

    @property
    def steps_per_epoch(self) -> int:
        """Steps after which every class was drawn, and about as many items as there are."""
        items = max(len(self._images.rows), len(self._texts.rows))
        by_classes = ceil(len(self.class_ids) / self._passes.take)
        return max(by_classes, ceil(items / (self.classes_per_batch * self.config.items)))

    def batch(self, step: int) -> Batch:
        """The batch of one step on this rank, a function of (seed, step).

        Args:
            step: Number of the step, from 0.

        Returns:
            Rows and classes of this rank's slice of the global batch.
        """
        start, count = step * self._passes.take, len(self.class_ids)
        # A class is visited once a pass, so the number of the pass is the number of its visit.
        visits = [(rank, (start + place) // count) for place, rank in enumerate(self._passes.serving(step).tolist())]
        if self._from_prefix:
            visits += [(rank, -1) for rank in self._companions(step, [rank for rank, _ in visits])]
        mine = visits[self.rank :: self.world_size]
        extra = key_of(self._seed, 3, step)
        parts = []
        for rows in (self._images, self._texts):
            drawn = [
                rows.visit(rank, number) if number >= 0 else rows.draw(rank, key_of(extra, rank))
                for rank, number in mine
            ]
            parts.append(np.concatenate(drawn) if drawn else np.empty(0, np.int64))
        classes = self.class_ids[np.fromiter((rank for rank, _ in mine), np.int64, len(mine))]
        return Batch(parts[0], parts[1], classes)

    def _cut_blocks(self, prefixes: list[str]) -> None:
        """Gives every prefix as many turns as blocks of its classes fit into it."""
        members: dict[str, list[int]] = {}
        for rank, prefix in enumerate(prefixes):
            members.setdefault(prefix, []).append(rank)
        for prefix in sorted(members):
            ranks = np.array(members[prefix], np.int64)
            self._blocks += [ranks] * ceil(len(ranks) / self._from_prefix)
        self._prefix_passes = EndlessPasses(len(self._blocks), 1, key_of(self._seed, 4))

    def _companions(self, step: int, taken: list[int]) -> list[int]:
        """Classes of one prefix that fill the batch; where the prefix is too small, any others."""
        assert self._prefix_passes is not None
        block = self._blocks[int(self._prefix_passes.serving(step)[0])]
        key = key_of(self._seed, 5, step)
        wanted = self.classes_per_batch - len(taken)
        chosen = dict.fromkeys(taken)
        for candidates in (block[shuffled(len(block), key)], shuffled(len(self.class_ids), key)):
            for rank in candidates.tolist():
                if len(chosen) == wanted + len(taken):
                    break
                chosen.setdefault(rank)
        return list(chosen)[len(taken) :]
