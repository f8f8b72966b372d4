"""Miners over given pairs: which of them, or which triplets of them, a loss sees.

A pytorch-metric-learning miner makes its tuples from class labels. Here each anchor is shown to it alone, with the
anchor's own pairs as references whose label says same or different, so that a miner never invents a pair that nobody
judged.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from pytorch_metric_learning.distances import BaseDistance
from pytorch_metric_learning.miners import BaseMiner
from torch import Tensor

from cross_modal.configuration import PartConfig
from cross_modal.errors import CrossModalError
from cross_modal.objectives.miners import build_miner
from cross_modal.objectives.pair_comparisons import Comparisons
from cross_modal.objectives.pair_distances import PairTable
from cross_modal.objectives.tuples import IndexTuple

REFUSED = {
    "AngularMiner": "it measures angles between three points, and a pair has one distance; use TripletMarginMiner",
    "DistanceWeightedMiner": "it draws from all other classes, and pairs name none; use MultiSimilarityMiner",
}
#: Miners that look at each pair by itself, and so have something to say of an anchor with one verdict only.
BY_ITSELF = ("PairMarginMiner", "HDCMiner")


def build_pair_miner(part: PartConfig | None, distance: BaseDistance, normalise: bool) -> BaseMiner | None:
    """Builds a miner that reads distances of pairs.

    Args:
        part: Name and arguments; None mines nothing.
        distance: The loss's distance.
        normalise: Whether embeddings have length one.

    Raises:
        CrossModalError: For an unknown miner, one that needs classes, or arguments that do not fit the distance.
    """
    if part is not None and part.name in REFUSED:
        raise CrossModalError(f"miner {part.name}: takes no labelled pairs, {REFUSED[part.name]}")
    miner = build_miner(part, distance, normalise)
    if miner is not None:
        miner.distance = PairTable(distance)
    return miner


def mine(miner: BaseMiner, distances: Tensor, same: Tensor, comparisons: Comparisons) -> Comparisons:
    """What the miner keeps of the comparisons.

    Args:
        miner: From `build_pair_miner`.
        distances: Float32 (P,), in the miner's unit.
        same: Bool (P,).
        comparisons: All there are, as pairs.

    Returns:
        Those kept: pairs or triplets, as the miner gives them.
    """
    a1, p, a2, n = comparisons.as_pairs()
    anchor, pair = torch.cat([a1, a2]), torch.cat([p, n])
    order = torch.argsort(anchor, stable=True)
    sizes = torch.bincount(anchor, minlength=comparisons.anchors).tolist()
    rows = distances.detach()[:, None]
    kept: list[IndexTuple] = []
    for number, pairs in enumerate(pair[order].split(sizes)):
        verdicts = same[pairs]
        both = bool(verdicts.any()) and not bool(verdicts.all())
        if both or (len(pairs) and type(miner).__name__ in BY_ITSELF):
            kept.append(_mine_one(miner, rows[pairs], verdicts, pairs, number))
    if not kept:
        return replace(comparisons, indices=(a1[:0], p[:0], a2[:0], n[:0]))
    return replace(comparisons, indices=tuple(torch.cat(parts) for parts in zip(*kept, strict=True)))


def _mine_one(miner: BaseMiner, rows: Tensor, verdicts: Tensor, pairs: Tensor, number: int) -> IndexTuple:
    """One anchor's pairs, in the numbering of the step."""
    anchor = torch.ones(1, dtype=torch.long, device=rows.device)
    found = miner(rows.new_zeros(1, 1), anchor, rows, verdicts.long())
    anchors = (0,) if len(found) == 3 else (0, 2)
    return tuple(torch.full_like(x, number) if i in anchors else pairs[x] for i, x in enumerate(found))
