"""What a few-shot dataset is made of: classes, shots, modalities, imbalance, splits, and what leaks between them.

It is JSON on the dataset's page in MLflow, so the fields that are looked at first come first, and there are few.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from cross_modal.data.items import Items
    from cross_modal.data.leakage import LeakageReport

SHOTS = (1, 2, 5, 10, 20)


def dataset_profile(items: Items, leakage: LeakageReport | None = None) -> dict[str, Any]:
    """The profile of a table of items.

    Args:
        items: One split, or all.
        leakage: What leaks between the splits of the whole data; None where that was not looked for.

    Returns:
        JSON-able: "items", "classes", "pictures", "texts", "skipped"; "shots" of a class (its distinct genuine
        pictures, or its texts where there are no pictures), each as least, median and most; "classes_with_at_least" so
        many shots (K-shot episodes need one more than K); "imbalance", most over least; "modalities" of the rows;
        "splits", "groups", "forgeries" and "leakage" where there are any.

    >>> from cross_modal.data.items import Items
    >>> found = dataset_profile(Items.of(images=[b"1", b"2", b"3"], texts=["a", "a", None], labels=["x", "x", "y"]))
    >>> found["shots"], found["imbalance"], found["modalities"]
    ({'least': 1, 'median': 1.5, 'most': 2}, 2.0, {'both': 2, 'picture': 1, 'text': 0})
    """
    both = items.has_image & items.has_text
    profile: dict[str, Any] = counts(items)
    if len(items):
        shots = _shots(items)
        profile["shots"] = {"least": int(shots.min()), "median": float(np.median(shots)), "most": int(shots.max())}
        profile["classes_with_at_least"] = {str(count): int((shots >= count).sum()) for count in SHOTS}
        profile["imbalance"] = round(float(shots.max() / max(shots.min(), 1)), 3)
    profile["modalities"] = {
        "both": int(both.sum()),
        "picture": int((items.has_image & ~both).sum()),
        "text": int((items.has_text & ~both).sum()),
    }
    if items.splits is not None:
        names, rows = np.unique([str(split) for split in items.splits], return_counts=True)
        profile["splits"] = dict(zip(names.tolist(), rows.tolist(), strict=True))
    if items.groups is not None:
        profile["groups"] = len({group for group in items.groups.tolist() if group is not None})
    if items.genuine is not None:
        profile["forgeries"] = int((~items.genuine).sum())
    if leakage is not None:
        profile["leakage"] = leakage.counts()
    return profile


def counts(items: Items) -> dict[str, int]:
    """Counts of items, classes, pictures, texts and left-out items."""
    return {
        "items": len(items),
        "classes": len(items.classes),
        "pictures": int(items.has_image.sum()),
        "texts": int(items.has_text.sum()),
        "skipped": len(items.skipped),
    }


def _shots(items: Items) -> np.ndarray:
    """(C,) int64: how many distinct pictures (or texts) a class has to give; forgeries are none."""
    genuine = np.ones(len(items), bool) if items.genuine is None else items.genuine
    if items.has_images:
        numbers, usable = items.image_ids, items.has_image & genuine
    else:
        numbers = np.unique([str(text) for text in items.texts], return_inverse=True)[1]
        usable = items.has_text & genuine
    distinct = np.unique(np.stack([items.class_ids[usable], numbers[usable]], 1), axis=0)
    return np.bincount(distinct[:, 0], minlength=len(items.classes))
