"""The pairs of a stream that the threshold is least sure of: found as they come by, however many there are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cross_modal.data.items import Items, column
from cross_modal.data.pairs import Pairs
from cross_modal.verification.bootstrap import Owners
from cross_modal_mlflow.item_encoder import Side, key_of
from cross_modal_mlflow.pair_evidence import LISTED
from cross_modal_mlflow.pair_measurement import ScoredPairs


@dataclass(frozen=True)
class _Kept:
    row: int
    sides: tuple[Side, Side]
    above: float
    same: bool
    probability: float
    comparison: str


class NearestPairs:
    """Keeps the pairs whose scores are nearest to their threshold; a pair that comes again is kept once.

    Args:
        most: How many are kept.

    Example:
        >>> nearest = NearestPairs(most=1)
        >>> for row, above in enumerate((0.3, -0.1, 0.2), 1):
        ...     nearest.add(row, ((None, f"text {row}"), (None, "other")), above, True, 0.5, "text_text")
        >>> nearest.scored(0.6, "pairs.csv")[0].scores.tolist()
        [0.5]
    """

    def __init__(self, most: int = LISTED) -> None:
        self._most = most
        self._kept: dict[tuple[frozenset[bytes], bool], _Kept] = {}
        self._limit = np.inf

    def __len__(self) -> int:
        return len(self._kept)

    def add(
        self, row: int, sides: tuple[Side, Side], above: float, same: bool, probability: float, comparison: str
    ) -> None:
        """Takes notice of a pair.

        Args:
            row: Its number in the file.
            sides: Its two items.
            above: How far its score lies above its threshold.
            same: Its verdict.
            probability: That it is the same.
            comparison: What is compared with what.
        """
        if not abs(above) < self._limit:
            return
        key = frozenset(map(key_of, sides)), same  # two rows that contradict each other are both kept
        self._kept.setdefault(key, _Kept(row, sides, above, same, probability, comparison))
        if len(self._kept) > self._most:
            del self._kept[max(self._kept, key=lambda key: abs(self._kept[key].above))]
        if len(self._kept) == self._most:
            self._limit = max(abs(kept.above) for kept in self._kept.values())

    def scored(self, threshold: float, source: str) -> tuple[ScoredPairs, np.ndarray]:
        """The pairs, with scores as they would be if this threshold decided all of them.

        Args:
            threshold: The threshold that is shown.
            source: The file.

        Returns:
            The pairs, and (M,) probabilities.
        """
        kept = list(self._kept.values())
        sides = [side for each in kept for side in each.sides]
        a, b = np.arange(0, len(sides), 2), np.arange(1, len(sides), 2)
        same, rows = np.array([each.same for each in kept], bool), np.array([each.row for each in kept], np.int64)
        items = Items.of(
            images=[image for image, _ in sides],
            texts=[text for _, text in sides],
            rows=np.repeat(rows, 2).tolist(),
            source=source,
        )
        pairs = Pairs(items, a, b, same, None, column(["test"] * len(kept)), rows, source)
        scores = np.array([threshold + each.above for each in kept], np.float64)
        kinds = column([each.comparison for each in kept])
        found = ScoredPairs(scores, kinds, Owners(a, b), same, None, pairs)
        return found, np.array([each.probability for each in kept], np.float64)
