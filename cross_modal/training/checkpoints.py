"""The two checkpoints of a training: `best.pt`, what it will have given, and `last.pt`, from where it goes on.

Process 0 alone reads and writes them; where several train together it tells the others what it read.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import Tensor

from cross_modal.encoders.twin import TwinEncoder
from cross_modal.errors import CrossModalError
from cross_modal.training.checkpoint import load_checkpoint, save_checkpoint
from cross_modal.training.processes import Processes
from cross_modal.training.random_states import random_states, restore_random_states
from cross_modal.training.training_result import TrainingResult
from cross_modal.training.training_state import TrainingState, check_fingerprint

BEST, LAST = "best.pt", "last.pt"
TRUNKS = ("image", "text")  # names of the trunks among a twin's modules


class Checkpoints:
    """Keeps the state of a training and its best weights.

    Args:
        folder: Where they go.
        state: All that later steps depend on.
        result: How far training has come.
        processes: The processes that train together.
        fingerprint: Of settings and data; asked for when it is first needed, as it reads every picture.
    """

    def __init__(
        self,
        folder: Path,
        state: TrainingState,
        result: TrainingResult,
        processes: Processes,
        fingerprint: Callable[[], dict[str, Any]],
    ) -> None:
        self._folder, self._state, self._result, self._processes = folder, state, result, processes
        self._asked, self._known = fingerprint, dict[str, Any]()

    def keep(self) -> str | None:
        """Writes `last.pt`; a full disk costs the training nothing but this checkpoint.

        Returns:
            What went wrong, in a sentence.
        """
        draws = self._processes.collected(random_states())
        if not self._processes.leads:
            return None
        content = self._state.collect(_learned(self._state.twin))
        content |= {"fingerprint": self._fingerprint(), "draws": draws[1:]}
        try:
            save_checkpoint(self._folder / LAST, content)
        except CrossModalError as error:
            return f"step {self._result.steps}: {error}"
        return None

    def go_on(self) -> str | None:
        """Puts the state of `last.pt` back.

        Returns:
            A sentence, where later losses may differ in their last digits.

        Raises:
            CrossModalError: If there is none, or it is one of other settings or data.
        """
        kept = None
        if self._processes.leads:
            kept = load_checkpoint(self._folder / LAST)
            if "fingerprint" not in kept:
                raise CrossModalError(f"{self._folder / LAST}: expected a state to go on from, found weights alone")
            check_fingerprint(kept["fingerprint"], self._fingerprint())
        kept = self._processes.told(kept)
        own = random_states()
        elsewhere = self._state.restore(kept, strict=not self._state.twin.frozen)
        if not self._processes.leads:
            draws, place = kept.get("draws", []), self._processes.rank - 1
            restore_random_states(draws[place] if place < len(draws) else own)  # there may have been fewer processes
        return elsewhere

    def keep_best(self) -> None:
        """Writes the present weights of twin and loss as the best.

        Raises:
            CrossModalError: If the disk does not take them.
        """
        content: dict[str, Any] = {
            "step": self._result.steps,
            "score": self._result.best_score,
            "twin": _learned(self._state.twin),
            "criterion": self._state.criterion.state_dict(),
        }
        save_checkpoint(self._folder / BEST, content)

    def restore_best(self) -> None:
        """Puts the best weights back, unless the last ones are the best."""
        if self._result.best_score is None:
            self._result.best_step = self._result.steps
        elif self._result.best_step != self._result.steps:
            best = load_checkpoint(self._folder / BEST)
            self._state.twin.load_state_dict(best["twin"], strict=not self._state.twin.frozen)
            if self._result.head is not None:
                self._state.criterion.load_state_dict(best["criterion"])

    def _fingerprint(self) -> dict[str, Any]:
        self._known = self._known or self._asked()
        return self._known


def _learned(twin: TwinEncoder) -> dict[str, Tensor]:
    """The weights that a checkpoint holds: without frozen trunks, which are as they were built."""
    state = twin.state_dict()
    return {name: value for name, value in state.items() if not twin.frozen or name.split(".")[0] not in TRUNKS}
