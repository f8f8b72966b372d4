"""Few-shot items as an MLflow dataset: content digest, profile, leaks between splits, and the way back to the data.

    dataset = mlflow.data.from_few_shot("birds.csv", split="test")
    mlflow.log_input(dataset, context="test")
    mlflow.models.evaluate(model_uri, dataset, model_type="few-shot", evaluators="few_shot")

`from_few_shot` is an entry point that ``import mlflow`` imports: only the standard library and MLflow's own classes.
"""

# No postponed annotations here: MLflow reads the constructor's real return class.
import json
from typing import TYPE_CHECKING, Any

from mlflow.data.dataset import Dataset
from mlflow.data.evaluation_dataset import EvaluationDataset
from mlflow.data.pyfunc_dataset_mixin import PyFuncConvertibleDatasetMixin, PyFuncInputsOutputs
from mlflow.types import ColSpec, Schema

from cross_modal_mlflow.dataset.items_source import ItemsSource

if TYPE_CHECKING:
    from cross_modal.data.items import Items
    from cross_modal.data.leakage import LeakageReport


class ItemsDataset(Dataset, PyFuncConvertibleDatasetMixin):
    """Items, whole or one split.

    Args:
        items: The items.
        name: What MLflow shows.
        digest: In place of the content's own.
        leakage: What leaks between the splits of the whole data, where that was looked for.
        settings: Fields of `DataConfig` that decided the splits, where they are not the default.
    """

    def __init__(
        self,
        items: "Items",
        name: str,
        digest: str | None = None,
        leakage: "LeakageReport | None" = None,
        settings: dict[str, Any] | None = None,
    ) -> None:
        self._items, self.leakage = items, leakage
        splits = set() if items.splits is None else set(items.splits.tolist())
        split = str(splits.pop()) if len(splits) == 1 else None
        super().__init__(source=ItemsSource(items.source, split, items.digest, settings), name=name, digest=digest)

    def _compute_digest(self) -> str:
        return self._items.digest

    @property
    def items(self) -> "Items":
        """The items."""
        return self._items

    @property
    def targets(self) -> str | None:
        """The column of the classes; None where there are no labels."""
        return None if self._items.labels is None else "label"

    @property
    def profile(self) -> dict[str, Any]:
        """What they are made of; see `dataset_profile`."""
        from cross_modal_mlflow.dataset_profile import dataset_profile

        return dataset_profile(self._items, self.leakage)

    @property
    def schema(self) -> Schema:
        """The columns."""
        columns = {"image": "binary", "text": "string", "label": "string"}
        return Schema([ColSpec(kind, name, required=False) for name, kind in columns.items()])

    def to_dict(self) -> dict[str, Any]:
        """What MLflow keeps."""
        schema = json.dumps({"mlflow_colspec": self.schema.to_dict()})
        return {**super().to_dict(), "schema": schema, "profile": json.dumps(self.profile)}

    def to_pyfunc(self) -> PyFuncInputsOutputs:
        """Inputs (image, text, …) and, where there are labels, outputs."""
        from cross_modal_mlflow.items_table import table_of_items

        table = table_of_items(self._items)
        if self.targets is None:
            return PyFuncInputsOutputs(table)  # type: ignore[arg-type]
        return PyFuncInputsOutputs(table.drop(columns=self.targets), table[self.targets])  # type: ignore[arg-type]

    def to_evaluation_dataset(self, path: Any = None, feature_names: Any = None) -> EvaluationDataset:
        """What `mlflow.models.evaluate` works on."""
        from cross_modal_mlflow.items_table import table_of_items

        return EvaluationDataset(
            table_of_items(self._items),
            targets=self.targets,
            path=path,
            feature_names=feature_names,
            name=self.name,
            digest=self.digest,
        )


def from_few_shot(
    data: Any,
    split: str | None = None,
    *,
    targets: str = "label",
    source: str | None = None,
    name: str | None = None,
    digest: str | None = None,
    **settings: Any,
) -> ItemsDataset:
    """Makes a dataset of few-shot items: ``mlflow.data.from_few_shot``.

    Args:
        data: A source as ``--data`` takes it (a manifest, a folder of class folders, ``glyphs``, …), a DataFrame with
            columns image, text, label, split, group, genuine (those that exist), or `Items`.
        split: Only this split; what leaks between splits is looked for before.
        targets: The column of the classes, in a DataFrame.
        source: Where a DataFrame came from, as ``--data`` takes it; the dataset can then be loaded again.
        name: What MLflow shows; None takes the source's.
        digest: In place of the content's own.
        **settings: Fields of `DataConfig`, which decide splits that the data does not bring.

    Returns:
        The dataset; its `leakage` names what stands in two splits.

    Raises:
        CrossModalError: The data cannot be read, or has no such split.
    """
    from pathlib import Path

    from cross_modal.data.leakage import find_leakage

    items = _items_of(data, targets, source, settings)
    leakage = find_leakage(items) if items.splits is not None else None
    if split is not None:
        items = _split_of(items, split)
    title = name or Path(items.source).name or items.source
    return ItemsDataset(items, title, digest, leakage, settings if isinstance(data, str) else None)


def profile(items: "Items") -> dict[str, int]:
    """Counts of items, classes, pictures, texts and left-out items."""
    from cross_modal_mlflow.dataset_profile import counts

    return counts(items)


def _items_of(data: Any, targets: str, source: str | None, settings: dict[str, Any]) -> "Items":
    from cross_modal.configuration import DataConfig
    from cross_modal.data.items import Items
    from cross_modal.errors import CrossModalError
    from cross_modal.fewshot.kshot_items import read_kshot_items
    from cross_modal_mlflow.items_table import items_of_table

    if isinstance(data, Items):
        return data
    if hasattr(data, "columns"):
        labels = data[targets].tolist() if targets in data else None
        return items_of_table(data, labels, source=source or "memory")
    if not isinstance(data, str) and not hasattr(data, "__fspath__"):
        raise CrossModalError(f"from_few_shot: expected a source, a DataFrame or Items, found {type(data).__name__}")
    fields = DataConfig.__dataclass_fields__
    for name in settings:
        if name not in fields:
            raise CrossModalError(f"from_few_shot: expected fields of DataConfig ({', '.join(fields)}), found {name!r}")
    return read_kshot_items(str(data).removeprefix("items:"), DataConfig(**settings))


def _split_of(items: "Items", split: str) -> "Items":
    from cross_modal.errors import CrossModalError

    found = items.split(split)
    if not len(found):
        raise CrossModalError(f"{items.source}: expected items in the split {split}, found none")
    return found
