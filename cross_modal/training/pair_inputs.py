"""What one step over pairs reads: each distinct item once, and which of them make the pairs.

An item is what the twin reads of it: a picture, a text, or both. One modality's pairs go through the very same weights
on both sides, since both sides are rows of one batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from cross_modal.configuration import Experiment
from cross_modal.data.items import Items
from cross_modal.encoders.feature_store import FeatureStore
from cross_modal.encoders.tokens import Tokens
from cross_modal.encoders.twin import TwinEncoder
from cross_modal.training.item_tensors import ItemTensors
from cross_modal.training.launched import Launched
from cross_modal.training.processes import Processes
from cross_modal.training.shared_parts import SharedParts
from cross_modal.verification.pair_embedding import seen_by


class DrawnRows(NamedTuple):
    """The rows of one step.

    Attributes:
        ends: Two or three arrays (P,) int64: the items of each pair or triplet.
        verdicts: (P,) float64 verdicts or scores; None for triplets.
    """

    ends: tuple[np.ndarray, ...]
    verdicts: np.ndarray | None


class PairStep(NamedTuple):
    """The tensors of one step over N distinct items; a side that they lack is None.

    Of several processes each has the tensors of its own b rows, and the places, items and verdicts of all.

    Attributes:
        image: (b_i, C, H, W) float pixels, augmented and normalised, or a frozen trunk's tokens of them.
        image_places: (B_i,) int64: which of the N items each picture belongs to.
        text: (b_t, L) int64 token ids, or a frozen trunk's tokens.
        text_places: (B_t,) int64: which of the N items each text belongs to.
        items: N.
        ends: Two or three tensors (P,) int64: the items of each pair or triplet.
        verdicts: (P,) float32, or None for triplets.
    """

    image: Tensor | Tokens | None
    image_places: Tensor
    text: Tensor | Tokens | None
    text_places: Tensor
    items: int
    ends: tuple[Tensor, ...]
    verdicts: Tensor | None

    @property
    def counts(self) -> tuple[int, int]:
        """Pictures and texts of the batch."""
        return len(self.image_places), len(self.text_places)

    @property
    def size(self) -> int:
        """Pictures and texts together."""
        return sum(self.counts)


class PairInputs(ItemTensors):
    """Makes the inputs of any step.

    Args:
        items: The training items; the twin has a trunk for each.
        twin: The twin.
        experiment: Augmentation, seed, and how pictures are decoded.
        draw: Which pairs a step has.
        store: Where the tokens of frozen trunks are kept; None encodes them in every step.
        shared: What other trainings on the same items have in common with this one; None shares nothing.
        processes: The processes that train together; None is this one alone.

    Raises:
        CrossModalError: An item that the twin has no trunk for.
    """

    def __init__(
        self,
        items: Items,
        twin: TwinEncoder,
        experiment: Experiment,
        draw: Callable[[int], DrawnRows],
        store: FeatureStore | None = None,
        shared: SharedParts | None = None,
        processes: Processes | None = None,
    ) -> None:
        self.processes = processes or Processes(Launched())
        self.pictured, self.worded = seen_by(twin, items)
        super().__init__(items, twin, experiment, store, shared)
        self.draw = draw
        self.prepare()

    def load(self, step: int) -> PairStep:
        """The inputs of a step, on the CPU."""
        drawn = self.draw(step)
        rows, places = np.unique(np.concatenate(drawn.ends), return_inverse=True)
        ends = tuple(torch.from_numpy(part) for part in np.split(places.astype(np.int64), len(drawn.ends)))
        pictured, worded = (np.flatnonzero(has[rows % self.rows]) for has in (self.pictured, self.worded))
        own_images, own_texts = rows[self.processes.own(pictured)], rows[self.processes.own(worded)]
        return PairStep(
            image=self.image(own_images, step) if len(own_images) else None,
            image_places=torch.from_numpy(pictured),
            text=self.text(own_texts % self.rows, step) if len(own_texts) else None,
            text_places=torch.from_numpy(worded),
            items=len(rows),
            ends=ends,
            verdicts=None if drawn.verdicts is None else torch.from_numpy(drawn.verdicts).float(),
        )

    def stream(
        self, start: int, stop: int, every: int = 0, before: Callable[[int], None] | None = None
    ) -> Iterator[PairStep]:
        """The inputs of steps start … stop − 1; decoded one step ahead where pictures are not in memory.

        Args:
            start: The first step.
            stop: The step after the last.
            every: Steps between the calls of `before`; 0 never calls it.
            before: Called with the number of a step, 0 excepted, once all earlier ones are done.
        """
        length = every if every and before is not None else max(stop, 1)
        while start < stop:
            if start and start % length == 0 and before is not None:
                before(start)
            end = min((start // length + 1) * length, stop)
            yield from self.ahead(self.load, start, end)
            start = end


def item_embeddings(inputs: PairStep, image: Tensor | None, text: Tensor | None, normalise: bool) -> Tensor:
    """One embedding an item; of picture and text the mean, at length one where the twin normalises.

    Args:
        inputs: The step.
        image: (B_i, dim) float32, or None.
        text: (B_t, dim) float32, or None.
        normalise: Whether the twin scales embeddings to length one.

    Returns:
        (N, dim) float32: what `embed_pair_items` gives, with a graph.
    """
    given = image if image is not None else text
    assert given is not None
    total = given.new_zeros(inputs.items, given.shape[1])
    count = torch.zeros(inputs.items, device=given.device)
    for part, places in ((image, inputs.image_places), (text, inputs.text_places)):
        if part is not None:
            where = places.to(given.device)
            total = total.index_add(0, where, part)
            count[where] += 1
    both = (count == 2)[:, None]
    if not bool(both.any()):
        return total
    mean = total / 2
    return torch.where(both, F.normalize(mean, dim=-1) if normalise else mean, total)
