"""The K-shot protocol on embeddings that are there already: pools of a table of items become the experiment's sides."""

from __future__ import annotations

import numpy as np

from cross_modal.evaluation import class_texts
from cross_modal.fewshot.classifiers import METHODS
from cross_modal.fewshot.kshot import run_kshot
from cross_modal.fewshot.kshot_items import KShotItems, item_ids
from cross_modal.fewshot.kshot_result import KShotResult
from cross_modal.fewshot.kshot_sides import LearningSide, TestSide
from cross_modal.fewshot.scoring import Metric
from cross_modal_mlflow.evaluation_settings import FewShotSettings
from cross_modal_mlflow.predicted_embeddings import ItemEmbeddings


def measure_kshot(
    embedded: ItemEmbeddings, pools: KShotItems, settings: FewShotSettings, metric: Metric, name: str
) -> KShotResult:
    """Runs the K-shot experiment.

    Args:
        embedded: Embeddings of at least the pools' rows.
        pools: Support, validation and test of the same items.
        settings: K, seeds, methods.
        metric: How embeddings are compared.
        name: What the protocol calls the data.

    Returns:
        Rows, protocol and notes; methods that need class texts are left out where there are none.

    Raises:
        CrossModalError: Too few pictures in a class for the largest K, or no method left.
    """
    config = settings.kshot_config
    learning = _learning_side(embedded, pools, metric, name)
    notes: list[str] = []
    if learning.texts is None and "all" not in config.methods:
        idle = [method for method in config.methods if METHODS[method].needs_texts]
        config.methods = [method for method in config.methods if method not in idle]
        notes = [f"{method} needs class texts and is left out: there are none" for method in idle]
    result = run_kshot(learning, _test_side(embedded, pools), config)
    result.notes.extend(notes)
    return result


def _learning_side(embedded: ItemEmbeddings, pools: KShotItems, metric: Metric, name: str) -> LearningSide:
    support, validation = pools.support, pools.validation
    validates, groups = len(validation) > 0, pools.items.groups
    labels = _labels(pools, support)
    classes = np.unique(labels)
    texts = None
    if embedded.texts is not None and len(pools.texts):
        rows = embedded.texts[embedded.text_of[pools.texts]]
        texts = class_texts(rows, np.searchsorted(classes, _labels(pools, pools.texts)), len(classes), metric)
    return LearningSide(
        _images(embedded, support),
        labels,
        _images(embedded, validation) if validates else None,
        _labels(pools, validation) if validates else None,
        texts,
        None if texts is None else classes,
        None,
        _ids(pools, support),
        _ids(pools, validation) if validates else None,
        None if groups is None else groups[support],
        None if groups is None or not validates else groups[validation],
        metric=metric,
        name=name,
    )


def _test_side(embedded: ItemEmbeddings, pools: KShotItems) -> TestSide:
    groups = pools.items.groups
    rows = pools.test
    return TestSide(
        _images(embedded, rows), _labels(pools, rows), _ids(pools, rows), None if groups is None else groups[rows]
    )


def _images(embedded: ItemEmbeddings, rows: np.ndarray) -> np.ndarray:
    assert embedded.images is not None
    return embedded.images[embedded.image_of[rows]]


def _labels(pools: KShotItems, rows: np.ndarray) -> np.ndarray:
    return pools.items.keys[rows].astype(str)


def _ids(pools: KShotItems, rows: np.ndarray) -> np.ndarray:
    return item_ids(pools.items, rows).astype(str)
