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
from cross_modal.embed_items import open_pictures
from cross_modal.encoders.embedding import normalise_pixels
from cross_modal.encoders.trunk import ImageTrunk, TextTrunk
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
        self.pictures = None if self.image_trunk is None else open_pictures(items, twin, experiment.items)
        if self.pictures is not None:
            self.pictures.prepare()  # all at once, with a bar, and not inside the first steps

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
        if self.pictures is None or self.pictures.kept:
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
