"""Manifests of pairs and triplets in a run: read, counted, logged, and named in its protocol."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from cross_modal.configuration import DataConfig
from cross_modal.data.pairs import Pairs, Triplets, kind_of, read_pairs, read_triplets
from cross_modal.data.together import ALONE, Together
from cross_modal.errors import CrossModalError
from cross_modal.verification.pair_scorer import PairScorer
from cross_modal_mlflow.logged_items import log_items
from cross_modal_mlflow.tracking import TrackedRun


def read_pair_source(source: str, config: DataConfig, together: Together = ALONE) -> Pairs | Triplets:
    """Reads a manifest of pairs or of triplets, by its columns.

    Raises:
        CrossModalError: One line with file, row and reason.
    """
    return (read_triplets if kind_of(source) == "triplets" else read_pairs)(source, config, together)


def as_pairs(data: Pairs | Triplets) -> Pairs:
    """Triplets as pairs: the anchor is the same as the positive and differs from the negative, one after the other."""
    if isinstance(data, Pairs):
        return data
    ends = np.stack([data.positive, data.negative], 1).ravel()
    return Pairs(
        items=data.items,
        a=np.repeat(data.anchor, 2),
        b=ends,
        same=np.tile([True, False], len(data)),
        score=None,
        splits=np.repeat(data.splits, 2),
        rows=np.repeat(data.rows, 2),
        source=data.source,
        skipped=data.skipped,
        groups=None if data.groups is None else np.repeat(data.groups, 2),
    )


def pair_counts(pairs: Pairs) -> dict[str, int]:
    """How many pairs of which verdict, and how many items are in them."""
    found = {"pairs": len(pairs), "items": len(np.union1d(pairs.a, pairs.b))}
    if pairs.same is not None:
        found |= {"same_pairs": int(pairs.same.sum()), "different_pairs": int((~pairs.same).sum())}
    return found


def one_split(pairs: Pairs, split: str) -> Pairs:
    """The pairs of a split, or all.

    Raises:
        CrossModalError: There are none.
    """
    found = pairs if split == "all" else pairs.split(split)
    if not len(found):
        raise CrossModalError(f"{pairs.source}: expected pairs in the split {split}, found none")
    return found


def pair_protocol(pairs: Pairs, split: str, scorer: PairScorer, seed: int) -> dict[str, Any]:
    """What was measured, on what, how: everything that somebody needs to measure it again."""
    measured = pairs if split == "all" else pairs.split(split)
    return {
        "data": pairs.source,
        "digest": pairs.digest,
        "split": split,
        "split_digest": measured.digest,
        **pair_counts(measured),
        "seeds": [seed],
        "method": f"score: {scorer.name}; threshold and probability as the model was calibrated, on validation pairs",
        "interval": "95 %, bootstrap over identities (groups, else connected pairs, else items)",
    }


def log_pair_data(run: TrackedRun, pairs: Pairs, config: DataConfig, splits: tuple[str, ...]) -> None:
    """Logs the items as datasets, one a split, the pairs as counts, and the rows that were left out."""
    log_items(run, dataclasses.replace(pairs.items, skipped=pairs.skipped), splits, config)
    run.tags({"cross_modal.digest": pairs.digest})
    for split in splits:
        run.parameters({f"pairs.{split}": pair_counts(pairs if split == "all" else pairs.split(split))})
