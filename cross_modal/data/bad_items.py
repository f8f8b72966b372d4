"""What is wrong with the data: one record a bad item, and the policy that stops at the first or skips and lists them.

A data set is read by many readers (manifests, folders, shards); what happens to a bad item is decided here, once.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from cross_modal.configuration import OnBadItem
from cross_modal.errors import CrossModalError


@dataclass(frozen=True)
class BadItem:
    """One item that was left out.

    Attributes:
        row: Number of the item in its source, from 1 (a header is not counted).
        where: The place as a reader would look it up, e.g. "items.csv row 3".
        reason: What was found, in words.

    >>> print(BadItem(3, "items.csv row 3", "image 'a.png' does not exist"))
    items.csv row 3: image 'a.png' does not exist
    """

    row: int
    where: str
    reason: str

    def __str__(self) -> str:
        return f"{self.where}: {self.reason}"


@dataclass
class BadItems:
    """Collects bad items, or raises at the first.

    Attributes:
        policy: "error" raises at the first bad item, "skip" collects it.
        skipped: What was collected.
    """

    policy: OnBadItem = "error"
    skipped: list[BadItem] = field(default_factory=list)

    def add(self, row: int, where: str, reason: str) -> None:
        """Records a bad item.

        Args:
            row: Number of the item in its source.
            where: The place, e.g. "items.csv row 3".
            reason: What was found.

        Raises:
            CrossModalError: Where the policy is "error".
        """
        bad = BadItem(row, where, reason)
        if self.policy == "error":
            raise CrossModalError(str(bad))
        self.skipped.append(bad)
