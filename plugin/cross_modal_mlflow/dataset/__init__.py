"""Few-shot datasets in MLflow: the dataset, its source, and what may be loaded on somebody else's word.

MLflow is imported before anything here: its import looks up our entry points, which lie in this package. Were one of
their modules the first to import MLflow, MLflow would meet it half made, and go on without it. The names are imported
when they are first asked for, since MLflow is half made itself when it comes here.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

import mlflow  # noqa: F401

if TYPE_CHECKING:
    from cross_modal_mlflow.dataset.items_dataset import ItemsDataset, from_few_shot, profile
    from cross_modal_mlflow.dataset.items_source import ItemsSource

__all__ = ["ItemsDataset", "ItemsSource", "from_few_shot", "profile"]


def __getattr__(name: str) -> Any:
    """Imports a name when it is first asked for (PEP 562)."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = "items_source" if name == "ItemsSource" else "items_dataset"
    return getattr(import_module(f"{__name__}.{home}"), name)
