"""What the terminal shows while a twin trains: a bar with loss, validation score, items a second and time left.

Not on a terminal (a log file, CI) it says one line a validation and nothing else.
"""

from __future__ import annotations

import time
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

_SMOOTH = 0.9  # of the shown loss and speed, which jump from batch to batch
_AT_MOST = 0.1  # seconds between two redraws


class Progress:
    """A listener of the training loop that draws; use it as a context manager.

    Args:
        steps: Steps in all.
        console: Where to; None takes standard error, so that tables on standard output stay clean.
    """

    def __init__(self, steps: int, console: Console | None = None) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        self.console = console or Console(stderr=True)
        self._steps, self._began, self._drawn = steps, time.perf_counter(), 0.0
        self._loss: float | None = None
        self._speed: float | None = None
        self._score: float | None = None
        self._bar = Bar(
            TextColumn("training"),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TextColumn("{task.fields[facts]}"),
            TimeRemainingColumn(),
            console=self.console,
            disable=not self.console.is_terminal,
            transient=True,
        )
        self._task = self._bar.add_task("training", total=steps, facts="")

    def __enter__(self) -> Progress:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def on_step(self, step: int, metrics: dict[str, float]) -> None:
        """Moves the bar."""
        self._loss = _smooth(self._loss, metrics.get("train/loss"))
        self._speed = _smooth(self._speed, metrics.get("train/items_per_second"))
        now = time.perf_counter()
        if now - self._drawn >= _AT_MOST or step == self._steps:
            self._drawn = now
            self._bar.update(self._task, completed=step, facts=self._facts())

    def on_validation(self, step: int, metrics: dict[str, float]) -> None:
        """Shows the validation score; off a terminal this is the one line."""
        self._score = metrics.get("validation/score", self._score)
        if not self.console.is_terminal:
            spent = time.perf_counter() - self._began
            left = spent / max(step, 1) * (self._steps - step)
            line = f"step {step}/{self._steps}  {self._facts()}  {_clock(left)} left"
            self.console.print(line, highlight=False, soft_wrap=True)
        else:
            self._bar.update(self._task, facts=self._facts())

    def on_checkpoint(self, step: int) -> None:
        """Nothing to show."""

    def on_message(self, text: str) -> None:
        """Prints a warning or a notice above the bar."""
        self.console.print(f"note: {text}", markup=False, highlight=False, soft_wrap=True)

    def _facts(self) -> str:
        facts = [] if self._loss is None else [f"loss {self._loss:.3f}"]
        facts += [] if self._score is None else [f"validation {self._score:.4f}"]
        facts += [] if self._speed is None else [f"{self._speed:,.0f} items/s"]
        return "  ".join(facts)


class Listeners:
    """Several listeners as one.

    Args:
        *listeners: Each is told everything, in this order.
    """

    def __init__(self, *listeners: object) -> None:
        self._listeners: tuple = listeners

    def on_step(self, step: int, metrics: dict[str, float]) -> None:
        """Tells all."""
        for listener in self._listeners:
            listener.on_step(step, metrics)

    def on_validation(self, step: int, metrics: dict[str, float]) -> None:
        """Tells all."""
        for listener in self._listeners:
            listener.on_validation(step, metrics)

    def on_checkpoint(self, step: int) -> None:
        """Tells all."""
        for listener in self._listeners:
            listener.on_checkpoint(step)

    def on_message(self, text: str) -> None:
        """Tells all."""
        for listener in self._listeners:
            listener.on_message(text)


def _smooth(before: float | None, value: float | None) -> float | None:
    if value is None:
        return before
    return value if before is None else _SMOOTH * before + (1 - _SMOOTH) * value


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
