"""Same or not, for twins that were trained on classes: pairs are drawn from classes that were not trained on.

Half of the pairs are of one class. Of the different ones half are of one label prefix (an alphabet, a family) where
labels have prefixes: questions of same or different are asked about things that could be the same. Pairs of validation
classes set the thresholds, pairs of test classes measure them.
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
from cross_modal_mlflow.pair_measurement import ScoredPairs, measure_pairs
from cross_modal_mlflow.pair_table import ItemPairs, draw_across, draw_pairs

PAIRS = 4000  # of each comparison
SHOWN = ("eer", "auc", "accuracy", "false_accept_rate", "false_reject_rate", "equal_error/accuracy")
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
    scored = scored_class_pairs(twin, scorer, items, data, seed)
    if not scored:
        return None
    learned_from = {}
    for name, pairs in scored.items():
        assert pairs.same is not None
        learned_from[name] = CalibrationPairs(pairs.scores, pairs.same, pairs.owners)
    about = {"split": "validation", "classes": len(items.classes), "seed": seed, **(provenance or {})}
    return SavedCalibration.of_comparisons(learned_from, twin.metric, about)


def verify_classes(
    twin: TwinEncoder,
    scorer: PairScorer,
    items: Items,
    data: DataConfig,
    calibration: SavedCalibration | None,
    seed: int = 0,
) -> dict[str, float]:
    """Measures each comparison that the twin can make and the items allow.

    Args:
        twin: The twin.
        scorer: What scores its embeddings.
        items: The test split, usually.
        data: How pictures are decoded, and whether the feature store is used.
        calibration: Learned on validation classes; None leaves decisions out.
        seed: Of the pairs.

    Returns:
        `verification/picture_picture/eer`, `verification/picture_text/accuracy` and so on, with intervals over classes.
    """
    metrics = {}
    for name, pairs in scored_class_pairs(twin, scorer, items, data, seed).items():
        decides = calibration if calibration is not None and name in calibration.calibrations else None
        for metric, value in measure_pairs(pairs, decides, seed=seed).metrics.items():
            if metric.removesuffix("/ci95").removeprefix("verification/") in SHOWN:
                metrics[metric.replace("verification/", f"verification/{name}/")] = value
    return metrics


def scored_class_pairs(
    twin: TwinEncoder, scorer: PairScorer, items: Items, data: DataConfig, seed: int = 0
) -> dict[str, ScoredPairs]:
    """Pairs of classes with their scores, for each comparison that has enough of both verdicts."""
    drawn = {name: pairs for name, pairs in drawn_pairs(twin, items, seed).items() if _enough(pairs)}
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

    labels, found = items.keys.tolist(), {}
    for name, pairs in drawn.items():
        a, b = name.split("_")
        scores = np.asarray(scorer.score(rows_of(a, pairs.a), rows_of(b, pairs.b)), np.float64)
        kinds, owners = column([name] * len(pairs)), identities(pairs.a, pairs.b, labels)
        found[name] = ScoredPairs(scores, kinds, owners, pairs.same)
    return found


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
