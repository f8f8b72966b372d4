"""Who hears of a training: a progress bar, a tracker, the trial of a sweep. The loop itself knows none of them."""

from __future__ import annotations

from typing import Protocol


class Listener(Protocol):
    """Who hears of the training: a progress bar, a tracker, a test."""

    def on_step(self, step: int, metrics: dict[str, float]) -> None:
        """After every step, with "train/…"; every `log_every` steps "health/…" comes with it."""

    def on_validation(self, step: int, metrics: dict[str, float]) -> None:
        """After every validation."""

    def on_checkpoint(self, step: int) -> None:
        """Before a checkpoint is written: what was heard up to this step is not said again by a resumed training."""

    def on_message(self, text: str) -> None:
        """A warning or a notice, one sentence."""


class Silence:
    """The listener that does nothing."""

    def on_step(self, step: int, metrics: dict[str, float]) -> None:
        """Nothing."""

    def on_validation(self, step: int, metrics: dict[str, float]) -> None:
        """Nothing."""

    def on_checkpoint(self, step: int) -> None:
        """Nothing."""

    def on_message(self, text: str) -> None:
        """Nothing."""
