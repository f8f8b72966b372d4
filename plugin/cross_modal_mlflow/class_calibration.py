"""A calibration for twins that were trained on classes: pairs are drawn from the validation classes.

Half of the pairs are of one class. Of the different ones half are of one label prefix (an alphabet, a family) where
labels have prefixes: questions of same or different are asked about things that could be the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from cross_modal.configuration import DataConfig
from cross_modal.data.items import Items, column
from cross_modal.encoders.feature_store import FeatureStore
from cross_modal.encoders.twin import TwinEncoder
from cross_modal.verification.bootstrap import identities
from cross_modal.verification.comparison import PICTURE, TEXT, comparison
from cross_modal.verification.pair_embedding import embed_pair_items
from cross_modal.verification.pair_scorer import PairScorer
from cross_modal.verification.saved_calibration import FEWEST, CalibrationPairs, SavedCalibration
from cross_modal_mlflow.pair_table import ItemPairs, draw_across, draw_pairs

PAIRS = 4000  # of each comparison
NEAR = 0.5  # share of the different pairs that are of one prefix


def calibrate_on_classes(
    twin: TwinEncoder,
    scorer: PairScorer,
    items: Items,
    data: DataConfig,
    provenance: Mapping[str, Any] | None = None,
    seed: int = 0,
) -> SavedCalibration | None:
    """Learns a threshold for each comparison that the twin can make and the items allow.

    Args:
        twin: The twin.
        scorer: What scores its embeddings.
        items: The validation split: classes that the twin was not trained on.
        data: How pictures are decoded, and whether the feature store is used.
        provenance: What the items are; kept.
        seed: Of the pairs.

    Returns:
        The calibration; None where no comparison has pairs enough of both verdicts.
    """
    drawn = {name: pairs for name, pairs in drawn_pairs(twin, items, seed).items() if _enough(pairs)}
    if not drawn:
        return None
    # Two lists, pictures and texts: the picture of an item is compared without its text, which would give it away.
    uses = [use for name, pairs in drawn.items() for use in zip(name.split("_"), (pairs.a, pairs.b), strict=True)]
    wanted = {
        side: np.unique(np.concatenate([np.zeros(0, np.int64), *(rows for kind, rows in uses if kind == side)]))
        for side in (PICTURE, TEXT)
    }
    store = FeatureStore.open() if data.feature_store else None
    embedded = {
        side: embed_pair_items(twin, _alone(items.take(rows), side), data, store)
        for side, rows in wanted.items()
        if len(rows)
    }

    def rows_of(side: str, rows: np.ndarray) -> np.ndarray:
        return embedded[side][np.searchsorted(wanted[side], rows)]

    labels = items.keys.tolist()
    learned_from = {}
    for name, pairs in drawn.items():
        a, b = name.split("_")
        scores = scorer.score(rows_of(a, pairs.a), rows_of(b, pairs.b))
        owners = identities(pairs.a, pairs.b, labels)
        learned_from[name] = CalibrationPairs(np.asarray(scores, np.float64), pairs.same, owners)
    about = {"split": "validation", "classes": len(items.classes), "seed": seed, **(provenance or {})}
    return SavedCalibration.of_comparisons(learned_from, twin.metric, about)


def drawn_pairs(twin: TwinEncoder, items: Items, seed: int = 0) -> dict[str, ItemPairs]:
    """Pairs of rows for each comparison that the twin can make, the twin's own modality first.

    Args:
        twin: Says which trunks there are.
        items: The items.
        seed: The seed.

    Returns:
        Comparison → pairs, of which there may be few or none.
    """
    if not len(items):
        return {}
    pictures, texts = twin.image is not None and items.has_images, twin.text is not None and items.has_texts
    found = {}
    for side, usable, has in ((PICTURE, pictures, items.has_image), (TEXT, texts, items.has_text)):
        if usable and items.labels is not None:
            rows = np.flatnonzero(has)
            pairs = draw_pairs(_alone(items.take(rows), side), PAIRS, seed, NEAR)
            found[comparison(side, side)] = ItemPairs(rows[pairs.a], rows[pairs.b], pairs.same)
    if pictures and texts:
        found[comparison(PICTURE, TEXT)] = draw_across(items, PAIRS, seed)
    return found


def _alone(items: Items, side: str) -> Items:
    """The items with one modality only."""
    nothing = column([None] * len(items))
    return replace(items, texts=nothing) if side == PICTURE else replace(items, images=nothing)


def _enough(pairs: ItemPairs) -> bool:
    return min(int(pairs.same.sum()), int((~pairs.same).sum())) >= FEWEST
