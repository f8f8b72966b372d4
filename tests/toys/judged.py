"""Judged pairs and triplets that a small twin learns in seconds: sentences of colour words, and shapes."""

import numpy as np
from toys.shapes import shapes

from cross_modal.configuration import Experiment, PartConfig, TextTrunkConfig
from cross_modal.data.items import Items, column
from cross_modal.data.pairs import Pairs, Triplets

WORDS = {"warm": ("red", "orange", "amber"), "cold": ("blue", "azure", "navy"), "grey": ("ash", "slate", "lead")}
ENDINGS = ("sky", "car", "door", "wall", "hat")


def sentences() -> Items:
    """Forty-five sentences, none of which is in two splits: the last two endings validate and test."""
    texts, labels, splits = [], [], []
    for label, words in WORDS.items():
        for word in words:
            for place, ending in enumerate(ENDINGS):
                texts.append(f"a {word} {ending}")
                labels.append(label)
                splits.append(("train", "train", "train", "validation", "test")[place])
    return Items.of(texts=texts, labels=labels, splits=splits, source="sentences.csv")


def judged(items: Items, same_share: float = 0.5, graded: bool = False, seed: int = 0, most: int = 200) -> Pairs:
    """Pairs within each split: the same where the labels are; graded ones lie near 0 and near 1."""
    random = np.random.default_rng(seed)
    ends, splits = [], []
    for split in ("train", "validation", "test"):
        rows = np.flatnonzero(items.splits == split)
        a, b = (part.ravel() for part in np.meshgrid(rows, rows))
        a, b = a[a < b], b[a < b]
        same = items.class_ids[a] == items.class_ids[b]
        wanted = int(min(same.sum(), most * same_share)), int(min((~same).sum(), most * (1 - same_share)))
        for kind, count in zip((same, ~same), wanted, strict=True):
            chosen = random.permutation(np.flatnonzero(kind))[:count]
            ends.append(np.stack([a[chosen], b[chosen]]))
            splits += [split] * count
    a, b = np.concatenate(ends, axis=1)
    same = items.class_ids[a] == items.class_ids[b]
    score = np.clip(same + random.normal(0, 0.1, len(same)), 0, 1) if graded else None
    bare = Items.of(images=items.images, texts=items.texts, splits=items.splits, source=items.source)
    rows = np.arange(1, len(a) + 1)
    return Pairs(bare, a, b, None if graded else same, score, column(splits), rows, items.source)


def triplets(items: Items) -> Triplets:
    """Triplets within each split."""
    pairs = judged(items)
    assert pairs.same is not None
    ends, splits = [], []
    for split in ("train", "validation", "test"):
        part = pairs.split(split)
        same, different = np.flatnonzero(part.same), np.flatnonzero(~part.same)
        for row in same.tolist():
            others = np.concatenate([part.b[different][part.a[different] == part.a[row]]])
            for other in others[:2].tolist():
                ends.append((part.a[row], part.b[row], other))
                splits.append(split)
    anchor, positive, negative = np.array(ends, np.int64).T
    rows = np.arange(1, len(ends) + 1)
    return Triplets(pairs.items, anchor, positive, negative, column(splits), rows, items.source)


def shape_pairs(graded: bool = False) -> Pairs:
    """Pairs of pictures."""
    return judged(shapes(texts=False), graded=graded)


def text_experiment(experiment: Experiment, trunk: str = "gru") -> Experiment:
    """Settings for sentences: a text trunk from scratch."""
    experiment.twin.text = TextTrunkConfig(name=trunk, width=16, layers=1, heads=2, dropout=0.0, vocabulary=64)
    experiment.pairs.batch.pairs = 32
    return experiment


def with_loss(experiment: Experiment, name: str, **arguments: object) -> Experiment:
    """The experiment with another loss over pairs."""
    experiment.pairs.objective.loss = PartConfig(name, arguments)
    return experiment
