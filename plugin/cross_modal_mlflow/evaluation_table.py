"""What `mlflow.models.evaluate` was given, as items, pairs and, where the table brings them, embeddings."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from cross_modal.data.items import Items
from cross_modal.errors import CrossModalError
from cross_modal_mlflow.items_table import items_of_table
from cross_modal_mlflow.pair_table import ItemPairs, as_rows, has_pairs, pairs_of_column

SAME = "same"  # the target that says whether two rows of a pair are the same; any other is a class


@dataclass(frozen=True)
class EvaluationTable:
    """What is evaluated.

    Attributes:
        items: One row an item; without labels where the targets were `same`.
        pairs: Pairs that the table names, or None.
        embeddings: (N,) the embedding of each row, or None where a model is to be asked.
        split: The split that is measured, "all" for all rows.
    """

    items: Items
    pairs: ItemPairs | None
    embeddings: list[Any] | None
    split: str

    @property
    def measured(self) -> np.ndarray:
        """(n,) int64 rows of the split that is measured."""
        if self.split == "all" or self.items.splits is None:
            return np.arange(len(self.items))
        return np.flatnonzero(self.items.splits == self.split)


def read_evaluation_table(dataset: Any, *, with_model: bool, split: str | None = None) -> EvaluationTable:
    """Reads MLflow's evaluation dataset.

    Args:
        dataset: An `EvaluationDataset` over a DataFrame.
        with_model: Whether there is a model to ask; else the predictions column holds the embeddings.
        split: What is measured; None takes "test" where the table has such rows, else all.

    Returns:
        The table.

    Raises:
        CrossModalError: No DataFrame, no embeddings from anywhere, a bad cell, or no rows of the split.
    """
    table = dataset.features_data
    if not hasattr(table, "columns"):
        raise CrossModalError(
            f"data: expected a DataFrame with columns image, text, label, …, found {type(table).__name__}"
        )
    cells = None if with_model else dataset.predictions_data
    if not with_model and cells is None:
        raise CrossModalError("data: expected a model, or predictions='…', a column of embeddings, found neither")
    targets, embeddings = dataset.labels_data, None if cells is None else list(cells)
    paired, wide = has_pairs(table), "pair" not in table
    labels, same = targets, None
    if paired and targets is not None and (wide or dataset.targets_name == SAME):
        labels, same = None, targets
    elif paired and SAME in table:
        same = table[SAME].tolist()
    if embeddings is not None and paired and wide:
        raise CrossModalError("data: expected two rows a pair (a column pair) beside embeddings, found one row a pair")
    table, same = as_rows(table, same)
    stand_ins = None if embeddings is None else [np.asarray(cell, np.float32).tobytes() for cell in embeddings]
    items = items_of_table(table, labels, source=str(dataset.name), stand_ins=stand_ins)
    pairs = pairs_of_column(table["pair"].tolist(), same, items.labels) if paired else None
    return EvaluationTable(items, pairs, embeddings, _split(items, split))


def without_modality(table: EvaluationTable, images: bool, texts: bool) -> EvaluationTable:
    """The table without pictures or texts that the model cannot read.

    Args:
        table: The table.
        images: Keep the pictures.
        texts: Keep the texts.
    """
    items, nothing = table.items, np.full(len(table.items), None, object)
    if not images:
        items = replace(items, images=nothing)
    return replace(table, items=items if texts else replace(items, texts=nothing))


def _split(items: Items, asked: str | None) -> str:
    found = [] if items.splits is None else sorted(set(items.splits.tolist()))
    if asked is None:
        return "test" if "test" in found else "all"
    if asked != "all" and asked not in found:
        raise CrossModalError(
            f"data: expected rows of the split {asked}, found {', '.join(found) or 'no split column'}"
        )
    return asked
