"""What the Audit page shows of a gallery, as tables that are kept as CSV and as cards. No Streamlit here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from cross_modal.audit.confusable_classes import confusable_classes
from cross_modal.audit.hardest_negatives import HardestNegatives, hardest_names, hardest_negatives
from cross_modal.audit.mislabelled import mislabelled
from cross_modal.audit.neighbourhood import Neighbourhood, neighbourhood
from cross_modal.errors import CrossModalError
from cross_modal.gallery.filter import Filter
from cross_modal_mlflow.amounts import counted
from cross_modal_mlflow.duplicates_found import Threshold, find_duplicates

if TYPE_CHECKING:
    from cross_modal.fewshot.scoring import Metric
    from cross_modal.gallery.gallery import Gallery
    from cross_modal.gallery.matrix import Matrix

NEIGHBOURS = 10
MOST_DUPLICATES = 100_000  # pairs; more are no duplicates but a threshold that is too low

Told = Callable[[int, int], None]


@dataclass(frozen=True)
class Audit:
    """One version of a gallery under audit.

    Attributes:
        matrix: Its rows.
        metric: "cosine" or "euclidean".
        found: The neighbourhoods of its pictures, or of its texts where it has no pictures.
        kind: Which of them: "image" or "text".
        taking_part: (N,) bool: labelled, and no forgery.
    """

    matrix: Matrix
    metric: Metric
    found: Neighbourhood
    kind: str
    taking_part: np.ndarray

    @cached_property
    def mislabelled(self) -> pd.DataFrame:
        """The items whose neighbours prefer another label: id, label, suggested, shares, the nearest such item."""
        suspects = mislabelled(self.found)
        return pd.DataFrame(
            {
                "id": self.matrix.ids[suspects.rows],
                "label": suspects.labels,
                "suggested": suspects.suggested,
                "neighbours for label": suspects.own,
                "neighbours for suggested": suspects.other,
                "nearest suggested id": self.matrix.ids[suspects.witness],
            }
        )

    @cached_property
    def confusable(self) -> pd.DataFrame:
        """Pairs of classes by confusions and by likeness, with an item of either."""
        pairs = confusable_classes(self.matrix.vectors, self.found, self.metric)
        return pd.DataFrame(
            {
                "class a": pairs.a,
                "class b": pairs.b,
                "confusions": pairs.confusions,
                "items": pairs.items,
                "rate": pairs.rate,
                "prototype score": pairs.score,
                "id a": self.matrix.ids[pairs.row_a],
                "id b": self.matrix.ids[pairs.row_b],
            }
        )

    def negatives(self, told: Told | None = None) -> pd.DataFrame:
        """The most alike pairs of different classes; compares every item with every other.

        Args:
            told: Told the comparisons done and those to do.
        """
        return self._pairs(hardest_negatives(self.matrix.vectors, self.found, self.metric, progress=told))

    @cached_property
    def names(self) -> pd.DataFrame:
        """The pictures that are nearer to a name of another class than to their own."""
        kind = self.matrix.column("kind")
        pictures, texts = (np.flatnonzero(self.taking_part & (kind == name)) for name in ("image", "text"))
        return self._pairs(
            hardest_names(self.matrix.vectors, self.matrix.column("label"), pictures, texts, self.metric)
        )

    def _pairs(self, pairs: HardestNegatives) -> pd.DataFrame:
        labels = self.matrix.column("label")
        return pd.DataFrame(
            {
                "id a": self.matrix.ids[pairs.a],
                "id b": self.matrix.ids[pairs.b],
                "label a": labels[pairs.a],
                "label b": labels[pairs.b],
                "score": pairs.scores,
                "nearest of its own": np.where(np.isfinite(pairs.own), pairs.own, np.nan),
            }
        )


def audit_of(gallery: Gallery, told: Told | None = None) -> Audit:
    """Looks at a gallery's labelled rows.

    Args:
        gallery: The gallery.
        told: Told the rows done and those to do.

    Raises:
        CrossModalError: There are no two labels to compare.
    """
    matrix = gallery.matrix()
    labels, kind = matrix.column("label"), matrix.column("kind")
    labelled = np.fromiter((label is not None for label in labels), bool, len(labels))
    genuine = matrix.column("genuine") if "genuine" in matrix.facts.column_names else np.full(len(labels), None)
    labelled &= np.array([each is not False for each in genuine], bool)  # a forgery is near its class on purpose
    judged = "image" if (labelled & (kind == "image")).any() else "text"
    rows = np.flatnonzero(labelled & (kind == judged))
    names = len(set(labels[rows].tolist()))
    if names < 2:
        raise CrossModalError(
            f"gallery {gallery.location}: expected items of two labels or more to audit, found {names or 'none'}"
        )
    metric = gallery.binding.metric
    found = neighbourhood(matrix.vectors, labels, metric, k=NEIGHBOURS, rows=rows, progress=told)
    return Audit(matrix, metric, found, judged, labelled)


def leak_lines(table: pd.DataFrame) -> list[str]:
    """What each two splits share, in words, the most pairs first.

    Args:
        table: Near-duplicates (`duplicates_table`).

    >>> pair = {"id a": "x", "id b": "y", "split a": "test", "split b": "train"}
    >>> leak_lines(pd.DataFrame([pair, pair | {"id b": "z"}]))
    ['test and train share 2 near-duplicate pairs: 1 item of test, 2 of train']
    """
    across = table[table["split a"].notna() & table["split b"].notna() & (table["split a"] != table["split b"])]
    turned = across["split a"] > across["split b"]
    ends = {
        "one": across["split a"].where(~turned, across["split b"]),
        "other": across["split b"].where(~turned, across["split a"]),
        "item": across["id a"].where(~turned, across["id b"]),
        "partner": across["id b"].where(~turned, across["id a"]),
    }
    shared = [(names, pairs) for names, pairs in pd.DataFrame(ends).groupby(["one", "other"])]
    return [
        f"{one} and {other} share {counted(len(pairs), 'near-duplicate pair')}: "
        f"{counted(pairs['item'].nunique(), 'item')} of {one}, {pairs['partner'].nunique():,} of {other}"
        for (one, other), pairs in sorted(shared, key=lambda each: (-len(each[1]), each[0]))
    ]


def duplicates_table(
    gallery: Gallery, kind: str, threshold: float, across_splits: bool, told: Told | None = None
) -> pd.DataFrame:
    """Near-duplicates of one kind, the most alike first.

    Args:
        gallery: The gallery.
        kind: "image" or "text".
        threshold: From which score two items are near-duplicates.
        across_splits: Only pairs of two splits: leakage.
        told: Told the comparisons done and those to do.

    Raises:
        CrossModalError: More pairs than anybody looks at, or no two splits.
    """
    found = find_duplicates(
        gallery,
        {kind: Threshold(threshold, "by hand")},
        where=Filter.parse([f"kind={kind}"]),
        across_splits=across_splits,
        limit=MOST_DUPLICATES,
        progress=told,
    )
    matrix, pairs = found.matrix, found.pairs
    labels, splits = matrix.column("label"), matrix.column("split")
    return pd.DataFrame(
        {
            "id a": matrix.ids[pairs.a],
            "id b": matrix.ids[pairs.b],
            "label a": labels[pairs.a],
            "label b": labels[pairs.b],
            "split a": splits[pairs.a],
            "split b": splits[pairs.b],
            "score": pairs.scores,
            "identical": pairs.identical,
        }
    )
