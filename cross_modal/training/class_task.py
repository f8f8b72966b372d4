"""Training on items of classes: balanced batches, the cross-modal loss, episodes of validation classes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from cross_modal.configuration import Experiment
from cross_modal.data.items import Items
from cross_modal.encoders.feature_store import FeatureStore
from cross_modal.encoders.twin import TwinEncoder
from cross_modal.objectives.cross_modal_loss import CrossModalLoss
from cross_modal.objectives.pair_head import PairHead
from cross_modal.training.inputs import StepInputs, TrainingInputs
from cross_modal.training.processes import Processes
from cross_modal.training.shared_parts import SharedParts
from cross_modal.training.task import StepOutput
from cross_modal.training.validation import Measure, Validation


class ClassTask:
    """What the loop trains on where items have classes.

    Args:
        experiment: All settings.
        items: Items with splits.
        twin: The untrained twin.
        store: Where the tokens of frozen trunks are kept, if they are.
        shared: What several trainings on the same items have in common.
        device: Where the loss goes.
        measure: What is measured of the validation items besides.
        processes: The processes that train together; None is this one alone.
    """

    head: PairHead | None = None

    def __init__(
        self,
        experiment: Experiment,
        items: Items,
        twin: TwinEncoder,
        store: FeatureStore | None,
        shared: SharedParts,
        device: torch.device,
        measure: Measure | None = None,
        processes: Processes | None = None,
    ) -> None:
        self.inputs = TrainingInputs(shared.split(items, "train"), twin, experiment, store, shared, processes)
        criterion = CrossModalLoss(experiment.objective, twin.dim, self.inputs.num_classes, normalise=twin.normalise)
        self.device = device
        self.criterion: CrossModalLoss = criterion.to(device)
        self.validation = Validation(shared.split(items, "validation"), twin, experiment, store, shared, measure)

    def stream(self, start: int, stop: int) -> Iterator[StepInputs]:
        """The inputs of steps start … stop − 1."""
        return self.inputs.stream(start, stop)

    def loss(self, image: Tensor | None, text: Tensor | None, inputs: StepInputs) -> StepOutput:
        """The loss; the memory, where there is one, takes the embeddings afterwards."""
        image_ids, text_ids = inputs.image_ids.to(self.device), inputs.text_ids.to(self.device)
        output = self.criterion(image, image_ids, text, text_ids)
        image = None if image is None else image.detach()
        text = None if text is None else text.detach()
        self.criterion.after_step(image, image_ids, text, text_ids)
        return StepOutput(image, text, inputs.image_ids, inputs.text_ids, output)

    def measure(self, twin: TwinEncoder) -> dict[str, float]:
        """The metrics of the validation classes."""
        return self.validation.measure(twin)

    def state_dict(self) -> dict[str, Any]:
        """Nothing: batches are functions of the step, and the memory is the loss's."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Nothing."""

    def notices(self) -> list[str]:
        """What the feature store did."""
        return self.inputs.store_notices()
