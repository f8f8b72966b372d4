"""What one training step reads: the step's number in, tensors out, nothing remembered in between.

The rows of a step, their augmentation and their dropped tokens are functions of (seed, step). So a resumed run needs
its step number only, and pictures that do not fit in memory can be decoded ahead by a thread without changing anything.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from cross_modal.configuration import Experiment
from cross_modal.data.batches import BalancedBatches
from cross_modal.data.items import Items
from cross_modal.encoders.embedding import normalise_pixels
from cross_modal.encoders.feature_description import row_keys
from cross_modal.encoders.feature_store import FeatureStore
from cross_modal.encoders.stored_embedding import PLAIN, encode_texts
from cross_modal.encoders.tokens import Tokens
from cross_modal.encoders.trunk import ImageTrunk, TextTrunk
from cross_modal.encoders.trunk_features import TrunkFeatures
from cross_modal.encoders.twin import TwinEncoder
from cross_modal.errors import CrossModalError
from cross_modal.training.augmentation import affine_maps, augment_pixels, drop_tokens
from cross_modal.training.fixed_views import FixedViews
from cross_modal.training.shared_parts import SharedParts

_TURNS = 4


class StepInputs(NamedTuple):
    """The tensors of one step; a side that the batch lacks is None.

    Attributes:
        image: (B_i, C, H, W) float pixels, augmented and normalised, or a frozen trunk's tokens of them.
        image_ids: (B_i,) int64 class ids.
        text: (B_t, L) int64 token ids, or a frozen trunk's tokens.
        text_ids: (B_t,) int64 class ids.
    """

    image: Tensor | Tokens | None
    image_ids: Tensor
    text: Tensor | Tokens | None
    text_ids: Tensor

    @property
    def size(self) -> int:
        """Pictures and texts together."""
        return len(self.image_ids) + len(self.text_ids)


class TrainingInputs:
    """Makes the inputs of any step.

    Args:
        items: The training items.
        twin: The twin, for its trunks' sizes, normalisation and tokenizer.
        experiment: Batches, augmentation, terms, seed.
        store: Where the tokens of frozen trunks are kept; None encodes them in every step.
        shared: What other trainings on the same items have in common with this one; None shares nothing.

    Attributes:
        num_classes: Class ids run from 0 to this, turned classes included.
        steps_per_epoch: Steps in which every class is seen once.
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
        if len(items.classes) < 2:
            raise CrossModalError(
                f"{items.source}: expected at least 2 classes to train on, found {len(items.classes)}: "
                "without another class nothing is pushed apart"
            )
        turned = self.augmentation.quarter_turns and self.image_trunk is not None
        self.batches = _batches(items, experiment, self.image_trunk, self.text_trunk, _TURNS if turned else 1)
        turns = _TURNS if turned else 1
        classes = len(items.classes)
        self.class_ids = np.concatenate([items.class_ids + turn * classes for turn in range(turns)])
        self.num_classes = classes * turns
        self.steps_per_epoch = self.batches.steps_per_epoch
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
        self._before = [(0, 0) if each is None else (each.encoded, each.read) for each in self._features]
        if self.pictures is not None and self.image_features is None:
            self.pictures.prepare()  # all at once, with a bar, and not inside the first steps

    def load(self, step: int) -> StepInputs:
        """The inputs of a step, on the CPU."""
        batch = self.batches.batch(step)
        image: Tensor | Tokens | None = None
        text: Tensor | Tokens | None = None
        if self.pictures is not None and self.image_trunk is not None and len(batch.images):
            image = self._image(batch.images, step)
        if self.text_trunk is not None and len(batch.texts):
            text = self._text(batch.texts, step)
        image_ids = torch.from_numpy(self.class_ids[batch.images if image is not None else batch.images[:0]])
        text_ids = torch.from_numpy(self.class_ids[batch.texts if text is not None else batch.texts[:0]])
        return StepInputs(image, image_ids, text, text_ids)

    def stream(self, start: int, stop: int) -> Iterator[StepInputs]:
        """The inputs of steps start … stop − 1; decoded one step ahead where pictures are not in memory."""
        if self.pictures is None or self.pictures.kept:
            yield from (self.load(step) for step in range(start, stop))
            return
        with ThreadPoolExecutor(1, thread_name_prefix="decode-ahead") as ahead:
            coming = ahead.submit(self.load, start) if start < stop else None
            for step in range(start, stop):
                inputs = coming.result() if coming else self.load(step)
                coming = ahead.submit(self.load, step + 1) if step + 1 < stop else None
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

    def _image(self, rows: np.ndarray, step: int) -> Tensor | Tokens:
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
            for quarter in range(1, _TURNS):
                where = torch.from_numpy(np.flatnonzero(turn == quarter))
                pixels[where] = torch.rot90(pixels[where], quarter, (2, 3))
        normal = normalise_pixels(pixels, trunk.mean, trunk.std)  # type: ignore[union-attr]
        return augment_pixels(normal, maps)

    def _text(self, rows: np.ndarray, step: int) -> Tensor | Tokens:
        """Token ids, some of them dropped; from a frozen trunk, its tokens of the whole texts."""
        texts = [str(self.texts[row]) for row in rows]
        if self.text_features is not None:
            keys = row_keys([text.encode() for text in texts], [PLAIN] * len(texts))
            return self.text_features.tokens(keys, lambda some: encode_texts(self.twin, [texts[row] for row in some]))
        tokens = self.text_trunk.tokenize(texts)  # type: ignore[union-attr]
        unknown, share = self.text_trunk.unknown_token, self.augmentation.token_dropout  # type: ignore[union-attr]
        return tokens if self.twin.frozen else drop_tokens(tokens, unknown, share, self.seed, step, rows)


def _batches(
    items: Items, experiment: Experiment, image: ImageTrunk | None, text: TextTrunk | None, turns: int
) -> BalancedBatches:
    """The batches over virtual rows: row r turned t times by 90° is row r + t·N, of class c + t·C.

    A turned character is another character; its name is not a name of the turned one, so only unturned rows have texts.
    """
    labelled = items.labels is not None
    nothing = np.full(len(items), None, object)
    classes = len(items.classes)
    prefixes = items.prefixes
    return BalancedBatches(
        np.concatenate([items.class_ids + turn * classes for turn in range(turns)]),
        np.tile(items.has_image & (image is not None), turns),
        np.concatenate([items.texts if text is not None else nothing] + [nothing] * (turns - 1)),
        experiment.batch if labelled else replace(experiment.batch, items=1, same_prefix=0.0),
        seed=experiment.training.seed,
        prefixes=None if prefixes is None else np.concatenate([prefixes + f"|{turn}" for turn in range(turns)]),
        genuine=None if items.genuine is None else np.tile(items.genuine, turns),
        image_ids=np.concatenate([items.image_ids + turn * (len(items) + 1) for turn in range(turns)]),
        class_names=items.classes * turns,
        terms=_terms_that_need_two(experiment, image, text) if labelled else (),
        on_bad_item=experiment.items.on_bad_item,
    )


def _terms_that_need_two(experiment: Experiment, image: ImageTrunk | None, text: TextTrunk | None) -> tuple[str, ...]:
    """Where one modality is all there is, its within-modality term needs two items of every class.

    In a twin of both, a class with one picture and one text still trains across the modalities, and the within-modality
    term passes over it.
    """
    weights = experiment.objective.terms
    if text is None and weights.image_to_image:
        return ("image_to_image",)
    if image is None and weights.text_to_text:
        return ("text_to_text",)
    return ()
