"""What several trainings on the same items have in common: the trials of a sweep, the seeds of a comparison.

Reading a split, hashing and decoding its pictures, building a frozen trunk and hashing its weights are the same in
every trial, and on a frozen trunk they cost more than the training itself. `SharedParts` does each once a process; the
decoded pictures lie in the feature store, so they are decoded once for all processes of the machine.

Sharing changes no number: a training gives the same weights with and without it. A frozen trunk is built from the seed
like any other, and random numbers start anew behind it, so the head on a trunk that was built before is the head that
it would have got anyway.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Hashable, Iterable
from importlib.metadata import version
from pathlib import Path
from typing import TypeVar, cast

import numpy as np
import torch

from cross_modal.configuration import DataConfig, TwinConfig
from cross_modal.data.items import Items, content_hashes
from cross_modal.data.pictures import Keep, Pictures
from cross_modal.embed_items import open_pictures
from cross_modal.encoders.build import Trunks, build_trunks, build_twin
from cross_modal.encoders.feature_description import REVISION, Modality
from cross_modal.encoders.feature_store import FeatureStore
from cross_modal.encoders.stored_array import StoredArray, stored_array
from cross_modal.encoders.trunk_features import TrunkFeatures
from cross_modal.encoders.twin import TwinEncoder

Part = TypeVar("Part")
FROZEN = "trunk"  # the `twin.freeze` whose trunks are shared


class SharedParts:
    """Parts by what determines them. Items are known by identity: give the same object to every training.

    Args:
        folder: Folder of the store that decoded pictures are kept in; None takes the user's feature store, and memory
            alone where that is switched off (``CROSS_MODAL_CACHE=off``) or read-only.

    Raises:
        CrossModalError: If the folder that was named cannot be made or written to.

    Example:
        >>> items = Items.of(texts=["a cat", "a dog"], labels=["cat", "dog"], splits=["train", "test"])
        >>> shared = SharedParts.alone()
        >>> shared.split(items, "train") is shared.split(items, "train")
        True
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._store = FeatureStore.open() if folder is None else FeatureStore(folder)
        self._parts: dict[Hashable, object] = {}
        self._alive: list[object] = []  # whose identity is part of a key

    @classmethod
    def alone(cls) -> SharedParts:
        """For one training by itself: nothing is written to disk."""
        parts = cls.__new__(cls)
        parts._store, parts._parts, parts._alive = None, {}, []
        return parts

    def split(self, items: Items, name: str) -> Items:
        """The items of a split, with the ids and hashes that were worked out for it before."""
        return self._once(("split", id(items), name), items, lambda: items.split(name))

    def made(self, name: Hashable, items: Items, make: Callable[[], Part]) -> Part:
        """What was made of items under a name before, or now."""
        return self._once(("made", name, id(items)), items, make)

    def contents(self, items: Items) -> list[bytes]:
        """The content hash of each picture: (N,) of 32 bytes."""
        return self._once(("contents", id(items)), items, lambda: content_hashes(items.images))

    def pictures(self, items: Items, twin: TwinEncoder, config: DataConfig) -> Pictures:
        """The pictures of items at the size, channels and fit of the twin's image trunk.

        Raises:
            CrossModalError: If the twin has no image trunk.
        """
        trunk = twin.image
        fit = None if trunk is None else (trunk.channels, trunk.size, trunk.resize, trunk.interpolation)
        limits = (config.max_pixels, config.workers, config.memory_gigabytes, config.feature_store)
        keep = self._keep(items, fit, config.max_pixels) if self._store and config.feature_store else None
        return self._once(
            ("pictures", id(items), fit, limits), items, lambda: open_pictures(items, twin, config, keep=keep)
        )

    def twin(self, config: TwinConfig, texts: Iterable[str], seed: int, device: torch.device) -> TwinEncoder:
        """An untrained twin; its trunks are shared with other twins where they are frozen.

        Args:
            config: The twin's settings.
            texts: Training texts, from which text trunks from scratch learn their vocabulary.
            seed: Seed of all weights.
            device: Where frozen trunks go at once, as features are known by the device that computes them.

        Returns:
            The twin. torch's random numbers stand where they stand after `seed` and its parts: behind frozen trunks
            they start anew.
        """
        torch.manual_seed(seed)
        if config.freeze != FROZEN:
            return build_twin(config, texts)
        texts = sorted(set(texts))
        vocabulary = hashlib.sha256(json.dumps(texts).encode()).hexdigest()
        settings = json.dumps([dataclasses.asdict(config.image), dataclasses.asdict(config.text)])
        key = ("trunks", settings, vocabulary, seed)
        trunks: Trunks = self._once(key, None, lambda: build_trunks(config, texts))
        torch.manual_seed(seed)
        return TwinEncoder(config, trunks.image, trunks.text, residual=trunks.residual).to(device)

    def features(self, twin: TwinEncoder, modality: Modality, store: FeatureStore) -> TrunkFeatures | None:
        """The features of one side of a twin with frozen trunks, opened once; None where it has no such side."""
        trunk = twin.image if modality == "image" else twin.text
        if trunk is None:
            return None
        return self._once(("features", id(trunk), str(store.root)), trunk, lambda: TrunkFeatures(twin, modality, store))

    def _keep(self, items: Items, fit: tuple[object, ...] | None, max_pixels: int) -> Keep:
        """Looks decoded pictures up in the store, by the content of the cells and all that decoding depends on."""

        def keep(rows: np.ndarray, decode_all: Callable[[], np.ndarray]) -> np.ndarray:
            contents, total = self.contents(items), hashlib.sha256()
            for row in rows.tolist():
                total.update(contents[row])
            description = {
                "modality": "image",
                "layer": "pixels",
                "trunk": "decoded pictures",
                "pictures": total.hexdigest(),
                "fit": fit,
                "max_pixels": max_pixels,
                "revision": REVISION,
                "versions": {name: version(name) for name in ("Pillow", "numpy")},
            }
            # JSON knows no tuples: the store compares what it reads with what was asked for
            stored: StoredArray = stored_array(self._store, json.loads(json.dumps(description)), decode_all)
            self._alive.append(stored)
            return stored.values

        return keep

    def _once(self, key: Hashable, owner: object, make: Callable[[], Part]) -> Part:
        """What was made for a key before, or now; the owner lives as long, so that no other takes its identity."""
        if key not in self._parts:
            self._parts[key] = make()
            self._alive.append(owner)
        return cast(Part, self._parts[key])
