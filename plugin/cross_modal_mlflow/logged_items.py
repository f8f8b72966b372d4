"""What a run keeps of its data: a dataset for each split, the counts, and the items that were left out."""

from __future__ import annotations

from typing import Any

from cross_modal.configuration import DataConfig
from cross_modal.data.items import Items
from cross_modal_mlflow.dataset import ItemsDataset, profile
from cross_modal_mlflow.logged_twin import dataset_name
from cross_modal_mlflow.tracking import TrackedRun


def log_items(run: TrackedRun, items: Items, splits: tuple[str, ...], config: DataConfig) -> None:
    """Logs the data: one dataset a split, counts as parameters, and the items that were left out."""
    settings = {name: value for name, value in vars(config).items() if value != getattr(DataConfig(), name)}
    run.tags({"cross_modal.data": items.source, "cross_modal.digest": items.digest})
    for split in splits:
        part = items if split == "all" else items.split(split)
        if len(part):
            run.dataset(ItemsDataset(part, dataset_name(items), settings=settings), context=split)
            counts = {name: count for name, count in profile(part).items() if name != "skipped"}
            run.parameters({f"data.{split}": counts})
    if items.skipped:
        columns: dict[str, list[Any]] = {
            "row": [bad.row for bad in items.skipped],
            "where": [bad.where for bad in items.skipped],
            "reason": [bad.reason for bad in items.skipped],
        }
        run.table(columns, "skipped_items.json")
        run.metrics({"data/skipped_items": len(items.skipped)})
