"""Where items come from, as MLflow keeps it with a dataset, and the way back: ``mlflow.data.get_source(…).load()``.

The module is an entry point that ``import mlflow`` imports: the standard library and MLflow's own base class, no more.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mlflow.data.dataset_source import DatasetSource

if TYPE_CHECKING:
    from cross_modal.data.items import Items

PREFIX = "items:"
SETTINGS: dict[str, tuple[type, ...]] = {  # the fields of DataConfig that decide what the items are
    "split_by": (str,),
    "split_prefix": (bool,),
    "validation_share": (float, int),
    "test_share": (float, int),
    "seed": (int,),
    "on_bad_item": (str,),
}
BUILT_IN = ("glyphs", "memory")


class ItemsSource(DatasetSource):
    """What ``--data`` takes, as ``items:SOURCE``, with what it takes to get the same items again.

    Args:
        source: The source as the user gave it.
        split: The split that the dataset is; None for all items.
        digest: Digest of the items, as `Items.digest` gives it; None where it is not known.
        settings: Fields of `DataConfig` that decide splits, where they are not the default.

    >>> ItemsSource._resolve("items:glyphs").to_dict()
    {'uri': 'items:glyphs'}
    """

    def __init__(
        self,
        source: str,
        split: str | None = None,
        digest: str | None = None,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        self.source, self.split, self.digest = source, split, digest
        self.settings = {name: value for name, value in (settings or {}).items() if name in SETTINGS}

    @staticmethod
    def _get_source_type() -> str:
        return "cross_modal_items"

    @staticmethod
    def _can_resolve(raw_source: Any) -> bool:
        return isinstance(raw_source, str) and raw_source.startswith(PREFIX)

    @classmethod
    def _resolve(cls, raw_source: Any) -> ItemsSource:
        return cls(str(raw_source).removeprefix(PREFIX))

    def load(self, *, consent: bool = False, **settings: Any) -> Items:
        """Reads the items again.

        It runs no command, asks no address and unpickles nothing, whoever logged the source.

        Args:
            consent: Also reads data outside the working folder.
            **settings: Fields of `DataConfig`, over those that were logged.

        Returns:
            The items of the split, or all of them with their splits.

        Raises:
            CrossModalError: It must not be read, cannot be read, or is no longer what was logged.
        """
        from cross_modal.configuration import DataConfig
        from cross_modal.errors import CrossModalError
        from cross_modal.fewshot.kshot_items import read_kshot_items
        from cross_modal_mlflow.dataset.source_safety import check_source

        config = DataConfig(**{**self.settings, **settings})
        check_source(self.source, consent=consent, config=config)
        items = read_kshot_items(self.source, config)
        if self.split is not None:
            items = items.split(self.split)
        if self.digest is not None and items.digest != self.digest:
            raise CrossModalError(
                f"{self.source}: expected items of the digest {self.digest}, found {items.digest}: they changed, or "
                "were split with other settings (load(seed=…); a new ItemsSource reads them as they are)"
            )
        return items

    def to_dict(self) -> dict[str, Any]:
        """What MLflow keeps; a path is kept whole, so that it means the same in another working folder."""
        kept = {"split": self.split, "digest": self.digest, "settings": self.settings}
        return {"uri": f"{PREFIX}{_anchored(self.source)}", **{name: value for name, value in kept.items() if value}}

    @classmethod
    def from_dict(cls, source_dict: Mapping[Any, Any]) -> ItemsSource:
        """The source that `to_dict` described; fields that are not what they should be are passed over."""
        uri, given = str(source_dict.get("uri", "")), source_dict.get("settings")
        split, digest = (value if isinstance(value := source_dict.get(name), str) else None for name in _TEXTS)
        settings = {
            name: given[name]
            for name, kinds in SETTINGS.items()
            if isinstance(given, Mapping) and type(given.get(name)) in kinds
        }
        return cls(uri.removeprefix(PREFIX), split, digest, settings)


_TEXTS = ("split", "digest")


def _anchored(source: str) -> str:
    """A path as seen from everywhere; names of built-in data sets stay what they are."""
    if source in BUILT_IN:
        return source
    kind, colon, rest = source.partition(":")
    if colon and kind == "webdataset" and not rest.startswith(("pipe:", "/")) and "://" not in rest:
        return f"webdataset:{os.path.join(os.getcwd(), rest)}"
    return os.path.abspath(source) if os.path.exists(source) else source
