"""Which rows of a gallery are examples of its classes, and which are the classes' texts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cross_modal.errors import CrossModalError
from cross_modal.gallery.cohort import Kind
from cross_modal.gallery.filter import Filter

if TYPE_CHECKING:
    from cross_modal.gallery.gallery import Gallery
    from cross_modal.gallery.matrix import Matrix


@dataclass(frozen=True)
class SupportRows:
    """The columns (N,) of a gallery that supports are chosen by, and which rows may be one.

    Attributes:
        labels: Labels, or None.
        kinds: "image" or "text".
        groups: Groups, or None.
        contents: Hashes of what was embedded.
        splits: Splits, or None.
        usable: Labelled, genuine, and kept by the filter.
        forged: How many would be usable if they were genuine.
    """

    labels: np.ndarray
    kinds: np.ndarray
    groups: np.ndarray
    contents: np.ndarray
    splits: np.ndarray
    usable: np.ndarray
    forged: int

    @classmethod
    def of(cls, gallery: Gallery, matrix: Matrix, where: Filter | None) -> SupportRows:
        """The rows of a gallery.

        Args:
            gallery: The gallery.
            matrix: Its rows.
            where: Which of them may be supports; all unless given.

        Raises:
            CrossModalError: The filter keeps none, or none of what it keeps has a label and is genuine.
        """
        labels = matrix.column("label")
        labelled = np.array([label is not None for label in labels], bool)
        asked = where.mask(matrix.facts) if where else np.ones(len(labels), bool)
        if not asked.any():
            raise CrossModalError(f"--where {where}: expected references that it keeps, found none of {len(labels):,}")
        genuine = np.array([value is not False for value in matrix.column("genuine")], bool)
        usable = labelled & asked & genuine
        if not usable.any():
            found = f"{int(asked.sum()):,} without" if not (labelled & asked).any() else "forgeries only"
            raise CrossModalError(f"gallery {gallery.location}: expected references with a label, found {found}")
        return cls(
            labels,
            matrix.column("kind"),
            matrix.column("group"),
            matrix.column("content"),
            matrix.column("split"),
            usable,
            int((labelled & asked & ~genuine).sum()),
        )

    def roles(self, kind: Kind) -> tuple[np.ndarray, np.ndarray, list[str]]:
        """Rows that are shots, rows that are class texts, and sentences about what stands in for what."""
        images = np.flatnonzero(self.usable & (self.kinds == "image"))
        texts = np.flatnonzero(self.usable & (self.kinds == "text"))
        if kind == "image":
            notes = [] if len(images) else ["the gallery holds no labelled pictures: classes are known by texts alone"]
            return images, texts, notes
        if len(texts):
            return texts, images[:0], []
        return images, texts, ["the gallery holds no labelled texts: texts are compared with pictures"]

    def notes(self) -> list[str]:
        """Sentences about rows that were left out, or that the model may know too well."""
        notes = [] if not self.forged else [f"left out, as they are not genuine: {self.forged:,} of the references"]
        trained = int((self.splits[self.usable] == "train").sum())
        if 2 * trained > int(self.usable.sum()):
            notes.append(
                "most references are of the train split: if the model was trained on these classes, scores and "
                "confidences flatter"
            )
        return notes
