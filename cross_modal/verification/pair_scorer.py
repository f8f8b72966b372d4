"""What gives a pair its score: the twin's cosine, minus its Euclidean distance, or the siamese head trained with it.

One scorer for training's validation, evaluation, `verify` and serving, so that a threshold learned in one place means
the same in the others. The order of a pair does not matter, to the last bit.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from cross_modal.encoders.saved_twin import read_card
from cross_modal.encoders.twin import TwinEncoder
from cross_modal.errors import CrossModalError
from cross_modal.fewshot.scoring import Metric
from cross_modal.objectives.pair_head import PairHead
from cross_modal.objectives.pair_head_file import load_pair_head
from cross_modal.verification.pair_scores import pair_scores

ROWS = 1 << 15  # pairs scored at a time: differences of a million pairs need not be in memory at once


@dataclass(frozen=True)
class PairScorer:
    """Scores pairs of embeddings.

    Attributes:
        metric: How the twin's embeddings are compared where no head scores.
        head: The siamese head (a learned weighting of |a − b|) that scores instead, or None. A head that only scales
            the twin's own score is none: it leaves the order as it is, and cosines are easier to read.

    >>> scorer = PairScorer("cosine")
    >>> scorer.score(np.array([[3.0, 4.0]], np.float32), np.array([[6.0, 8.0]], np.float32)).round(6).tolist()
    [1.0]
    """

    metric: Metric
    head: PairHead | None = None

    @classmethod
    def of(cls, twin: TwinEncoder, head: PairHead | None = None) -> PairScorer:
        """The scorer of a twin, with the head that was trained with it, if there is one that changes scores.

        Raises:
            CrossModalError: A head for embeddings of another size.
        """
        if head is not None and head.dim != twin.dim:
            raise CrossModalError(
                f"verification head: expected one for embeddings of {twin.dim} numbers, found {head.dim}"
            )
        return cls(twin.metric, head if head is not None and head.verify_only else None)

    @property
    def verify_only(self) -> bool:
        """It answers about pairs only: no gallery can be searched by its score."""
        return self.head is not None

    @property
    def name(self) -> str:
        """What scores: "cosine", "euclidean", or "head"."""
        return self.metric if self.head is None else "head"

    def score(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """Scores pairs row by row.

        Args:
            a: (M, dim) float32 embeddings.
            b: (M, dim) float32 embeddings.

        Returns:
            (M,) float64, higher is more alike: a cosine, minus a distance, or the head's log-odds of *same*.

        Raises:
            CrossModalError: Two sides of different shapes, or embeddings of another size than the head's.
        """
        a, b = (np.ascontiguousarray(side, np.float32) for side in (a, b))
        if a.ndim != 2 or a.shape != b.shape:
            raise CrossModalError(f"pairs: expected embeddings (M, dim) on both sides, found {a.shape} and {b.shape}")
        parts = [self._score(a[at : at + ROWS], b[at : at + ROWS]) for at in range(0, len(a), ROWS)]
        return np.concatenate(parts) if parts else np.zeros(0)

    def score_items(self, embeddings: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """Scores pairs of embedded items, of which each may stand in many pairs.

        Args:
            embeddings: (N, dim) float32.
            a: (M,) int64, index of each pair's first item.
            b: (M,) int64, index of its second.

        Returns:
            (M,) float64, as `score` of the gathered rows, which are never all in memory.
        """
        parts = [
            self.score(embeddings[a[at : at + ROWS]], embeddings[b[at : at + ROWS]]) for at in range(0, len(a), ROWS)
        ]
        return np.concatenate(parts) if parts else np.zeros(0)

    def _score(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        if self.head is None:
            return pair_scores(a, b, self.metric)
        if a.shape[1] != self.head.dim:
            raise CrossModalError(f"verification head: expected embeddings (M, {self.head.dim}), found {a.shape}")
        device = next(self.head.parameters()).device
        with torch.no_grad():
            return self.head(torch.from_numpy(a).to(device), torch.from_numpy(b).to(device)).cpu().numpy().astype(float)


def load_pair_scorer(folder: str | Path) -> PairScorer:
    """The scorer of a saved twin.

    Args:
        folder: The model's folder.

    Returns:
        It; the head is on the CPU.

    Raises:
        CrossModalError: No saved twin, or a damaged head.
    """
    card = read_card(folder)
    head = load_pair_head(folder)
    metric: Metric = "cosine" if card["twin"]["normalise"] else "euclidean"
    return PairScorer(metric, head if head is not None and head.verify_only else None)
