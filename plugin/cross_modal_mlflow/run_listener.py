"""What an MLflow run hears of a training: the metrics of every logged step and of every validation."""

from __future__ import annotations

from collections.abc import Mapping

from cross_modal.configuration import TrainingConfig
from cross_modal_mlflow.metric_buffer import metric_name
from cross_modal_mlflow.tracking import TrackedRun


class RunListener:
    """A listener of the training loop that logs.

    Args:
        run: The run.
        config: Says which steps are logged.
        known: Metric → step → value that the run has logged before it was broken off: nothing is logged twice.

    Attributes:
        history: (step, metrics) of what was logged, for the curves.
    """

    def __init__(
        self, run: TrackedRun, config: TrainingConfig, known: Mapping[str, Mapping[int, float]] | None = None
    ) -> None:
        self._run, self._every, self._steps = run, config.log_every, config.steps
        self._known = known or {}
        earlier: dict[int, dict[str, float]] = {}
        for name, points in self._known.items():
            for step, value in points.items():
                earlier.setdefault(step, {})[name] = value
        self.history: list[tuple[int, dict[str, float]]] = sorted(earlier.items(), key=lambda point: point[0])

    def on_step(self, step: int, metrics: dict[str, float]) -> None:
        """Keeps a step's metrics, if the step is a logged one."""
        if (step - 1) % self._every == 0 or step == self._steps:
            self._keep(step, metrics)

    def on_validation(self, step: int, metrics: dict[str, float]) -> None:
        """Keeps a validation's metrics."""
        self._keep(step, metrics)

    def on_checkpoint(self, step: int) -> None:
        """Writes what waits: a resumed run does not hear of these steps again."""
        self._run.flush()

    def on_message(self, text: str) -> None:
        """Nothing: messages are kept with the result."""

    def _keep(self, step: int, metrics: dict[str, float]) -> None:
        fresh = {name: value for name, value in metrics.items() if step not in self._known.get(metric_name(name), ())}
        if fresh:
            self.history.append((step, fresh))
            self._run.metrics(fresh, step)
