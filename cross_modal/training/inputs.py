"""What one training step reads: the step's number in, tensors out, nothing remembered in between.

The rows of a step, their augmentation and their dropped tokens are functions of (seed, step). So a resumed run needs
its step number only, and pictures that do not fit in memory can be decoded ahead by a thread without changing anything.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from cross_modal.configuration import Experiment
from cross_modal.data.batches import BalancedBatches
from cross_modal.data.items import Items
from cross_modal.data.pictures import Pictures
from cross_modal.encoders.embedding import normalise_pixels
from cross_modal.encoders.twin import TwinEncoder
from cross_modal.errors import CrossModalError
from cross_modal.training.augmentation import affine_maps, augment_pixels, drop_tokens

_TURNS = 4


class StepInputs(NamedTuple):
    """The tensors of one step; a side that the batch lacks is None.

    Attributes:
        pixels: (B_i, C, H, W) float, augmented and normalised.
        image_ids: (B_i,) int64 class ids.
        tokens: (B_t, L) int64.
        text_ids: (B_t,) int64 class ids.
    """

    pixels: Tensor | None
    image_ids: Tensor
    tokens: Tensor | None
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

    Attributes:
        num_classes: Class ids run from 0 to this, turned classes included.
        steps_per_epoch: Steps in which every class is seen once.
    """

    def __init__(self, items: Items, twin: TwinEncoder, experiment: Experiment) -> None:
        self.augmentation, self.seed = experiment.augmentation, experiment.training.seed
        self.image_trunk = twin.image if items.has_images else None
        self.text_trunk = twin.text if items.has_texts else None
        if self.image_trunk is None and self.text_trunk is None:
            raise CrossModalError(f"{items.source}: expected pictures or texts that the twin has a trunk for, found none")
        self.texts = items.texts
        self.rows = len(items)
        ids, has_image, texts, prefixes = _columns(items)
        turns = _TURNS if self.augmentation.quarter_turns and self.image_trunk is not None else 1
        self.num_classes = int(ids.max()) + 1 if len(ids) else 0
        if turns > 1:  # the picture turned by 90° is another character: class c turned t times is c + t·C
            ids = np.concatenate([ids + turn * self.num_classes for turn in range(turns)])
            texts = np.concatenate([texts] + [np.full(self.rows, None, object)] * (turns - 1))
            has_image = np.tile(has_image, turns)
            prefixes = None if prefixes is None else np.concatenate([prefixes + f"|{t}" for t in range(turns)])
            self.num_classes *= turns
        self.class_ids = ids
        if self.image_trunk is None:
            has_image = np.zeros_like(has_image)
        if self.text_trunk is None:
            texts = np.full(len(texts), None, object)
        self.batches = BalancedBatches(
            ids, has_image, texts, experiment.batch, seed=self.seed, prefixes=prefixes
        )
        self.steps_per_epoch = self.batches.steps_per_epoch
        self.pictures = None if self.image_trunk is None else open_pictures(items, twin, experiment)

    def load(self, step: int) -> StepInputs:
        """The inputs of a step, on the CPU."""
        batch = self.batches.batch(step)
        pixels = tokens = None
        if self.pictures is not None and self.image_trunk is not None and len(batch.images):
            pixels = self._pixels(batch.images, step)
        if self.text_trunk is not None and len(batch.texts):
            tokens = self.text_trunk.tokenize([str(self.texts[row]) for row in batch.texts])
            unknown, share = self.text_trunk.unknown_token, self.augmentation.token_dropout
            tokens = drop_tokens(tokens, unknown, share, self.seed, step, batch.texts)
        image_ids = torch.from_numpy(self.class_ids[batch.images if pixels is not None else batch.images[:0]])
        text_ids = torch.from_numpy(self.class_ids[batch.texts if tokens is not None else batch.texts[:0]])
        return StepInputs(pixels, image_ids, tokens, text_ids)

    def stream(self, start: int, stop: int) -> Iterator[StepInputs]:
        """The inputs of steps start … stop − 1; decoded one step ahead where pictures are not in memory."""
        if self.pictures is None or self.pictures.in_memory:
            yield from (self.load(step) for step in range(start, stop))
            return
        with ThreadPoolExecutor(1, thread_name_prefix="decode-ahead") as ahead:
            coming = ahead.submit(self.load, start) if start < stop else None
            for step in range(start, stop):
                inputs = coming.result() if coming else self.load(step)
                coming = ahead.submit(self.load, step + 1) if step + 1 < stop else None
                yield inputs

    def _pixels(self, rows: np.ndarray, step: int) -> Tensor:
        """Gathers, turns, normalises and augments the pictures of virtual rows (row + turn · N)."""
        trunk = self.image_trunk
        pixels = self.pictures.pixels(rows % self.rows)  # type: ignore[union-attr]
        turn = rows // self.rows
        if turn.any():
            pixels = pixels.clone()
            for quarter in range(1, _TURNS):
                where = torch.from_numpy(np.flatnonzero(turn == quarter))
                pixels[where] = torch.rot90(pixels[where], quarter, (2, 3))
        normal = normalise_pixels(pixels, trunk.mean, trunk.std)  # type: ignore[union-attr]
        return augment_pixels(normal, affine_maps(self.augmentation, self.seed, step, rows))


def open_pictures(items: Items, twin: TwinEncoder, experiment: Experiment) -> Pictures:
    """The items' pictures at the size, channels and fit of the twin's image trunk."""
    trunk = twin.image
    if trunk is None:
        raise CrossModalError(f"{items.source}: expected a twin with an image trunk for its pictures, found none")
    config = experiment.items
    return Pictures(
        items.images,
        channels=trunk.channels,
        size=trunk.size,
        resize=trunk.resize,
        max_pixels=config.max_pixels,
        workers=config.workers,
        memory_gigabytes=config.memory_gigabytes,
    )


def _columns(items: Items) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray | None]:
    """Class ids, which rows have a picture, texts, and the labels' prefixes (None where no label has one)."""
    has_image = np.array([cell is not None for cell in items.images], bool)
    if items.genuine is not None:  # a forgery is nobody's positive
        has_image &= items.genuine
    prefixes = None
    if items.labels is not None and any("/" in label for label in items.labels):
        prefixes = np.array([label.split("/", 1)[0] for label in items.labels], dtype=object)
    return items.class_ids, has_image, items.texts, prefixes
