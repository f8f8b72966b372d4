"""What an MLflow run hears of a training: the metrics of every logged step and of every validation."""

from __future__ import annotations

from cross_modal.configuration import TrainingConfig
from cross_modal_mlflow.tracking import TrackedRun


class RunListener:
    """A listener of the training loop that logs.

    Args:
        run: The run.
        config: Says which steps are logged.

    Attributes:
        history: (step, metrics) of what was logged, for the curves.
    """

    def __init__(self, run: TrackedRun, config: TrainingConfig) -> None:
        self._run, self._every, self._steps = run, config.log_every, config.steps
        self.history: list[tuple[int, dict[str, float]]] = []

    def on_step(self, step: int, metrics: dict[str, float]) -> None:
        """Keeps a step's metrics, if the step is a logged one."""
        if (step - 1) % self._every == 0 or step == self._steps:
            self._keep(step, metrics)

    def on_validation(self, step: int, metrics: dict[str, float]) -> None:
        """Keeps a validation's metrics."""
        self._keep(step, metrics)

    def on_message(self, text: str) -> None:
        """Nothing: messages are kept with the result."""

    def _keep(self, step: int, metrics: dict[str, float]) -> None:
        self.history.append((step, metrics))
        self._run.metrics(metrics, step)
