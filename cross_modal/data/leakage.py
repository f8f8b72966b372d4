"""Leakage between splits: the same label, the same group, the same picture or text in two of them.

Splits that are made here leak nothing, but data that brings its own splits may, and a table that somebody wrote by hand
often does. Every leak is named, so that it can be looked at; whether it matters is the protocol's business: classes
that stand in train and in test are a fault of an evaluation on unseen classes, and the very point of one on known ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from cross_modal.data.items import SPLIT_NAMES, Items

Kind = Literal["label", "group", "picture", "text"]
KINDS: tuple[Kind, ...] = ("label", "group", "picture", "text")


@dataclass(frozen=True)
class Leak:
    """One thing that stands in more than one split.

    Attributes:
        kind: "label", "group", "picture" (its bytes) or "text" (of a row without a picture).
        name: The label, the group or the text; for a picture the place of its first row.
        splits: Where it stands, in the order train, validation, test.
        items: How many rows of the table have it.

    >>> print(Leak("label", "wren", ("train", "test"), 12))
    label 'wren' is in train and test (12 items)
    """

    kind: Kind
    name: str
    splits: tuple[str, ...]
    items: int

    def __str__(self) -> str:
        return f"{self.kind} '{self.name}' is in {' and '.join(self.splits)} ({self.items} items)"


@dataclass(frozen=True)
class LeakageReport:
    """All leaks of a table; true where there is one.

    Attributes:
        leaks: By kind, those with most items first.
    """

    leaks: list[Leak] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.leaks)

    def of(self, kind: Kind) -> list[Leak]:
        """The leaks of one kind."""
        return [leak for leak in self.leaks if leak.kind == kind]

    def counts(self) -> dict[str, int]:
        """How many labels, groups, pictures and texts leak.

        >>> LeakageReport().counts()
        {'labels': 0, 'groups': 0, 'pictures': 0, 'texts': 0}
        """
        return {f"{kind}s": len(self.of(kind)) for kind in KINDS}

    def sentences(self) -> list[str]:
        """One sentence a kind: how many there are, and the first by name."""
        found = [(kind, self.of(kind)) for kind in KINDS]
        return [
            f"{len(leaks)} {kind}{'s' * (len(leaks) > 1)} in more than one split, the first: {leaks[0]}"
            for kind, leaks in found
            if leaks
        ]


def find_leakage(items: Items) -> LeakageReport:
    """Looks for what stands in two splits.

    Args:
        items: All splits of the data together. Rows without a split, without labels or without groups leak nothing.

    Returns:
        The leaks. Pictures are compared by content, wherever their files lie.

    >>> items = Items.of(texts=["a", "b", "b"], labels=["x", "x", "y"], splits=["train", "test", "train"])
    >>> find_leakage(items).counts()
    {'labels': 1, 'groups': 0, 'pictures': 0, 'texts': 1}
    """
    if items.splits is None:
        return LeakageReport()
    pictures = [None if number < 0 else number for number in items.image_ids.tolist()]
    texts = [None if seen else text for seen, text in zip(items.has_image.tolist(), items.texts.tolist(), strict=True)]
    columns: dict[Kind, Sequence[object]] = {
        "label": [] if items.labels is None else items.labels.tolist(),
        "group": [] if items.groups is None else items.groups.tolist(),
        "picture": pictures,
        "text": texts,
    }
    return LeakageReport([leak for kind, cells in columns.items() for leak in _leaks(items, kind, cells)])


def _leaks(items: Items, kind: Kind, cells: Sequence[object]) -> list[Leak]:
    rows_of: dict[object, list[int]] = {}
    for row, cell in enumerate(cells):
        if cell is not None:
            rows_of.setdefault(cell, []).append(row)
    leaks = []
    for cell, rows in rows_of.items():
        found = {items.splits[row] for row in rows if items.splits[row] is not None}  # type: ignore[index]
        if len(found) > 1:
            name = items.where(rows[0]) if kind == "picture" else str(cell)
            leaks.append(Leak(kind, name, tuple(sorted(found, key=_order)), len(rows)))
    return sorted(leaks, key=lambda leak: (-leak.items, leak.name))


def _order(split: str) -> tuple[int, str]:
    return (SPLIT_NAMES.index(split) if split in SPLIT_NAMES else len(SPLIT_NAMES), split)
