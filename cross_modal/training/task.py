"""The port between the loop and what it trains on: classes of items, or pairs.

The loop knows steps, gradients, the schedule and the best checkpoint. A task knows what a step reads, what is made
small, and how the twin is measured on the validation split.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol

from torch import Tensor, nn

from cross_modal.encoders.tokens import Tokens
from cross_modal.encoders.twin import TwinEncoder
from cross_modal.objectives.cross_modal_loss import LossOutput
from cross_modal.objectives.pair_head import PairHead


class Inputs(Protocol):
    """The tensors of one step."""

    @property
    def image(self) -> Tensor | Tokens | None:
        """What the twin takes of the pictures."""

    @property
    def text(self) -> Tensor | Tokens | None:
        """What the twin takes of the texts."""

    @property
    def counts(self) -> tuple[int, int]:
        """Pictures and texts of the batch, those of other processes included."""

    @property
    def size(self) -> int:
        """Pictures and texts together."""


class StepOutput(NamedTuple):
    """What a forward pass gave.

    Attributes:
        image: (B_i, dim) embeddings, without a graph, or None.
        text: (B_t, dim) embeddings, without a graph, or None.
        image_ids: (B_i,) class ids, where there are classes.
        text_ids: (B_t,) class ids, where there are classes.
        output: The objective.
    """

    image: Tensor | None
    text: Tensor | None
    image_ids: Tensor | None
    text_ids: Tensor | None
    output: LossOutput


class Task(Protocol):
    """What is trained on."""

    @property
    def criterion(self) -> nn.Module:
        """The loss; its parameters are learned with the twin's."""

    @property
    def head(self) -> PairHead | None:
        """The verification head that is trained with the twin, if there is one."""

    def stream(self, start: int, stop: int) -> Iterator[Any]:
        """The inputs of steps start … stop − 1, on the CPU."""

    def loss(self, image: Tensor | None, text: Tensor | None, inputs: Any) -> StepOutput:
        """The objective of a step's embeddings, (B_i, dim) and (B_t, dim)."""

    def measure(self, twin: TwinEncoder) -> dict[str, float]:
        """The validation metrics, the score among them; empty where there is nothing to validate on."""

    def state_dict(self) -> dict[str, Any]:
        """What later steps depend on besides twin and loss, as tensors and primitives."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on from what `state_dict` gave."""

    def notices(self) -> list[str]:
        """What there is to say at the end, a sentence each."""
