"""What a training leaves, and how far it has come meanwhile."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass, field
from typing import Any

from cross_modal.encoders.twin import TwinEncoder
from cross_modal.objectives.pair_head import PairHead

_KEPT = ("best_step", "best_score", "steps", "stopped", "seconds", "messages")


@dataclass
class TrainingResult:
    """What a training run leaves.

    Attributes:
        twin: The best twin by the validation score, in evaluation mode.
        best_step: Steps done when it was best.
        best_score: Its validation score; None where there was nothing to validate on.
        steps: Steps done in all.
        stopped: Why training ended early; None if it did not.
        seconds: Phase → seconds ("setup", "training", "validation").
        parameters: Trainable parameters.
        messages: All notices and warnings.
        head: The verification head that was trained with the twin, as it was at the best step; None without one.
        peak_memory: Most memory that training held, in gigabytes: the GPU's, or the process's where there is none; of
            several processes the one that held most.
    """

    twin: TwinEncoder
    best_step: int = 0
    best_score: float | None = None
    steps: int = 0
    stopped: str | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    parameters: int = 0
    messages: list[str] = field(default_factory=list)
    head: PairHead | None = None
    peak_memory: float = 0.0

    def state_dict(self) -> dict[str, Any]:
        """How far training has come, as primitives: what a resumed one goes on with."""
        return {name: copy(getattr(self, name)) for name in _KEPT}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Goes on from what `state_dict` gave; what the present start took counts on top."""
        setup, said = self.seconds.get("setup", 0.0), self.messages
        for name in _KEPT:
            setattr(self, name, copy(state[name]))
        self.seconds["setup"] = self.seconds.get("setup", 0.0) + setup
        fresh = [each for each in said if each not in state["messages"]]
        said[:] = [*state["messages"], *fresh]
        self.messages = said  # the very list that the loop adds to
