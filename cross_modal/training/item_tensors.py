"""The pictures and texts of items as a twin takes them in training: pixels, token ids, or a frozen trunk's tokens.

What a row shows in a step is a function of (seed, step, row); which rows a step has is decided elsewhere (balanced
batches of classes, batches of pairs).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from cross_modal.configuration import Experiment
from cross_modal.data.items import Items
from cross_modal.encoders.embedding import normalise_pixels
from cross_modal.encoders.feature_description import row_keys
from cross_modal.encoders.feature_store import FeatureStore
from cross_modal.encoders.stored_embedding import PLAIN, encode_texts
from cross_modal.encoders.tokens import Tokens
from cross_modal.encoders.trunk_features import TrunkFeatures
from cross_modal.encoders.twin import TwinEncoder
from cross_modal.errors import CrossModalError
from cross_modal.training.augmentation import affine_maps, augment_pixels, drop_tokens
from cross_modal.training.fixed_views import FixedViews
from cross_modal.training.shared_parts import SharedParts

Loaded = TypeVar("Loaded")
QUARTERS = 4  # turns of a picture


class ItemTensors:
    """Makes the tensors of any rows in any step.

    A row r of N may stand turned by t quarters, as the virtual row r + t·N.

    Args:
        items: The training items.
        twin: The twin, for its trunks' sizes, normalisation and tokenizer.
        experiment: Augmentation, seed, and how pictures are decoded.
        store: Where the tokens of frozen trunks are kept; None encodes them in every step.
        shared: What other trainings on the same items have in common with this one; None shares nothing.

    Raises:
        CrossModalError: If the twin has a trunk for nothing in the items.
    """

    def __init__(
        self,
        items: Items,
        twin: TwinEncoder,
        experiment: Experiment,
        store: FeatureStore | None = None,
        shared: SharedParts | None = None,
    ) -> None:
        shared = shared or SharedParts.alone()
        self.twin = twin
        self.augmentation, self.seed = experiment.augmentation, experiment.training.seed
        self.image_trunk = twin.image if items.has_images else None
        self.text_trunk = twin.text if items.has_texts else None
        if self.image_trunk is None and self.text_trunk is None:
            raise CrossModalError(
                f"{items.source}: expected pictures or texts that the twin has a trunk for, found none"
            )
        self.texts = items.texts
        self.rows = len(items)
        self.pictures = None if self.image_trunk is None else shared.pictures(items, twin, experiment.items)
        self.views: FixedViews | None = None
        self.image_features: TrunkFeatures | None = None
        self.text_features: TrunkFeatures | None = None
        if twin.frozen:
            if self.pictures is not None:
                self.views = FixedViews(self.augmentation, shared.contents(items))
            if store is not None:
                self.image_features = None if self.image_trunk is None else shared.features(twin, "image", store)
                self.text_features = None if self.text_trunk is None else shared.features(twin, "text", store)
        # A GPU waits for nothing while the next step's pictures are turned and stretched; a CPU has no core to spare.
        self.overlaps = next(twin.parameters()).device.type == "cuda" and not twin.frozen
        self._before = [(0, 0) if each is None else (each.encoded, each.read) for each in self._features]

    def prepare(self) -> None:
        """Decodes all pictures that are to be kept: at once, with a bar, and not inside the first steps."""
        if self.pictures is not None and self.image_features is None:
            self.pictures.prepare()

    @property
    def turned(self) -> bool:
        """Whether pictures turned by quarters are classes of their own."""
        return self.augmentation.quarter_turns and self.image_trunk is not None

    def ahead(self, load: Callable[[int], Loaded], start: int, stop: int) -> Iterator[Loaded]:
        """What steps start … stop − 1 load; one step ahead, by a thread, where it decodes or the twin is on a GPU."""
        decodes = self.pictures is not None and not self.pictures.kept
        if not decodes and not self.overlaps:
            yield from (load(step) for step in range(start, stop))
            return
        with ThreadPoolExecutor(1, thread_name_prefix="decode-ahead") as ahead:
            coming = ahead.submit(load, start) if start < stop else None
            for step in range(start, stop):
                inputs = coming.result() if coming else load(step)
                coming = ahead.submit(load, step + 1) if step + 1 < stop else None
                yield inputs

    def store_notices(self) -> list[str]:
        """What the feature store did so far in this training, a sentence a modality; empty where none is used."""
        notices = []
        for name, features, before in zip(("pictures", "texts"), self._features, self._before, strict=True):
            if features is not None:
                encoded, read = features.encoded - before[0], features.read - before[1]
                notices.append(f"feature store, {name}: {encoded:,} encoded, {read:,} read")
                if features.failure is not None:
                    notices.append(f"feature store, {name}: given up, everything else was encoded ({features.failure})")
        return notices

    @property
    def _features(self) -> tuple[TrunkFeatures | None, TrunkFeatures | None]:
        return self.image_features, self.text_features

    def image(self, rows: np.ndarray, step: int) -> Tensor | Tokens:
        """Augmented pictures of virtual rows (row + turn · N); from a frozen trunk, its tokens of fixed views."""
        if self.views is None:
            return self._pixels(rows, affine_maps(self.augmentation, self.seed, step, rows))
        real, turns = rows % self.rows, rows // self.rows
        views = self.views.choose(self.seed, step, rows)
        maps = self.views.maps(real, turns, views)
        if self.image_features is None:
            return self._pixels(rows, maps)
        keys = row_keys(self.views.contents(real), self.views.names(real, turns, views))
        return self.image_features.tokens(keys, lambda some: self._encode(rows, maps, some))

    def _encode(self, rows: np.ndarray, maps: Tensor | None, some: np.ndarray) -> Tokens:
        """The frozen image trunk's tokens of some of a step's pictures."""
        pixels = self._pixels(rows[some], None if maps is None else maps[torch.from_numpy(some)])
        trunk = self.twin.image
        assert trunk is not None
        return trunk(pixels.to(next(trunk.parameters()).device))

    def _pixels(self, rows: np.ndarray, maps: Tensor | None) -> Tensor:
        """Gathers, turns, normalises and augments the pictures of virtual rows."""
        trunk = self.image_trunk
        pixels = self.pictures.pixels(rows % self.rows)  # type: ignore[union-attr]
        turn = rows // self.rows
        if turn.any():
            pixels = pixels.clone()
            for quarter in range(1, QUARTERS):
                where = torch.from_numpy(np.flatnonzero(turn == quarter))
                pixels[where] = torch.rot90(pixels[where], quarter, (2, 3))
        normal = normalise_pixels(pixels, trunk.mean, trunk.std)  # type: ignore[union-attr]
        return augment_pixels(normal, maps)

    def text(self, rows: np.ndarray, step: int) -> Tensor | Tokens:
        """Token ids, some of them dropped; from a frozen trunk, its tokens of the whole texts."""
        texts = [str(self.texts[row]) for row in rows]
        if self.text_features is not None:
            keys = row_keys([text.encode() for text in texts], [PLAIN] * len(texts))
            return self.text_features.tokens(keys, lambda some: encode_texts(self.twin, [texts[row] for row in some]))
        tokens = self.text_trunk.tokenize(texts)  # type: ignore[union-attr]
        unknown, share = self.text_trunk.unknown_token, self.augmentation.token_dropout  # type: ignore[union-attr]
        return tokens if self.twin.frozen else drop_tokens(tokens, unknown, share, self.seed, step, rows)
