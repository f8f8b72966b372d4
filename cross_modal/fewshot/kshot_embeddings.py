"""From the pools of a K-shot experiment to its two sides: pictures and names through a twin, once each.

Ids are hashes of the pictures' content, so that a split means the same pictures wherever the files lie. Supports nest
and are drawn by rank, so those of the largest K contain all others: where the data brings its own validation, only
pictures that some split draws are embedded, however large the training split is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from cross_modal.configuration import AugmentationConfig, DataConfig, KShotConfig
from cross_modal.data.items import content_hashes
from cross_modal.data.pictures import Pictures
from cross_modal.embed_items import open_pictures
from cross_modal.encoders.embedding import Progress, embed_images, embed_texts
from cross_modal.encoders.feature_store import FeatureStore
from cross_modal.encoders.stored_embedding import stored_image_embeddings, stored_text_embeddings
from cross_modal.encoders.twin import TwinEncoder
from cross_modal.errors import CrossModalError
from cross_modal.evaluation import class_texts
from cross_modal.fewshot.kshot_items import TEST_SHARE, VALIDATION_SHARE, KShotItems, item_ids
from cross_modal.fewshot.kshot_sides import LearningSide, TestSide
from cross_modal.fewshot.kshot_split import KShotSplit, kshot_split
from cross_modal.fewshot.prompts import class_text_embeddings, read_templates
from cross_modal.fewshot.support_views import content_numbers, embed_views, kind_of_views, view_maps

KEPT_BACK = f"{100 * (TEST_SHARE + VALIDATION_SHARE):.0f} %"


def kshot_sides(
    twin: TwinEncoder,
    pools: KShotItems,
    data: DataConfig,
    config: KShotConfig,
    *,
    name: str = "items",
    augmentation: AugmentationConfig | None = None,
    store: FeatureStore | None = None,
    progress: Progress | None = None,
) -> tuple[LearningSide, TestSide]:
    """Embeds the pools.

    Args:
        twin: The twin; its mode is restored.
        pools: Support, validation and test.
        data: Limits and workers of decoding.
        config: Shots and seeds (what is never drawn is not embedded), texts, views.
        name: What the protocol calls the data.
        augmentation: How the twin was trained, by its card; it decides what a view of a picture is.
        store: Where embeddings are kept between runs; None computes everything.
        progress: Called with the number of pictures just done.

    Returns:
        What selection may see, and what is measured.

    Raises:
        CrossModalError: If the twin has no image trunk, or a class has fewer pictures than K and may not.
    """
    pictures = open_pictures(pools.items, twin, data)
    pools = drawn(pools, config)
    parts = (pools.support, pools.validation, pools.test)
    rows = np.concatenate(parts)
    contents = content_hashes(pools.items.images[rows])
    if store is None:
        embedded = embed_images(twin, pictures, rows, progress=progress)
    else:
        embedded = stored_image_embeddings(twin, pictures, rows, contents, store, progress=progress)
    cuts = np.cumsum([len(part) for part in parts])[:-1]
    train, validation, test = np.split(embedded, cuts)
    ids = np.split(item_ids(pools.items, rows).astype(str), cuts)
    labels = [_labels(pools, part) for part in parts]
    groups = [None if pools.items.groups is None else pools.items.groups[part] for part in parts]
    classes = np.unique(labels[0])
    texts = _class_texts(twin, pools, classes, config.templates, store) if config.texts else None
    validates = len(validation) > 0
    learning = LearningSide(
        train,
        labels[0],
        validation if validates else None,
        labels[1] if validates else None,
        texts,
        None if texts is None else classes,
        _views(twin, pictures, pools.support, contents[: len(train)], config.views, augmentation, progress),
        ids[0],
        ids[1] if validates else None,
        groups[0],
        groups[1] if validates else None,
        metric=twin.metric,
        name=name,
    )
    return learning, TestSide(test, labels[2], ids[2], groups[2])


def drawn(pools: KShotItems, config: KShotConfig) -> KShotItems:
    """The pools with only those support and validation pictures that some split draws.

    Args:
        pools: Support, validation and test.
        config: Shots, seeds, validation.

    Returns:
        The pools, unchanged where validation has to be held out of the support first.

    Raises:
        CrossModalError: If a class has fewer pictures than K and may not.
    """
    if config.max_validation and not len(pools.validation):
        return pools
    support, validation = (_by_class(pools, rows) for rows in (pools.support, pools.validation))
    try:
        splits = [_split(support, validation, config, seed) for seed in config.seeds]
    except CrossModalError as error:
        if pools.manner == "own splits":
            raise
        raise CrossModalError(f"{error}; {KEPT_BACK} of each class's pictures are tested or validate") from None
    return replace(
        pools,
        support=_rows(support, [split.support for split in splits]),
        validation=_rows(validation, [split.validation for split in splits]),
    )


def _split(
    support: dict[str, dict[str, int]], validation: dict[str, dict[str, int]], config: KShotConfig, seed: int
) -> KShotSplit:
    """The split of the largest K, which contains all others."""
    return kshot_split(
        {label: list(of_id) for label, of_id in support.items()},
        {label: list(of_id) for label, of_id in validation.items()},
        max(config.shots),
        seed,
        config.max_validation,
        config.allow_fewer or config.base_to_new,  # there new classes need no support; the experiment looks again
    )


def _by_class(pools: KShotItems, rows: np.ndarray) -> dict[str, dict[str, int]]:
    """Class → id → row."""
    found: dict[str, dict[str, int]] = {}
    for label, name, row in zip(pools.items.keys[rows], item_ids(pools.items, rows), rows.tolist(), strict=True):
        found.setdefault(label, {})[name] = row
    return found


def _rows(pool: dict[str, dict[str, int]], draws: Sequence[dict[str, list[str]]]) -> np.ndarray:
    """The rows that some split draws, ascending."""
    rows = {pool[label][name] for draw in draws for label, names in draw.items() for name in names}
    return np.array(sorted(rows), np.int64)


def _labels(pools: KShotItems, rows: np.ndarray) -> np.ndarray:
    return pools.items.keys[rows].astype(str) if len(rows) else np.zeros(0, "<U1")


def _class_texts(
    twin: TwinEncoder, pools: KShotItems, classes: np.ndarray, templates: str, store: FeatureStore | None
) -> np.ndarray | None:
    """(C, dim) the mean of each class's texts in their templates, NaN where it has none; None without a single one."""
    if twin.text is None or not len(pools.texts):
        return None
    texts = [str(pools.items.texts[row]) for row in pools.texts]

    def embed(prompts: list[str]) -> np.ndarray:
        return embed_texts(twin, prompts) if store is None else stored_text_embeddings(twin, prompts, store)

    rows = (
        embed(texts)
        if templates == "plain"
        else class_text_embeddings(texts, read_templates(templates), embed, normalise=twin.normalise)
    )
    return class_texts(rows, np.searchsorted(classes, _labels(pools, pools.texts)), len(classes), twin.metric)


def _views(
    twin: TwinEncoder,
    pictures: Pictures,
    rows: np.ndarray,
    contents: list[bytes],
    views: int,
    augmentation: AugmentationConfig | None,
    progress: Progress | None,
) -> np.ndarray | None:
    """(S, V, dim) the views of the support; None where one plain picture is asked for."""
    if views == 1:
        return None
    maps = view_maps(kind_of_views(augmentation), views, 0, content_numbers(contents), augmentation)
    return embed_views(twin, pictures, rows, maps, progress=progress)
