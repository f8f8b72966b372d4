"""Items as an MLflow dataset: a name, a content digest, how many items and classes, and where they came from."""

# No postponed annotations here: MLflow reads the classes' real annotations.
import json
from typing import TYPE_CHECKING, Any

from mlflow.data.dataset import Dataset
from mlflow.data.dataset_source import DatasetSource
from mlflow.types import ColSpec, Schema

if TYPE_CHECKING:
    from cross_modal.data.items import Items


class ItemsSource(DatasetSource):
    """Where items come from: what ``--data`` takes, as ``items:SOURCE``.

    Args:
        source: The source as the user gave it.
    """

    def __init__(self, source: str) -> None:
        self.source = source

    @staticmethod
    def _get_source_type() -> str:
        return "cross_modal_items"

    @staticmethod
    def _can_resolve(raw_source: Any) -> bool:
        return isinstance(raw_source, str) and raw_source.startswith("items:")

    @classmethod
    def _resolve(cls, raw_source: Any) -> "ItemsSource":
        return cls(raw_source.removeprefix("items:"))

    def load(self, **kwargs: Any) -> "Items":
        """Reads the items, with their splits.

        Args:
            **kwargs: Fields of `DataConfig`.
        """
        from cross_modal.configuration import DataConfig
        from cross_modal.data.sources import read_items

        return read_items(self.source, DataConfig(**kwargs))

    def to_dict(self) -> dict[str, Any]:
        """What MLflow keeps."""
        return {"uri": f"items:{self.source}"}

    @classmethod
    def from_dict(cls, source_dict: dict[str, Any]) -> "ItemsSource":
        """The source that `to_dict` described."""
        return cls._resolve(source_dict["uri"])


class ItemsDataset(Dataset):
    """A split of items.

    Args:
        items: The items.
        name: What MLflow shows.
    """

    def __init__(self, items: "Items", name: str) -> None:
        self._items = items
        super().__init__(source=ItemsSource(items.source), name=name, digest=items.digest)

    def _compute_digest(self) -> str:
        return self._items.digest

    @property
    def profile(self) -> dict[str, int]:
        """Counts."""
        return profile(self._items)

    @property
    def schema(self) -> Schema:
        """The columns."""
        return Schema(
            [
                ColSpec("binary", "image", required=False),
                ColSpec("string", "text", required=False),
                ColSpec("string", "label", required=False),
            ]
        )

    def to_dict(self) -> dict[str, Any]:
        """What MLflow keeps."""
        schema = json.dumps({"mlflow_colspec": self.schema.to_dict()})
        return {**super().to_dict(), "schema": schema, "profile": json.dumps(self.profile)}


def profile(items: "Items") -> dict[str, int]:
    """Counts of items, classes, pictures, texts and left-out items."""
    return {
        "items": len(items),
        "classes": len(items.classes),
        "pictures": int(sum(cell is not None for cell in items.images)),
        "texts": int(sum(cell is not None for cell in items.texts)),
        "skipped": len(items.skipped),
    }
