"""Which pictures and texts a class has: what two classes share tells nothing of their difference.

Two photographs with the caption "a dog" are two classes where data has no labels, and the caption is right for both. A
pair that calls it different teaches a contradiction, and a search for hard negatives finds nothing nearer.
"""

from __future__ import annotations

import numpy as np

from cross_modal.data.items import Items


class ClassContents:
    """The genuine contents of each class.

    Args:
        items: Labelled items of one modality each (see `one_sided`).

    >>> items = Items.of(texts=["a dog", "a cat", "a dog"], labels=["1", "1", "2"])
    >>> ClassContents(items).contradict(np.array([0, 1]), np.array([2, 2])).tolist()
    [True, True]
    """

    def __init__(self, items: Items) -> None:
        self._count, self._classes = len(items), items.class_ids
        self._genuine = np.ones(len(items), bool) if items.genuine is None else items.genuine
        number: dict[str | None, int] = {}
        texts = np.array([number.setdefault(text, len(number)) for text in items.texts.tolist()], np.int64)
        self._contents = np.where(items.has_image, items.image_ids, items.image_ids.max(initial=0) + 1 + texts)
        self._width = int(self._contents.max(initial=0)) + 1
        self._owned = np.unique((self._classes * self._width + self._contents)[self._genuine])

    def contradict(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """Which pairs must not be called different, for one's class has the other's item, too.

        Args:
            a: (P,) int64 genuine rows; row r turned by t quarters is r + t·N.
            b: (P,) int64 rows, forgeries of a's class among them.

        Returns:
            (P,) bool; what is turned one way is not compared with what is turned another.
        """
        alike = a // self._count == b // self._count
        a, b = a % self._count, b % self._count
        return alike & (self._owns(a, b) | (self._genuine[b] & self._owns(b, a)))

    def _owns(self, one: np.ndarray, other: np.ndarray) -> np.ndarray:
        """Whether the class of one row has the content of the other."""
        cells = self._classes[one] * self._width + self._contents[other]
        places = np.minimum(np.searchsorted(self._owned, cells), len(self._owned) - 1)
        return self._owned[places] == cells
