"""What one training step reads: the step's number in, tensors out, nothing remembered in between.

The rows of a step, their augmentation and their dropped tokens are functions of (seed, step). So a resumed run needs
its step number only, and pictures that do not fit in memory can be decoded ahead by a thread without changing anything.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from cross_modal.configuration import Experiment
from cross_modal.data.batches import BalancedBatches
from cross_modal.data.items import Items
from cross_modal.encoders.feature_store import FeatureStore
from cross_modal.encoders.tokens import Tokens
from cross_modal.encoders.trunk import ImageTrunk, TextTrunk
from cross_modal.encoders.twin import TwinEncoder
from cross_modal.errors import CrossModalError
from cross_modal.training.item_tensors import QUARTERS, ItemTensors
from cross_modal.training.launched import Launched
from cross_modal.training.processes import Processes
from cross_modal.training.shared_parts import SharedParts


class StepInputs(NamedTuple):
    """The tensors of one step; a side that the batch lacks is None.

    Of several processes each has the tensors of its own b rows, and the ids of all B.

    Attributes:
        image: (b_i, C, H, W) float pixels, augmented and normalised, or a frozen trunk's tokens of them.
        image_ids: (B_i,) int64 class ids.
        text: (b_t, L) int64 token ids, or a frozen trunk's tokens.
        text_ids: (B_t,) int64 class ids.
    """

    image: Tensor | Tokens | None
    image_ids: Tensor
    text: Tensor | Tokens | None
    text_ids: Tensor

    @property
    def counts(self) -> tuple[int, int]:
        """Pictures and texts of the batch."""
        return len(self.image_ids), len(self.text_ids)

    @property
    def size(self) -> int:
        """Pictures and texts together."""
        return sum(self.counts)


class TrainingInputs(ItemTensors):
    """Makes the inputs of any step.

    Args:
        items: The training items.
        twin: The twin, for its trunks' sizes, normalisation and tokenizer.
        experiment: Batches, augmentation, terms, seed.
        store: Where the tokens of frozen trunks are kept; None encodes them in every step.
        shared: What other trainings on the same items have in common with this one; None shares nothing.
        processes: The processes that train together; None is this one alone.

    Attributes:
        num_classes: Class ids run from 0 to this, turned classes included.
        steps_per_epoch: Steps in which every class is seen once.

    Raises:
        CrossModalError: Where there is nothing to train on.
    """

    def __init__(
        self,
        items: Items,
        twin: TwinEncoder,
        experiment: Experiment,
        store: FeatureStore | None = None,
        shared: SharedParts | None = None,
        processes: Processes | None = None,
    ) -> None:
        self.processes = processes or Processes(Launched())
        if len(items) and len(items.classes) < 2:
            raise CrossModalError(
                f"{items.source}: expected at least 2 classes to train on, found {len(items.classes)}: "
                "without another class nothing is pushed apart"
            )
        super().__init__(items, twin, experiment, store, shared)
        turns = QUARTERS if self.turned else 1
        self.batches = _batches(items, experiment, self.image_trunk, self.text_trunk, turns)
        classes = len(items.classes)
        self.class_ids = np.concatenate([items.class_ids + turn * classes for turn in range(turns)])
        self.num_classes = classes * turns
        self.steps_per_epoch = self.batches.steps_per_epoch
        self.prepare()

    def load(self, step: int) -> StepInputs:
        """The inputs of a step, on the CPU."""
        batch = self.batches.batch(step)
        images = batch.images[: None if self.pictures is not None and self.image_trunk is not None else 0]
        texts = batch.texts[: None if self.text_trunk is not None else 0]
        own_images, own_texts = self.processes.own(images), self.processes.own(texts)
        image = self.image(own_images, step) if len(own_images) else None
        text = self.text(own_texts, step) if len(own_texts) else None
        image_ids, text_ids = (torch.from_numpy(self.class_ids[rows]) for rows in (images, texts))
        return StepInputs(image, image_ids, text, text_ids)

    def stream(self, start: int, stop: int) -> Iterator[StepInputs]:
        """The inputs of steps start … stop − 1; decoded one step ahead where pictures are not in memory."""
        return self.ahead(self.load, start, stop)


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
